"""Calls of any operation that end in an exception."""

from collections.abc import Callable
from typing import Any

import pytest
from operations import OPERATIONS

import stcloud

Connect = Callable[..., stcloud.TokensApiControllerApi]


def call(api: stcloud.TokensApiControllerApi, operation: str, **options: Any) -> Any:
    return getattr(api, operation)(*OPERATIONS[operation].arguments(789, 1001), **options)


def failure(api: stcloud.TokensApiControllerApi, operation: str, **options: Any) -> Any:
    with pytest.raises(stcloud.ApiException) as raised:
        call(api, operation, **options)
    return raised.value
