"""Sixty-four processes write without pause beside a consumer: no error, no long wait, to each its share.

Half of the time with full durability, half with normal. Waits and shares are judged if the machine is the
hazard's own; where others use more than a quarter of it, only the waits are, by a wider measure, and the note
says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psutil

from liteq import SqliteHuey
from liteq.storage.sqlite.connection import Durability
from liteq.storage.sqlite.verify import verify
from stress import history as h
from stress.consumer import ROOT, Consumer
from stress.history import Event
from stress.report import Report
from stress.settings import Settings
from stress.waiting import wait_until

PROCESSES = 64
LONGEST_WAIT, LONGEST_WAIT_AMONG_OTHERS = 0.25, 5.0
"""Of a call, in seconds."""
FAIREST, FAIR = 1.0, 0.98
"""Jain's index of the numbers of calls: 1 if all processes made as many, 1/n if one made them all."""
_OWN = 0.75
"""Of the processors' time: from here on the machine is the hazard's own."""
_WINDOW = 1_000_000_000


class Measured(NamedTuple):
    """What the processes got."""

    calls: int
    longest: float
    """Seconds."""
    median: float
    jain: float
    least_jain: float
    """Of a window of a second."""
    least: int
    """Calls that a process made in a window."""


def run(seed: int, seconds: float, workers: int, processes: int = PROCESSES, bug: str = "") -> Report:
    """Let them write, with each durability for half of the time."""
    del seed  # it leaves nothing to chance
    report = Report("contention")
    levels: tuple[Durability, ...] = ("full", "normal")
    for level in levels:
        with tempfile.TemporaryDirectory(prefix="liteq-contention-") as folder:
            settings = Settings(folder, level, bug)
            note = report.note and f"{report.note}; "
            one = _contend(settings, seconds / len(levels), workers, processes)
            report = report.joined(one) if report.note else one
            report.note = note + report.note
    return report


def _contend(settings: Settings, seconds: float, workers: int, processes: int) -> Report:
    level = settings.durability
    report = Report("contention", faults=processes)
    consumer = Consumer(settings, workers)
    try:
        share = _write(settings, consumer, seconds, processes, report)
        huey = SqliteHuey(filename=f"{settings.folder}/queue.db")
        wait_until(lambda: not any(huey.counts()), 120 + seconds * 10)
        huey.storage.close()
        if consumer.stop():
            report.broken.append("the consumer failed")
    finally:
        if consumer.process.poll() is None:
            consumer.kill_everything()
    events = h.read(settings.folder)
    measured = measure(events)
    _tell(report, events, measured, seconds)
    report.broken += [f"{level}: {one}" for one in judge(measured, share)]
    report.broken += [f"{level}: {one}" for one in lost(events)]
    report.broken += verify(f"{settings.folder}/queue.db").problems
    figures = measured._asdict() | {"share": share}
    report.figures = {f"{level}_{name}": value for name, value in figures.items()}
    report.note = (
        f"{level}: {measured.longest * 1000:.0f} ms, half {measured.median * 1000:.1f} ms, "
        f"Jain {measured.jain:.4f}, in a second {measured.least_jain:.3f}, {share:.0%} of the machine"
    )
    if share < _OWN:
        report.note += " (too little to judge by)"
    return report


def _write(settings: Settings, consumer: Consumer, seconds: float, processes: int, report: Report) -> float:
    """Let the processes write; which share of the machine was the hazard's own, or idle."""
    before, began, used = _busy(), time.monotonic(), _used(consumer)
    contenders = subprocess.run(
        [sys.executable, "-m", "stress.contenders", str(processes), str(seconds)],
        cwd=ROOT, env={**settings.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if contenders.returncode:
        report.broken.append(f"a call failed: {contenders.stderr.strip().splitlines()[-1]}")
    own = float(contenders.stdout or 0) + _used(consumer) - used
    all_there_is = (time.monotonic() - began) * (os.cpu_count() or 1)
    others = max(0.0, _busy() - before - own)
    return max(0.1, 1 - others / all_there_is)


def _busy() -> float:
    """Seconds for which processors have worked, for anybody."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _used(consumer: Consumer) -> float:
    return sum(sum(child.cpu_times()[:2]) for child in consumer.children())


def measure(events: Sequence[Event]) -> Measured:
    """What the calls took, and how they were shared out."""
    calls = [event for event in events if event.kind == h.ACKNOWLEDGED]
    waits = sorted(event.detail["wait"] for event in calls)
    of_process = Counter(event.pid for event in calls)
    windows = [[window[pid] for pid in of_process] for window in _windows(calls)]
    return Measured(
        len(calls),
        waits[-1],
        waits[len(waits) // 2],
        jain(list(of_process.values())),
        min(map(jain, windows), default=FAIREST),
        min(map(min, windows), default=1),
    )


def _windows(calls: Sequence[Event]) -> Iterator[Counter[int]]:
    """How many calls of each process ended in each second, the first and the last one left out."""
    first, last = (edge(event.at for event in calls) for edge in (min, max))
    for start in range(first + _WINDOW // 2, last - _WINDOW * 3 // 2 + 1, _WINDOW):
        yield Counter(event.pid for event in calls if start <= event.at < start + _WINDOW)


def jain(numbers: Sequence[int]) -> float:
    """Jain's index of fairness."""
    squares = sum(number * number for number in numbers)
    return sum(numbers) ** 2 / (len(numbers) * squares) if squares else 0.0


def judge(measured: Measured, share: float) -> Iterator[str]:
    """What is broken of what the processes were promised, on such a share of the machine."""
    own = share >= _OWN
    if measured.longest > (LONGEST_WAIT if own else LONGEST_WAIT_AMONG_OTHERS):
        yield f"a call took {measured.longest * 1000:.0f} ms, on {share:.0%} of the machine"
    if own and measured.jain < FAIR:
        yield f"the numbers of calls are unfair: Jain's index is {measured.jain:.4f}"
    if own and not measured.least:
        yield "a process was starved for a second"


def lost(events: Sequence[Event]) -> Iterator[str]:
    """Nothing was killed, so that each task whose call returned has started, and once."""
    starts = Counter(event.id for event in events if event.kind == h.STARTED)
    wrong = [event.id for event in events if event.kind == h.ACKNOWLEDGED and starts[event.id] != 1]
    if wrong:
        yield f"{len(wrong)} tasks did not start once, such as {wrong[0]}: {starts[wrong[0]]} times"


def _tell(report: Report, events: Sequence[Event], measured: Measured, seconds: float) -> None:
    started = {event.id for event in events if event.kind == h.STARTED and "slot" not in event.detail}
    report.acknowledged = measured.calls
    report.load = measured.calls / seconds
    report.started = report.settled = len(started)
    report.longest_wait = measured.longest
