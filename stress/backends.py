"""Where the queue of a run is: how it is opened and checked, and the server that it needs, if it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from liteq import Huey, PriorityRedisHuey, SqliteHuey
from liteq.storage.sqlite.verify import verify
from stress.proxy import Proxy
from stress.server import RedisServer
from stress.settings import Settings


class SqliteBackend:
    """A file in the folder of the run."""

    def __init__(self, settings: Settings) -> None:
        self._path = f"{settings.folder}/queue.db"

    def open(self) -> Huey:
        """The queue, for whoever watches."""
        return SqliteHuey(filename=self._path)

    def problems(self) -> list[str]:
        """What is wrong with the store itself after the run."""
        return list(verify(self._path).problems)

    def end(self) -> None:
        """Nothing works for it alone."""


class RedisBackend:
    """A server of the run's own that forgets nothing, on a socket in the folder of the run.

    Producers and consumers find it at another path, where a proxy may be put between.

    Raises:
        FileNotFoundError: if no redis-server is installed.
    """

    def __init__(self, settings: Settings) -> None:
        folder = Path(settings.folder)
        options = ("--appendonly", "yes", "--appendfsync", "always")
        self.server = RedisServer(folder, folder / "server", *options).start()
        self._front = folder / _FRONT
        self._front.symlink_to(self.server.socket)
        self.proxy: Proxy | None = None

    def open(self) -> Huey:
        """The queue, for whoever watches."""
        return PriorityRedisHuey("stress", url=self.server.url)

    def interpose(self) -> Proxy:
        """Put a proxy between the server and all that come from now on."""
        self._front.unlink()
        self.proxy = Proxy(self._front, self.server.socket)
        return self.proxy

    def problems(self) -> list[str]:
        """What is left of tasks that have all ended."""
        with self.server.client() as client:
            sizes = {name: _size(client, f"liteq:{{stress}}:{name}") for name in (*_OF_LIVING, *_OF_DEAD)}
        left = [f"{size} entries are left in {name}" for name in _OF_LIVING if (size := sizes[name])]
        if len({sizes[name] for name in _OF_DEAD}) > 1:
            left.append(f"of the dead there are {[(name, sizes[name]) for name in _OF_DEAD]}")
        return left

    def end(self) -> None:
        """End the server for good."""
        self.server.end()
        if self.proxy is not None:
            self.proxy.close()


_FRONT = "socket"
_OF_LIVING = (
    "inbox", "ready", "schedule", "claim", "start", "progress", "waiting", "missing", "lock", "locked",
    "consumer",
)  # fmt: skip
_OF_DEAD = ("message", "data", "dead", "died")


def _size(client: Any, key: str) -> int:
    """How many entries a key has."""
    sizes = {"hash": client.hlen, "zset": client.zcard, "list": client.llen, "none": lambda _: 0}
    return int(sizes[client.type(key).decode()](key))


def redis_url(settings: Settings) -> str:
    """Where the server of a run is found."""
    return f"unix://{settings.folder}/{_FRONT}"


Backend = SqliteBackend | RedisBackend
BACKENDS: Final[dict[str, type[Backend]]] = {"sqlite": SqliteBackend, "redis": RedisBackend}
