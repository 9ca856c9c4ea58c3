"""Redis servers of the tests' own, on Unix sockets in temporary folders."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from stress import server
from stress.server import PROGRAM

REASON = f"there is no {PROGRAM} to be run"


class RedisServer(server.RedisServer):
    """A server of a test.

    Args:
        folder: where it keeps its data.
        options: its options.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        # The socket is not in the folder: its path has a hundred bytes at the most.
        super().__init__(folder, Path(tempfile.mkdtemp(prefix="redis")) / "socket", *options)

    def remove(self) -> None:
        """End it for good."""
        self.end()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


def need_redis() -> None:
    """Skip the test where there is no server; fail where there has to be one."""
    if shutil.which(PROGRAM) is None:
        if os.environ.get("LITEQ_NEEDS_SERVERS"):
            pytest.fail(REASON)
        pytest.skip(REASON)


@functools.cache
def redis_server() -> RedisServer:
    """The server that the tests of this process share, each with a database of its own."""
    need_redis()
    folder = Path(tempfile.mkdtemp(prefix="liteq-redis"))
    shared = RedisServer(folder, "--databases", "20000").start()
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shared.remove()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return shared
