"""What can be asked of the service."""

from stcloud.api.tokens_api_controller_api import TokensApiControllerApi

__all__ = ["TokensApiControllerApi"]
