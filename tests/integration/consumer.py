"""A consumer as a real process tree, the application beside it, and ways to wait and to kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from liteq.storage.base import Storage
from liteq.storage.file import FileStorage
from liteq.storage.redis import RedisStorage
from liteq.storage.sqlite import SqliteStorage

PATIENCE = 60
"""Seconds that a test waits for what must happen; far more than it takes."""

ROOT = Path(__file__).parents[2]

every_kind = pytest.mark.parametrize("kind", ["process", "thread", "greenlet"])
"""Marks a test that holds whatever the workers are."""
shared_kinds = pytest.mark.parametrize("kind", ["thread", "greenlet"])
"""Marks one about workers that share a process."""

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str = "", timeout: float = PATIENCE) -> T:
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        time.sleep(0.003)
    return value


def processor_time(*pids: int) -> float:
    """The seconds of processor time that processes have used so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(time.user + time.system for time in times)


# The application


def open_storage(folder: Path) -> Storage:
    """The storage of the application in a folder, wherever it keeps its queue."""
    if url := os.environ.get("LITEQ_TEST_REDIS"):
        return RedisStorage(str(folder), url=url)
    if (folder / "queues").exists():
        return FileStorage("huey", folder / "queues")
    return SqliteStorage("huey", folder / "queue.db")


def write_app(folder: Path, more: str = "", *, in_folder: bool = False) -> Any:
    """Put `app.py` and `more` source into a folder; the module, as the producer in this process has it."""
    path = folder / "app.py"
    source = Path(__file__).with_name("app.py").read_text() + "\n\n" + more
    source = source.replace("IN_FOLDER = False", f"IN_FOLDER = {in_folder}")
    # A consumer may be importing it at this moment.
    path.with_suffix(".new").write_text(source)
    path.with_suffix(".new").replace(path)
    module = types.ModuleType("app")
    module.__file__ = str(path)
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def get(result: Any) -> Any:
    """The value of a result that is still to come."""
    return result.get(blocking=True, timeout=PATIENCE)


def is_settled(app: Any) -> bool:
    """Whether every task has come to its end; all is counted in one moment, or what moves could be missed."""
    return not any(app.huey.counts()._replace(dead=0))


def wait_until_settled(app: Any) -> None:
    wait_until(lambda: is_settled(app), "all tasks to be settled")


def started(app: Any, name: str, times: int = 1) -> int:
    """Wait until a task has noted its start so many times; the process of the last one."""
    wait_until(lambda: len(app.pids(name)) >= times, f"start {times} of {name}")
    return app.pids(name)[times - 1]


# Processes


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_dead(*pids: int) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), f"the end of {pids}")


def kill(*pids: int) -> None:
    """kill -9, all at once, and wait until they are gone; some may have been so already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_dead(*pids)


class Consumer:
    """`liteq consume`, in a session of its own, with a mark by which all its processes can be found."""

    def __init__(self, folder: Path, *options: str, application: str = "app.huey") -> None:
        self.folder = folder
        self._mark = {"LITEQ_TEST": f"{folder}-{time.monotonic_ns()}"}
        self.log_path = folder / f"log-{len(list(folder.glob('log-*')))}"
        path = os.pathsep.join([str(ROOT), str(folder)])
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "liteq", "consume", application, *options],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **self._mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def log(self) -> str:
        """What it has written to its standard error (and output) so far."""
        return self.log_path.read_text()

    def wait_ready(self) -> Consumer:
        """Wait until it says that it is ready."""
        wait_until(lambda: "Ready" in self.log or self.process.poll() is not None, "the consumer's start")
        assert self.process.poll() is None, f"it ended:\n{self.log}"
        return self

    def wait_log(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log.count(text) >= times, f"{text!r} in the log")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and wait; the exit code."""
        self.send(number)
        return self.wait()

    # Who is who

    def members(self) -> list[int]:
        """All its living processes, whoever their parent is by now; workers have sessions of their own."""
        (mark,) = (f"{name}={value}\0".encode() for name, value in self._mark.items())
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes() and is_alive(pid):
                    found.append(pid)
        return found

    def find_dispatcher(self) -> int | None:
        """The living process that claims and settles; None if there is none at the moment."""
        storage = open_storage(self.folder)
        try:
            for supervisor, dispatcher in storage.consumers().values():
                if supervisor.pid == self.pid and dispatcher is not None and is_alive(dispatcher.pid):
                    return dispatcher.pid
        finally:
            storage.close()
        return None

    @property
    def dispatcher(self) -> int:
        """The process that claims and settles, once there is one."""
        return wait_until(self.find_dispatcher, "the dispatcher")

    def workers(self, app: Any, number: int) -> set[int]:
        """The processes of its workers, of which there are so many, all idle."""
        name = f"meeting-{time.monotonic_ns()}"
        results = [app.meet(name, number) for _ in range(number)]
        return {get(result) for result in results}

    def template(self, app: Any, number: int) -> int:
        """The process that the workers, of which there are so many, are forked from."""
        known = {self.pid, self.dispatcher, *self.workers(app, number)}
        (template,) = set(self.members()) - known
        return template

    def wait_all_dead(self) -> None:
        """Wait until no process of it is left."""
        wait_until(lambda: not self.members(), "the end of all its processes")
        self.wait()

    def clean_up(self) -> None:
        """End whatever a test left, and show the log if it failed."""
        while members := self.members():
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.003)
        self.process.wait(PATIENCE)
        sys.stdout.write(f"--- {self.log_path.name}, exit code {self.process.returncode}\n{self.log}")
