"""What all verbs use."""

from __future__ import annotations

from typing import Any

from liteq import clock
from liteq.identity import own_identity
from liteq.storage.redis.batches import Batches
from liteq.storage.redis.server import Arg, Server, verb


class Calls:
    """Calls of the program for one queue."""

    name: str
    server: Server
    batches: Batches

    def _call(self, name: str, *args: Arg, wanted: bool = True) -> Any:
        """Run a verb; its reply. If that is not wanted, a batch may run it later."""
        return self.batches.call(verb(name, args), wanted=wanted)


def left_until(moment: int) -> int:
    """Microseconds until a moment of the monotonic clock, which means nothing on another host."""
    return moment - clock.monotonic()


def boot() -> str:
    """Which boot of which machine the monotonic clock of this process belongs to."""
    return own_identity().host.partition("/")[0]


def limit_of(limit: int | None) -> int:
    """A limit as the program has it, which has a number for none."""
    return 2**53 if limit is None else limit
