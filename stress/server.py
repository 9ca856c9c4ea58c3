"""A Redis server of a run's own, on a Unix socket."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from stress.waiting import wait_until

PROGRAM = os.environ.get("LITEQ_REDIS_SERVER", "redis-server")
"""The program of the servers: that of a version other than the one that is installed, or Valkey's."""
PATIENCE = 60


class RedisServer:
    """A server that can be ended, killed and started again with what it had.

    Args:
        folder: where it keeps its data.
        socket: where it listens; the path has a hundred bytes at the most.
        options: its options.
    """

    def __init__(self, folder: Path, socket: Path, *options: str) -> None:
        self.folder = folder
        self.socket = socket
        self.options = options
        self.url = f"unix://{socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            FileNotFoundError: if there is no such program.
            TimeoutError: if it does not answer.
        """
        where = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *where, "--save", "", *self.options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_run,  # noqa: PLW1509 -- it takes no lock
            )
        wait_until(lambda: self._answers() or not self._is_running, PATIENCE)
        if not self._is_running:
            raise TimeoutError((self.folder / "redis.log").read_text())
        return self

    @property
    def _is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def client(self) -> Any:
        """A client of redis-py."""
        import redis

        return redis.Redis(unix_socket_path=str(self.socket))

    def _answers(self) -> bool:
        import redis

        with self.client() as client, suppress(redis.exceptions.RedisError):
            try:
                return bool(client.ping())
            except redis.exceptions.AuthenticationError:
                return True
        return False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default in the middle of whatever it does."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None
        self.socket.unlink(missing_ok=True)

    def forget(self) -> None:
        """Put an empty server in its place."""
        self.end()
        for path in self.folder.glob("appendonly*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.start()


def _end_with_the_run() -> None:
    """However it ends; see prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
