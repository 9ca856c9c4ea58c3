"""Where the queue of a run is: how it is opened and checked, and the server that it needs, if it does."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from liteq import Huey, PriorityRedisHuey, SqliteHuey
from liteq.storage.sqlite.verify import verify
from stress.proxy import Proxy
from stress.settings import Settings
from stress.waiting import wait_until


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
        self._folder = Path(settings.folder)
        self._socket = self._folder / "server"
        self._front = self._folder / _FRONT
        self._front.symlink_to(self._socket)
        self._process: subprocess.Popen[bytes] | None = None
        self.proxy: Proxy | None = None
        self.start()

    def open(self) -> Huey:
        """The queue, for whoever watches."""
        return PriorityRedisHuey("stress", url=f"unix://{self._socket}")

    def interpose(self) -> Proxy:
        """Put a proxy between the server and all that come from now on."""
        self._front.unlink()
        self.proxy = Proxy(self._front, self._socket)
        return self.proxy

    def problems(self) -> list[str]:
        """What is left of tasks that have all ended."""
        with self.client() as client:
            sizes = {name: _size(client, f"liteq:{{stress}}:{name}") for name in (*_OF_LIVING, *_OF_DEAD)}
        left = [f"{size} entries are left in {name}" for name in _OF_LIVING if (size := sizes[name])]
        if len({sizes[name] for name in _OF_DEAD}) > 1:
            left.append(f"of the dead there are {[(name, sizes[name]) for name in _OF_DEAD]}")
        return left

    def start(self) -> None:
        """Start the server, with what it had, and wait until it answers.

        Raises:
            FileNotFoundError: if no redis-server is installed.
            TimeoutError: if it does not answer.
        """
        program = shutil.which(os.environ.get("LITEQ_REDIS_SERVER", "redis-server"))
        if program is None:
            raise FileNotFoundError("no redis-server is installed")
        options = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_run,  # noqa: PLW1509 -- it takes no lock
            )
        wait_until(self._answers)

    def client(self) -> Any:
        """A client of redis-py, for faults."""
        import redis

        return redis.Redis(unix_socket_path=str(self._socket))

    def _answers(self) -> bool:
        import redis

        with self.client() as client, suppress(redis.exceptions.RedisError):
            return bool(client.ping())
        return False

    def stand_still(self, seconds: float) -> None:
        """Let the server stand still for a while."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)

    def forget(self) -> None:
        """Put an empty server in its place."""
        self.kill()
        for path in self._folder.glob("appendonly*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.start()

    def end(self) -> None:
        """End the server for good."""
        self.kill()
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


def _end_with_the_run() -> None:
    """However it ends; see prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


Backend = SqliteBackend | RedisBackend
BACKENDS: Final[dict[str, type[Backend]]] = {"sqlite": SqliteBackend, "redis": RedisBackend}
