"""A disk that is full, again and again, while a consumer works and producers go on calling.

    python stress/run.py disk_full

The disk is a small one in memory where that may be mounted; else a limit for the size of files stands in.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from liteq.exceptions import StorageFull
from liteq.storage.sqlite.database import Database
from liteq.storage.sqlite.verify import verify
from stress import history as h
from stress.checker import DEAD, Run, check
from stress.consumer import Consumer
from stress.report import Report
from stress.settings import FOLDER, Settings
from stress.waiting import wait_until

_SIZE = 3 * 1024 * 1024
_FAILS = "Storage fails; trying again"
_WORKS = "Storage works again"
_MOST_PROCESSOR_TIME = 0.3
"""Of a second, in each second for which the disk is full, by all processes of the consumer."""


class Disk(ABC):
    """Where the queue's file lies; it can be made full, and not."""

    folder: Path

    @abstractmethod
    def fill(self, consumer: Consumer) -> None:
        """Leave no room."""

    @abstractmethod
    def clear(self, consumer: Consumer) -> None:
        """Leave room."""


class SmallDisk(Disk):
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._room = _SIZE

    def fill(self, _consumer: Consumer) -> None:
        """Leave no room."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def clear(self, _consumer: Consumer) -> None:
        """Make room."""
        # The queue has grown meanwhile, and may take what was freed: so there is more of it each time.
        self._room += _SIZE
        self._ballast.unlink(missing_ok=True)
        _run("mount", "-o", f"remount,size={self._room}", str(self.folder))


class LimitedFiles(Disk):
    """A limit that the processes have for their files; what the kernel says then is another error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._history = folder.parent / "history"

    def fill(self, consumer: Consumer) -> None:
        """Let no file grow by more than a little."""
        # The history, which is no part of this disk, has to have room.
        largest = max(file.stat().st_size for file in self.folder.iterdir()) + 8192
        self._limit(consumer, max(largest, self._history.stat().st_size + 1024 * 1024))

    def clear(self, consumer: Consumer) -> None:
        """Let them grow."""
        self._limit(consumer, resource.RLIM_INFINITY)

    def _limit(self, consumer: Consumer, size: int) -> None:
        everyone = [psutil.Process(), *consumer.children()]
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def disk(folder: Path, *, mounted: bool) -> Iterator[Disk]:
    """A disk of either kind.

    Raises:
        CalledProcessError: where nothing may be mounted.
    """
    folder.mkdir()
    if not mounted:
        yield LimitedFiles(folder)
        return
    _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def may_mount() -> bool:
    """Whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with disk(Path(folder, "disk"), mounted=True):
                return True
        except (OSError, subprocess.SubprocessError):
            return False


class _Producer(threading.Thread):
    """Calls tasks, and notes those whose call returned; a call that is refused is made again later."""

    def __init__(self, seed: int, database: Path) -> None:
        super().__init__(name="producer")
        self._chance = random.Random(seed)
        self._database = str(database)
        self.go = threading.Event()
        self.stop_asked: bool = False
        self.refused = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        from stress.app import again, history, huey, once

        number = 0
        while not self.stop_asked:
            self.go.wait()
            number += 1
            task = once if number % 10 == 0 else again
            milliseconds = self._chance.choice([0, 0, 1, 5, 300])
            before = time.monotonic()
            try:
                id = task(number, milliseconds).id
            except StorageFull as error:
                self.refused += 1
                if self._database not in str(error) or "full" not in str(error):
                    self.wrong.append(str(error))
                time.sleep(0.01)
                continue
            except Exception as error:  # noqa: BLE001 -- any other is a finding
                self.wrong.append(repr(error))
                continue
            detail = {"kind": "plain", "expected": number, "once": task is once, "priority": 0}
            history.note(h.ACKNOWLEDGED, id, wait=time.monotonic() - before, **detail)
            time.sleep(min(0.05, huey.pending_count() / 2000))


def run(seed: int, seconds: float, workers: int) -> Report:
    """Fill the disk again and again for so long; on two kinds of disk where that is possible."""
    if may_mount():
        first = run_on(seed, seconds / 2, workers, mounted=True)
        second = run_on(seed, seconds / 2, workers, mounted=False)
        second.note = f"small disk: {first.note}; limited files: {second.note}"
        return first.joined(second)
    return run_on(seed, seconds, workers, mounted=False)


def run_on(seed: int, seconds: float, workers: int, *, mounted: bool) -> Report:
    """Fill one kind of disk again and again for so long, but at least once."""
    chance = random.Random(f"full {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="liteq-full-") as folder,
        disk(Path(folder, "disk"), mounted=mounted) as place,
    ):
        huey = _application(folder, place.folder / "queue.db")
        consumer = Consumer(Settings(folder), workers)
        producer = _Producer(seed, Path(folder, "queue.db"))
        producer.start()
        outages = _Outages(place, consumer, producer, huey.storage.database)
        end = time.monotonic() + seconds
        try:
            while not outages.number or time.monotonic() < end:
                outages.have_one(chance)
        finally:
            place.clear(consumer)
            producer.stop_asked = True
            producer.go.set()
            producer.join()
        wait_until(lambda: not any(huey.counts()._replace(dead=0)), timeout=120)
        code = consumer.stop()
        report = _report(folder, producer, huey, seconds)
        report.faults = outages.number
        report.broken += outages.broken + ([f"the consumer ended with code {code}"] if code else [])
        report.note = f"{producer.refused} calls refused, {outages.most:.0%} of a processor at the most"
        huey.storage.close()
        return report


def _application(folder: str, database: Path) -> Any:
    """The application, with its history outside of the disk that fills."""
    database.touch(mode=0o600)
    Path(folder, "queue.db").symlink_to(database)
    os.environ[FOLDER] = folder
    sys.modules.pop("stress.app", None)
    from stress.app import huey

    return huey


class _Outages:
    """Fills the disk, looks at what the consumer makes of it, and clears it."""

    def __init__(self, place: Disk, consumer: Consumer, producer: _Producer, database: Database) -> None:
        self._place = place
        self._database = database
        self._consumer = consumer
        self._producer = producer
        self.number = 0
        self.most = 0.0
        self.broken: list[str] = []

    def have_one(self, chance: random.Random) -> None:
        """One outage, from the first refusal until all works again."""
        self._producer.go.set()
        time.sleep(chance.uniform(0.1, 0.5))
        failed, works, refused = (
            self._consumer.said(_FAILS),
            self._consumer.said(_WORKS),
            self._producer.refused,
        )
        with self._a_reader():
            self._place.fill(self._consumer)
            self._wait(lambda: self._producer.refused > refused + 5, "a call to be refused")
            self._wait(lambda: self._consumer.said(_FAILS) > failed, "the consumer to tell of it")
            self._producer.go.clear()
            self._measure(chance.uniform(0.5, 1.5))
            self._place.clear(self._consumer)
        self._wait(lambda: self._consumer.said(_WORKS) > works, "the consumer to go on")
        self.number += 1
        if self._consumer.said(_FAILS) != failed + 1:
            self.broken.append(f"the log told {self._consumer.said(_FAILS) - failed} times of one outage")

    @contextmanager
    def _a_reader(self) -> Iterator[None]:
        """Keeps the WAL from starting anew, which on a full disk would be room to go on for a while."""
        with self._database.snapshot() as connection:
            connection.execute("SELECT count(*) FROM queue").get  # noqa: B018 -- a snapshot is as of the first read
            yield

    def _measure(self, seconds: float) -> None:
        """How much time of a processor the consumer takes while it can do nothing."""
        before = self._used()
        time.sleep(seconds)
        share = (self._used() - before) / seconds
        self.most = max(self.most, share)
        if share > _MOST_PROCESSOR_TIME:
            self.broken.append(f"{share:.0%} of a processor while the disk is full")

    def _used(self) -> float:
        times = [child.cpu_times() for child in self._consumer.children()]
        return sum(time.user + time.system for time in times)

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        try:
            wait_until(condition, timeout=30)
        except TimeoutError:
            self.broken.append(f"waited in vain for {what}")


def _report(folder: str, producer: _Producer, huey: Any, seconds: float) -> Report:
    """Every task that was acknowledged has run, once, and nothing else has."""
    run = Run(h.read(folder), {})
    acknowledged = [event.id for event in run.of(h.ACKNOWLEDGED)]
    dead = {task.id for task in huey.dead()}
    run.ends = {id: DEAD if id in dead else huey.result(id) for id in acknowledged}
    run.ends = {id: end for id, end in run.ends.items() if end is not None}
    starts = Counter(event.id for event in run.of(h.STARTED) if "slot" not in event.detail)
    report = Report(
        "disk_full", len(acknowledged) / seconds, 0, len(acknowledged), starts.total(), len(run.ends)
    )
    report.lost = len(set(acknowledged) - set(run.ends))
    report.longest_wait = max((event.detail["wait"] for event in run.of(h.ACKNOWLEDGED)), default=0)
    report.broken = check(run) + sorted(set(producer.wrong))[:3] + verify(f"{folder}/queue.db").problems
    twice = [id for id, times in starts.items() if times > 1]
    if twice:
        report.broken.append(f"{len(twice)} tasks ran twice, such as {twice[:3]}")
    unknown = list(set(starts) - set(acknowledged))
    if unknown:
        report.broken.append(f"{len(unknown)} tasks ran whose call was refused, such as {unknown[:3]}")
    return report
