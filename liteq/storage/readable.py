"""Wait for a descriptor of any number: `select` refuses those from 1024 on, of which a server has many."""

from __future__ import annotations

import math
import select
from typing import Protocol


class HasFileno(Protocol):
    """What has a descriptor."""

    def fileno(self) -> int:
        """Its number."""


def is_readable(source: int | HasFileno, timeout: float | None) -> bool:
    """Whether there is something to read; waits for it up to `timeout` seconds, or for ever if None."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(None if timeout is None else math.ceil(timeout * 1000)))
