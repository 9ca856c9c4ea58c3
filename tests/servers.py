"""Redis servers of the tests' own, on Unix sockets in temporary folders."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PATIENCE = 60
PROGRAM = os.environ.get("LITEQ_REDIS_SERVER", "redis-server")
"""The program of the servers: that of a version other than the one that is installed, or Valkey's."""
REASON = f"there is no {PROGRAM} to be run"


class RedisServer:
    """A server that can be ended, killed and started again with what it had.

    Args:
        folder: where it keeps its data.
        options: its options.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        # Not in the folder: the path of a socket has a hundred bytes at the most.
        self.socket = Path(tempfile.mkdtemp(prefix="redis")) / "socket"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it, and wait until it answers."""
        program = shutil.which(PROGRAM)
        assert program is not None, REASON
        where = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *where, "--save", "", *self.options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_tests,  # noqa: PLW1509 -- it takes no lock
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.005)
        return self

    def _answers(self) -> bool:
        import redis

        client = redis.Redis(unix_socket_path=str(self.socket))
        try:
            return bool(client.ping())
        except redis.exceptions.AuthenticationError:
            return True
        except redis.exceptions.RedisError:
            return False
        finally:
            client.close()

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default in the middle of whatever it does."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None
        self.socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """End it for good."""
        self.end()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


def _end_with_the_tests() -> None:
    """However they end; see prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


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
    server = RedisServer(folder, "--databases", "20000").start()
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            server.remove()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return server
