"""Tokens by name: made once, and replaced without an outage.

All state is in the names and the enabled flags of an app's tokens. So a call can stop anywhere, and
the next one goes on from there. ``rules`` has what follows from the names.
"""

from stcloud.token_manager.manager import Clock, Event, Observer, Publish, TokenManager
from stcloud.token_manager.names import ParsedName, parse_name
from stcloud.token_manager.rules import Rotation, Step

__all__ = [
    "Clock",
    "Event",
    "Observer",
    "ParsedName",
    "Publish",
    "Rotation",
    "Step",
    "TokenManager",
    "parse_name",
]
