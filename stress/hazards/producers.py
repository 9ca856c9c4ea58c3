"""Producers are killed in the middle of calls and bulks; nobody else is held up by what they leave.

They have threads, and fork processes that have threads. Another one goes on with its calls meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import psutil

from stress import history as h
from stress.history import Event
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.1
_VICTIMS = 2
_INTO_A_BULK = 0.1
"""Seconds after its beginning in which a producer is killed; at full speed, many have ended by then."""
SIZE = 2000
"""Of a bulk, at the most."""
_PATIENCE_WITH_A_BUG = 5
"""Seconds for what is left to be settled: a chord that is torn never is."""
_HELD_UP = 20.0
"""Seconds without anything done; a lock that is left behind would take sixty."""


def run(seed: int, seconds: float, workers: int, bug: str = "") -> Report:
    """Kill one producer after the other, and start another one each time."""
    with Trial("producers", seed, workers, kinds=["plain"], bug=bug) as trial:
        # Under a heavy load a producer needs its time to start.
        wait_until(lambda: any(event.kind == h.ACKNOWLEDGED for event in h.read(trial.settings.folder)))
        victims = [_start(trial) for _ in range(_VICTIMS)]
        try:
            wait_until(lambda: any(event.kind == h.ANNOUNCED for event in h.read(trial.settings.folder)))

            def kill() -> bool:
                pid = _next_in_a_bulk(trial.settings.folder)
                time.sleep(trial.chance.uniform(0, _INTO_A_BULK))
                place = next((at for at, one in enumerate(victims) if pid in _pids(one)), 0)
                _kill(trial, victims[place])
                victims[place] = _start(trial)
                return True

            trial.break_things(seconds, kill, _PAUSE)
        finally:
            for victim in victims:
                _kill(trial, victim)
        report = trial.finish(_PATIENCE_WITH_A_BUG if bug else 60)
        events = h.read(trial.settings.folder)
    report.broken += held_up(events)
    _tell(report, events)
    return report


def _start(trial: Trial) -> subprocess.Popen[bytes]:
    return trial.start("stress.bulks", str(trial.chance.random()), str(SIZE))


def _pids(producer: subprocess.Popen[bytes]) -> set[int]:
    """Its own, and those of the processes that it has forked."""
    return {producer.pid, *(child.pid for child in psutil.Process(producer.pid).children())}


def _next_in_a_bulk(folder: str) -> int:
    """The process that begins a bulk next; 0 if none does within a second."""
    deadline = time.monotonic() + 1
    with Path(folder, "history").open("rb") as lines:
        lines.seek(0, os.SEEK_END)
        while time.monotonic() < deadline:
            line = lines.readline()
            if b'"announced"' in line and line.endswith(b"\n"):
                return h.Event(*json.loads(line)).pid
            if not line:
                time.sleep(0.001)
    return 0


def _kill(trial: Trial, producer: subprocess.Popen[bytes]) -> None:
    """Kill it and those that it has forked, in any order."""
    family = [psutil.Process(producer.pid)]
    family[0].suspend()  # it forks no more
    family += family[0].children()
    trial.chance.shuffle(family)
    trial.consumer.kill(*(one.pid for one in family))
    producer.wait()
    psutil.wait_procs(family, timeout=30)


def held_up(events: Sequence[Event]) -> Iterator[str]:
    """Neither the consumer nor a producer stands still for long."""
    calls = [event for event in events if event.kind == h.ACKNOWLEDGED]
    longest = max((event.detail["wait"] for event in calls), default=0)
    if longest > _HELD_UP:
        yield f"a call took {longest:.1f} s"
    if not calls:
        return
    until = max(event.at for event in calls)
    settled = [event.at for event in events if event.kind == h.SETTLED and event.at < until]
    longest = max((other - one for one, other in pairwise(settled)), default=0) / 1e9
    if longest > _HELD_UP:
        yield f"the consumer stood still for {longest:.1f} s"


def _tell(report: Report, events: Sequence[Event]) -> None:
    announced = {event.detail["bulk"] for event in events if event.kind == h.ANNOUNCED}
    enqueued = {event.detail["bulk"] for event in events if event.kind == h.ENQUEUED}
    started = {event.detail["bulk"] for event in events if "bulk" in event.detail and event.kind == h.STARTED}
    cut = announced - enqueued
    report.figures |= {"bulks": len(announced), "cut": len(cut), "cut_but_there": len(cut & started)}
    report.note = (
        f"{len(announced)} bulks, {len(cut)} cut off, {len(cut & started)} of these were there as a whole"
    )
