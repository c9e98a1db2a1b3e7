"""What may be tried again, when, and how much in all: decisions only, no I/O."""

from typing import NamedTuple


class RetryPolicy(NamedTuple):
    """How often a call is tried, as plain data.

    ``attempts``: attempts in all, the first included.
    """

    attempts: int = 3
