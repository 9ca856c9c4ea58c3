"""The ways in which tasks get run: at once in the caller, by hand from a file, and as a worker does it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liteq import Huey, SqliteHuey
from liteq import clock as liteq_clock
from liteq import signals as s
from liteq.identity import identify
from liteq.messages import Claim, Settlement
from liteq.workers.attempt import attempt
from liteq.workers.shared import Board
from liteq.workers.timer import Timer
from liteq.workers.wire import Assignment

PATIENCE = 30
"""Seconds that a test waits for what must happen; far more than it takes."""

NEVER = 10**15
"""A lease that ends after every test."""

ALL_SIGNALS = tuple(value for name, value in vars(s).items() if name.startswith("SIGNAL_"))


ROOT = Path(__file__).parents[2]


def start_python(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """Start a fresh interpreter that finds liteq."""
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": search},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def python(*arguments: Any, **options: Any) -> str:
    """What a fresh interpreter prints."""
    with start_python(*arguments, **options) as process:
        printed = process.communicate(timeout=2 * PATIENCE)[0]
    assert process.returncode == 0
    return printed


class Clock:
    """A clock that a test sets: call it for the time in microseconds of UTC."""

    def __init__(self) -> None:
        self.now = time.time_ns() // 1000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * liteq_clock.SECOND)


def attempted(huey: Huey, claim: Claim) -> Settlement:
    """Run a claimed task as a worker does; what is then to be settled."""
    gathers = claim.gathers is not None
    assignment = Assignment(claim.key, claim.revoked, claim.at_most_once, claim.data, gathers=gathers)
    return Settlement(claim.key, attempt(huey, assignment, Timer(Board(1), 0)))


class Application:
    """A queue, how its tasks get run, and all that its hooks and receivers were told."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self._queues: list[Huey] = []
        self.huey = self.make()
        self.log: list[Any] = []

    def make(self, **options: Any) -> Huey:
        """A queue like this one's, with other options; `run` is then of that one."""
        self.huey = SqliteHuey(**{"durability": "off", **self.options, **options})
        self._queues.append(self.huey)
        return self.huey

    def close(self) -> None:
        for huey in self._queues:
            huey.storage.close()

    def listen(self) -> list[str]:
        """The names of the signals sent from here on."""
        names: list[str] = []
        self.huey.signals.connect(lambda signal, *_: names.append(signal))
        return names

    def note(self, entry: Any) -> None:
        self.log.append(entry)

    def run(self) -> None:
        """Run whatever is ready, and what that causes."""
        while self.run_one():
            pass

    def run_one(self) -> bool:
        raise NotImplementedError


class Immediate(Application):
    """Tasks run at once."""

    def __init__(self, _: Path) -> None:
        super().__init__(immediate=True)

    def run_one(self) -> bool:
        return False  # it has run already


class ByHand(Application):
    """Tasks are stored, and run with `dequeue` and `execute`."""

    def __init__(self, filename: Path) -> None:
        super().__init__(filename=filename)

    def run_one(self) -> bool:
        task = self.huey.dequeue()
        if task is not None:
            self.huey.execute(task)
        return task is not None


class ByWorker(Application):
    """Tasks are stored, and run as a worker runs them and a dispatcher settles them."""

    def __init__(self, filename: Path) -> None:
        super().__init__(filename=filename)
        self._owners: dict[int, int] = {}

    def run_one(self) -> bool:
        huey, storage = self.huey, self.huey.storage
        owner = self._owners.get(id(huey))
        if owner is None:
            owner = self._owners[id(huey)] = storage.register(identify())
        claims = storage.claim(owner, 1, now=liteq_clock.now(), lease=NEVER)
        for claim in claims:
            assert storage.settle([attempted(huey, claim)], liteq_clock.now()) == [True]
        return bool(claims)


WAYS: dict[str, Callable[[Path], Application]] = {
    "immediate": Immediate,
    "by hand": ByHand,
    "by a worker": ByWorker,
}


class Background:
    """A call in another thread; `result` waits for its end."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self.started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call, args), daemon=True)
        self._thread.start()
        assert self.started.wait(PATIENCE)

    def _run(self, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.started.set()
        try:
            self._value = call(*args)
        except BaseException as error:
            self._error = error

    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> Any:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the call did not end"
        if self._error is not None:
            raise self._error
        return self._value


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until the condition holds, and return what it says."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)
    return value


def in_child(work):
    """Run it in a child, which is then killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        work()
        os.write(writer, b"x")
        signal.pause()
    assert os.read(reader, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
