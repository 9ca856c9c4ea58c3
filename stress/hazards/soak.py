"""A steady, mixed load for the whole run: nothing that the processes or the file hold grows without end.

The longer it runs, the smaller the leaks that it finds: what may grow in all is the same for a minute and a
day. For hours: `python stress/run.py soak --seconds 28800 --json soak.json`.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import psutil

from liteq import SqliteHuey
from liteq.storage.sqlite.copies import opened
from liteq.storage.sqlite.verify import verify
from stress.consumer import ROOT, Consumer
from stress.report import Report
from stress.settings import Settings
from stress.waiting import Progress, wait_until

_MEGABYTE = 1 << 20
_KILL_EVERY = 5.0
"""Seconds, on average."""
_WARM_AFTER = 300
"""So many tasks fill the history, and what else is bounded."""
_WARM_UP = 0.3
"""Then of the whole run."""
_SAMPLES = 300
_SHORTEST = 0.1
"""Seconds from one sample to the next."""

MAY_GROW = {"memory": 3.0, "descriptors": 3.0, "threads": 1.0, "watches": 1.0, "wal": 8.0, "file": 3.0,
            "rows": 150.0}  # fmt: skip
"""By what each series may grow between the warm-up and the end: megabytes, or numbers."""
_SHARE = {"rows": 0.3, "file": 0.3, "wal": 0.5}
"""Or by so much of what it is, whatever is more: these follow the load."""

Series = dict[tuple[str, str], list[tuple[float, float]]]
"""By what is measured and of what: times and values."""


def run(seed: int, seconds: float, workers: int) -> Report:
    """Keep a queue busy, and measure."""
    report = Report("soak")
    with tempfile.TemporaryDirectory(prefix="liteq-soak-") as folder:
        soak = _Soak(Settings(folder), seed, workers)
        try:
            soak.go_on(seconds, report)
            soak.finish(report)
        finally:
            soak.end()
    grown = {name: growth(values) for name, values in soak.series.items()}
    report.broken += [f"{kind} of {of}: grew by {by:.1f} to {last:.1f}"
                      for (kind, of), (by, last) in grown.items() if by > allowed(kind, last)]  # fmt: skip
    report.figures = {f"{kind} of {of}": last for (kind, of), (_, last) in grown.items()}
    memory = {of: by for (kind, of), (by, _) in grown.items() if kind == "memory"}
    of, by = max(memory.items(), key=lambda item: item[1])
    report.note = f"{len(grown)} series; of all memories, that of the {of} grew most, by {by:.1f} MB"
    return report


def allowed(kind: str, last: float) -> float:
    """By what a series of a kind may grow that is so high in the end."""
    return max(MAY_GROW[kind], _SHARE.get(kind, 0) * last)


def growth(series: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """By what a series grew after the warm-up, and what it is in the end.

    The slope is the median of those between all pairs of points (Theil and Sen): neither a peak nor a
    process that has just been replaced bends it.
    """
    points = [point for point in series if point[0] >= series[-1][0] * _WARM_UP]
    points = points[:: len(points) // 150 + 1]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    span = points[-1][0] - points[0][0]
    last = statistics.median(value for _, value in points[-max(1, len(points) // 5) :])
    return (statistics.median(slopes) if slopes else 0.0) * span, last


class _Soak:
    """A consumer, a busy program, and what is measured of them."""

    def __init__(self, settings: Settings, seed: int, workers: int) -> None:
        self._settings = settings
        self._chance = random.Random(f"soak {seed}")
        self._path = f"{settings.folder}/queue.db"
        self._huey = SqliteHuey(filename=self._path)
        self._consumer = Consumer(settings, workers, application="stress.soaking.huey")
        environment = {**settings.environment(), "PYTHONPATH": str(ROOT)}
        self._mix = subprocess.Popen(
            [sys.executable, "-m", "stress.mixing", str(seed)], cwd=ROOT, env=environment
        )
        self._began = time.monotonic()
        self.series: Series = defaultdict(list)

    def go_on(self, seconds: float, report: Report) -> None:
        """Measure for so long, and kill a worker now and then."""
        wait_until(lambda: self._tasks() > _WARM_AFTER)
        progress = Progress("soak", seconds)
        start = time.monotonic()
        end = start + seconds
        kill_at = start + self._chance.expovariate(1 / min(_KILL_EVERY, seconds / 5))
        while (now := time.monotonic()) < end:
            roles = self._roles()
            self._measure(now - start, roles)
            if now >= kill_at and (victims := [p for role, p in roles if role == "worker"]):
                self._consumer.kill(self._chance.choice(victims).pid)
                report.faults += 1
                kill_at = now + self._chance.expovariate(1 / _KILL_EVERY)
            progress.tell(report.faults, 0)
            time.sleep(max(_SHORTEST, seconds / _SAMPLES))
        progress.end()

    def _tasks(self) -> int:
        """How many there have been."""
        with opened(self._path) as connection:
            return int(connection.execute(_LAST).get or 0)

    def _roles(self) -> list[tuple[str, psutil.Process]]:
        """All processes but this one, each with its part in the whole."""
        dispatcher = self._consumer.dispatcher(self._huey)
        template, *others = sorted(self._consumer.children(), key=lambda child: child.create_time())
        named = [("dispatcher" if child.pid == dispatcher else "worker", child) for child in others]
        named += [("supervisor", psutil.Process(self._consumer.process.pid)), ("template", template)]
        return [*named, ("producer", psutil.Process(self._mix.pid))]

    def _measure(self, at: float, roles: list[tuple[str, psutil.Process]]) -> None:
        highest: defaultdict[tuple[str, str], float] = defaultdict(float)
        for role, process in roles:
            try:
                for kind, value in _of_process(process):
                    highest[kind, role] = max(highest[kind, role], value)
            except (psutil.Error, OSError):
                continue  # it has just ended
        for name, value in [*highest.items(), *self._of_file()]:
            self.series[name].append((at, value))

    def _of_file(self) -> Iterator[tuple[tuple[str, str], float]]:
        wal = Path(f"{self._path}-wal")
        yield ("wal", "the file"), wal.stat().st_size / _MEGABYTE
        yield ("file", "the database"), Path(self._path).stat().st_size / _MEGABYTE
        with opened(self._path) as connection:
            tables = [name for (name,) in connection.execute(_TABLES)]
            for table in tables:
                yield ("rows", table), connection.execute(f"SELECT count(*) FROM {table}").get

    def finish(self, report: Report) -> None:
        """Stop the program; what it has called has to come to its end."""
        self._mix.terminate()
        if code := self._mix.wait(120):
            report.broken.append(f"the program ended with code {code}")
        try:
            wait_until(lambda: not any(self._huey.counts()._replace(dead=0)), 60)
        except TimeoutError:
            report.broken.append(f"there is still {self._huey.counts()}")
        report.acknowledged = report.settled = self._tasks()
        report.load = report.acknowledged / (time.monotonic() - self._began)
        if code := self._consumer.stop():
            report.broken.append(f"the consumer ended with code {code}")
        report.broken += verify(self._path).problems

    def end(self) -> None:
        """Leave no process."""
        self._mix.kill()
        self._mix.wait()
        if self._consumer.process.poll() is None:
            self._consumer.kill_everything()
        self._huey.storage.close()


_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_LAST = "SELECT coalesce(max(seq), 0) FROM queue"


def _of_process(process: psutil.Process) -> Iterator[tuple[str, float]]:
    yield "memory", process.memory_full_info().uss / _MEGABYTE
    yield "threads", process.num_threads()
    links = [str(entry.readlink()) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
    yield "descriptors", len(links)
    yield "watches", sum("inotify" in link for link in links)
