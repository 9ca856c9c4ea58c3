"""What the supervisor says to a worker process."""

from __future__ import annotations

from typing import NamedTuple

LINES_AT_ONCE = 200
"""Descriptors that a packet may carry (SCM_MAX_FD is 253)."""


class Lines(NamedTuple):
    """To each worker process before all else: the lines of its workers to the dispatcher come along."""


class Stop(NamedTuple):
    """To one with several workers: one of them must not go on with the attempt that it is at.

    Why stands on the board.
    """

    entry: int
    """The worker's entry on the board."""
    attempt: tuple[int, int]
