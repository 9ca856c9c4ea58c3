"""A run of a queue under a hazard: producers, a consumer, faults, and at the end the check of the history."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from liteq import TaskException
from stress import history as h
from stress.backends import BACKENDS
from stress.checker import DEAD, ERROR, Run, check
from stress.consumer import ROOT, Consumer
from stress.report import Report
from stress.settings import Settings, default_storage
from stress.shifted import Shift
from stress.waiting import Progress, wait_until

INTERVAL = 0.2
"""Of the periodic task of `stress.app`, in seconds."""


class Trial:
    """A folder with a queue in it, and all that works on that.

    Args:
        hazard: the name of the hazard.
        seed: of all choices.
        workers: of the consumer.
        kinds: of calls, as in `stress.load`; all by default.
        producers: how many processes make calls.
        backlog: they wait while more tasks are pending.
        options: of the consumer, more than the usual ones.
        application: what the consumers run; its queue is that of `stress.app`.
        consumers: how many.
        lease: of their claims, in seconds; the usual one by default.
        shifted: its clocks can be set, by `shift`.
        bug: one of `stress.planted`, for a test of the checker.
        may_repeat: tasks may start more than once: something is killed or interrupted.
        home: the folder from which the consumer and the producers import liteq.
        storage: where the queue is; by default what the environment says.
        prepare: called when there is a queue, and no consumer yet.
    """

    def __init__(
        self,
        hazard: str,
        seed: int,
        workers: int,
        *,
        kinds: Sequence[str] = (),
        producers: int = 1,
        backlog: int = 500,
        options: Sequence[str] = (),
        application: str = "stress.app.huey",
        consumers: int = 1,
        lease: float | None = None,
        shifted: bool = False,
        bug: str = "",
        may_repeat: bool = True,
        home: Path = ROOT,
        storage: str = "",
        prepare: Callable[[Self], None] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=f"liteq-{hazard}-")
        self.settings = Settings(self._folder.name, bug=bug, storage=storage or default_storage())
        self.shift = Shift(self.settings.folder) if shifted else None
        self.report = Report(hazard)
        self.chance = random.Random(f"{hazard} {seed}")
        self.backend = BACKENDS[self.settings.storage](self.settings)
        self.huey = self.backend.open()
        self.recorder = h.Recorder(self.settings.folder)
        self._workers = workers
        self._may_repeat = may_repeat
        self._home = home
        self._lease = lease
        self._load = [str(backlog), *kinds]
        self._producers: list[subprocess.Popen[bytes]] = []
        self._options = options
        self._application = application
        self.consumers: list[Consumer] = []
        if prepare is not None:
            prepare(self)
        self._begin(consumers, [seed * 1000 + number for number in range(producers)])

    def _begin(self, consumers: int, seeds: list[int]) -> None:
        for _ in range(consumers):
            self.add_consumer()
        self.consumer = self.consumers[0]
        for seed in seeds:
            self.produce(seed, self._home)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, _traceback: TracebackType | None) -> None:
        if self.shift is not None:
            self.shift.end()
        for producer in self._producers:
            producer.kill()
            producer.wait()
        for consumer in self.consumers:
            if consumer.process.poll() is None:
                consumer.kill_everything()
        self.huey.storage.close()
        self.backend.end()
        self.recorder.close()
        self._folder.cleanup()

    def produce(self, seed: int, home: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start one more producer, with the `liteq` that is in a folder."""
        producer = self.start("stress.load", str(seed), *self._load, home=home)
        self._producers.append(producer)
        return producer

    def start(self, module: str, *arguments: str, home: Path = ROOT) -> subprocess.Popen[bytes]:
        """Run a module on this queue in a process of its own, which the caller ends."""
        command = [sys.executable, "-m", module, *arguments]
        environment = {**self.settings.environment(), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=home, env=environment)

    def complete(self, module: str, *arguments: str) -> None:
        """Run a module on this queue to its end.

        Raises:
            CalledProcessError: if it fails.
        """
        process = self.start(module, *arguments)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, module)

    def add_consumer(self) -> None:
        """Start one more consumer."""
        name = f"log{len(self.consumers) or ''}"
        consumer = Consumer(
            self.settings,
            self._workers,
            *self._options,
            application=self._application,
            name=name,
            lease=self._lease,
            home=self._home,
        )
        self.consumers.append(consumer)

    def processes(self) -> list[psutil.Process]:
        """All that work on the queue."""
        found = [psutil.Process(producer.pid) for producer in self._producers]
        for consumer in self.consumers:
            found += [psutil.Process(consumer.process.pid), *consumer.children()]
        return found

    def break_things(self, seconds: float, fault: Callable[[], bool], pause: float) -> None:
        """Cause the fault at random times, for so long but at least once.

        Args:
            seconds: how long.
            fault: causes it; whether it did.
            pause: between two times, in seconds.
        """
        self._wait_for_load()
        progress = Progress(self.report.hazard, seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end or not self.report.faults:
            time.sleep(self.chance.expovariate(1 / pause))
            self.report.faults += fault()
            progress.tell(self.report.faults, 0)
        progress.end()

    def _wait_for_load(self) -> None:
        """Wait until each producer makes calls; on a busy machine, it takes seconds to start."""
        producers = {producer.pid for producer in self._producers}

        def callers() -> set[int]:
            return {event.pid for event in h.read(self.settings.folder) if event.kind == h.ACKNOWLEDGED}

        wait_until(lambda: producers <= callers())

    def stop_producers(self) -> None:
        """Let the producers finish their calls, and end."""
        for producer in self._producers:
            producer.terminate()
        codes = [producer.wait() for producer in self._producers]
        if any(codes):
            self.report.broken.append(f"producers ended with {sorted(set(codes))}")
        self.seconds = time.monotonic() - self._began

    def finish(self, patience: float = 60) -> Report:
        """Stop the producers, wait until all is settled, stop the consumer, and check.

        Args:
            patience: the longest time, in seconds, in which the number of tasks that are left does not fall.
        """
        self.stop_producers()
        try:
            while least := self._left():
                wait_until(lambda: self._left() < least, patience)
        except TimeoutError:
            self.report.broken.append(f"for {patience} s there is still {self.huey.counts()}")
        for consumer in self.consumers:
            code = consumer.stop()
            if code:
                self.report.broken.append(f"the consumer ended with code {code}")
        return self.judge()

    def _left(self) -> int:
        return sum(self.huey.counts()._replace(dead=0))

    def judge(self) -> Report:
        """Check the history, and what is left in the queue."""
        run = self._look_back()
        acknowledged = list(run.of(h.ACKNOWLEDGED))
        report = self.report
        report.load = len(acknowledged) / self.seconds
        report.acknowledged = len(acknowledged)
        report.started = sum(1 for _ in run.of(h.STARTED))
        report.settled = len(run.ends)
        report.lost = sum(event.id not in run.ends for event in acknowledged)
        report.twice = len(run.twice)
        report.longest_wait = max((event.detail["wait"] for event in acknowledged), default=0)
        report.figures["expired"] = len(run.lost())
        report.broken += check(run)
        if not acknowledged:
            report.broken.append("no task was acknowledged")
        report.broken += self.backend.problems()
        return report

    def _look_back(self) -> Run:
        run = Run(
            list(_without_what_was_forgotten(h.read(self.settings.folder))), {},
            workers=self._workers * len(self.consumers), lease=self._lease or 0,
            may_repeat=self._may_repeat, interval=INTERVAL,
        )  # fmt: skip
        dead = {task.id for task in self.huey.dead()}
        for event in run.of(h.ACKNOWLEDGED):
            end = self._end_of(event.id, dead)
            if end is not None:
                run.ends[event.id] = end
                if self.huey.result(event.id) is not None:
                    run.twice.append(event.id)
        return run

    def _end_of(self, id: str, dead: set[str]) -> Any:
        try:
            return self.huey.result(id)
        except TaskException:
            return DEAD if id in dead else ERROR


def _without_what_was_forgotten(events: list[h.Event]) -> Iterator[h.Event]:
    """The history without what a server promised that is none any more: acknowledgements and slots."""
    forgotten = max((event.at for event in events if event.kind == h.FORGOTTEN), default=0)
    for event in events:
        promised = event.kind == h.ACKNOWLEDGED or "slot" in event.detail
        began = event.at - int(event.detail.get("wait", 0) * 1e9)
        if not promised or began > forgotten:
            yield event
