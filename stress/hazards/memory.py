"""Tasks leak, and some grow without end; the workers' memory stays bounded, and no other task notices."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import psutil

from liteq.workers.memory import MEGABYTE
from stress import history as h
from stress.report import Report
from stress.trial import Trial
from stress.waiting import Progress

_LIMIT = 64
"""Of a worker, in megabytes. A task is stopped at twice as much."""
_GIVEN = _LIMIT
"""What the consumer is told, which a test of this check makes too much."""
_ALLOWED = 4 * _LIMIT
"""What a worker may have at the most: twice the limit, and what is taken until it is looked at again."""
_MAX_TASKS = 100
_LONGEST_PAUSE = 2.0
"""Seconds between two starts while tasks are pending, workers being replaced all the time."""
_LOOK_EVERY = 0.05
_PATIENCE = 60
_LEFT, _STOPPED = "another one takes its place", "stopping its worker"
"""What the log says of workers that are too large, and of tasks that make them so."""
# One call in a hundred grows: each of them keeps a worker busy until that is killed.
_KINDS = ("plain", "growing", *("leaking", "once") * 45)


def run(seed: int, seconds: float, workers: int) -> Report:
    """Measure the workers while they leak, grow and are replaced."""
    options = ("--max-memory", f"{_GIVEN}M", "-M", str(_MAX_TASKS))
    with Trial("memory", seed, workers, kinds=_KINDS, options=options) as trial:
        largest = _watch(trial, seconds)
        load_ended = time.monotonic_ns()
        report = trial.finish()
        log = trial.consumer.log.read_text()
        left = log.count(_LEFT)
        report.faults = log.count(_STOPPED)
        if largest > _ALLOWED:
            report.broken.append(f"a worker had {largest} MB, with a limit of {_LIMIT} MB")
        if not left or not report.faults:
            report.broken.append(
                f"{left} workers left and {report.faults} tasks were stopped for their memory"
            )
        pause = _judge_starts(trial, report, load_ended)
        report.figures |= {"largest_worker_mb": largest, "left": left, "longest_pause": pause}
        report.note = (
            f"largest worker {largest} MB of {_LIMIT}, {left} left for that, "
            f"longest pause between starts {pause * 1000:.0f} ms"
        )
        return report


def _watch(trial: Trial, seconds: float) -> int:
    """The largest worker in so many seconds, until one of each kind was seen, or one too large; megabytes."""
    progress = Progress("memory", seconds)
    largest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end or (
        time.monotonic() < end + _PATIENCE
        and largest <= _ALLOWED
        and not (trial.consumer.said(_LEFT) and trial.consumer.said(_STOPPED))
    ):
        for child in trial.consumer.children():
            try:
                if child.name().startswith("liteq:worker"):
                    largest = max(largest, child.memory_full_info().uss // MEGABYTE)
            except psutil.Error:
                continue
        progress.tell(0, 0)
        time.sleep(_LOOK_EVERY)
    progress.end()
    return int(largest)


def _judge_starts(trial: Trial, report: Report, load_ended: int) -> float:
    """Note tasks that ran again without a reason, and pauses; the longest of these, in seconds."""
    events = h.read(trial.settings.folder)
    kinds = {event.id: event.detail["kind"] for event in events if event.kind == h.ACKNOWLEDGED}
    starts = [event for event in events if event.kind == h.STARTED and event.id in kinds]
    times = Counter(event.id for event in starts)
    again = [id for id, number in times.items() if number > 1 and kinds[id] != "growing"]
    if again:
        report.broken.append(f"{len(again)} tasks ran twice, such as {again[:3]}")
    moments = [event.at for event in starts if event.at < load_ended]
    pause = max((after - before for before, after in pairwise(moments)), default=0) / 1e9
    if pause > _LONGEST_PAUSE:
        report.broken.append(f"for {pause:.1f} s no task started")
    return pause
