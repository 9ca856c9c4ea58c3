"""What a measure needs to know: how long it may take, what there is to compare with, where it may write."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from stress.bench import system
from stress.bench.session import Session, session
from stress.bench.system import System


@dataclass(slots=True)
class Context:
    """A run of the benchmark."""

    folder: Path
    full: bool = False
    huge: bool = False
    rounds: int = 3
    peers: Path | None = None
    """The interpreter of the peers; None: only liteq and the limit are measured."""
    redis: str | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def liteq(self) -> System:
        """This checkout as it is by default."""
        return system.liteq("full")

    def sqlite_peers(self, durability: str) -> list[System]:
        """The peers on SQLite."""
        return [system.huey(self.peers, durability)] if self.peers else []

    def huey_on_redis(self) -> list[System]:
        """The peer on Redis."""
        return [system.huey_on_redis(self.peers, self.redis)] if self.peers and self.redis else []

    def on_redis(self) -> list[System]:
        """This checkout and the peer on Redis."""
        mine = [system.liteq_on_redis(self.redis)] if self.redis and find_spec("redis") else []
        return [*mine, *self.huey_on_redis()]

    @contextmanager
    def session(self, it: System) -> Iterator[Session]:
        """A system with an empty queue."""
        with session(it, self.folder) as made:
            yield made

    def new_folder(self) -> Path:
        """The path of a folder that is not there yet."""
        return self.folder / f"bare{next(self._numbers)}"

    def several(self, short: int, full: int) -> int:
        """A number that depends on how long the run may take."""
        return full if self.full else short


def tell(text: str) -> None:
    """What is going on, for whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
