"""Poison among ordinary tasks: each harms its own attempt, and no other task notices.

First all poisons of `stress.poisons` are given in turn, under load. Then, with the same consumer, batches of
tasks with and without poison among them alternate, to see what it costs the others.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import cycle
from statistics import median
from types import ModuleType
from typing import Any, Final

from liteq import TaskException
from stress import groups
from stress import history as h
from stress.checker import DEAD, ERROR
from stress.history import Event
from stress.poisons import ALL, GROUP, LIMIT, UNPICKLED, VALUE, Poison, Unpickled
from stress.report import Report
from stress.settings import FOLDER
from stress.trial import Trial
from stress.waiting import Progress, wait_until

ORDEAL: Final = 0.6
"""The share of the time in which all poisons are given."""
_PAUSE = 0.04
_PROBE_EVERY = 4
_BATCH, _SHARE, _MILLISECONDS = 200, 0.02, 20
MOST_LOST: Final = 0.1
_PAIRS = 5
"""So many pairs of batches tell whether more than that is lost; fewer tell nothing on a busy machine."""
_KINDS = ("plain", "once", "failing", "flaky", "locked", "crowded", "delayed", "pipeline", "bulk", "chord")
_OPTIONS = ("--max-crashes", "3", "--timeout-grace", "0.2", "--kill-after", "0.2")


def run(seed: int, seconds: float, workers: int) -> Report:
    """Give each poison at least once, then compare."""
    with groups.limited(LIMIT) as group:
        if group is not None:
            os.environ[GROUP] = group
        try:
            with Trial(
                "poison", seed, workers, kinds=_KINDS, backlog=100, options=_OPTIONS,
                application="stress.toxic.huey",
            ) as trial:  # fmt: skip
                return _Poisoner(trial).run(seconds, group)
        finally:
            os.environ.pop(GROUP, None)


class _Poisoner:
    """Gives poison, and probes that must not notice."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._app = _application(trial.settings.folder)
        self._given: dict[str, str] = {}
        """The name of each poison that was given, by its task."""
        self._probes: list[str] = []
        self._pairs: list[tuple[list[str], list[str]]] = []
        """Of each pair of batches the tasks that are no poison: of the harmless one, of the other."""

    def run(self, seconds: float, group: str | None) -> Report:
        trial = self._trial
        wait_until(lambda: trial.consumer.dispatcher(trial.huey))
        dispatcher = trial.consumer.dispatcher(trial.huey)
        self._torment(seconds * ORDEAL)
        trial.stop_producers()
        self._settle()
        self._compare(time.monotonic() + seconds * (1 - ORDEAL))
        report = trial.report
        if trial.consumer.process.poll() is not None or trial.consumer.dispatcher(trial.huey) != dispatcher:
            report.broken.append("the supervisor or the dispatcher was hit")
        report.broken += self._wrong_ends()
        if group is not None and not groups.kills(group):
            report.broken.append("the kernel has killed nobody for memory")
        events = h.read(trial.settings.folder)
        report.broken += harmed(events, set(self._given) | set(self._probes))
        self._tell(report, events)
        trial.finish()
        report.broken += [f"{id} is dead, and no poison" for id in self._dead() if id not in self._given]
        self._app.huey.storage.close()
        return report

    def _settle(self) -> None:
        process, huey = self._trial.consumer.process, self._trial.huey
        wait_until(lambda: process.poll() is not None or not any(huey.counts()._replace(dead=0)), timeout=60)
        if process.returncode is not None:
            raise TimeoutError(f"the consumer ended with code {process.returncode}")

    def _torment(self, seconds: float) -> None:
        """Give all poisons in turn, for so long but all of them once."""
        progress = Progress("poison", seconds)
        names = list(ALL)
        self._trial.chance.shuffle(names)
        end = time.monotonic() + seconds
        for name in cycle(names):
            if time.monotonic() > end and len(self._given) >= len(names):
                break
            time.sleep(self._trial.chance.expovariate(1 / _PAUSE))
            self._give(name)
            self._probe(len(self._given))
            self._trial.report.faults += 1
            progress.tell(self._trial.report.faults, 0)
        progress.end()

    def _give(self, name: str) -> None:
        poison = ALL[name]
        argument = Unpickled(name) if name in UNPICKLED else None
        options = {} if poison.timeout is None else {"timeout": poison.timeout}
        handle = self._app.poison(name, argument, **options)
        self._given[handle.id] = name
        ends = {"dead": DEAD, "error": ERROR, VALUE: VALUE}
        self._acknowledge(handle.id, "poison", ends[poison.end])

    def _probe(self, number: int) -> None:
        """What later tasks of the same worker must be able to do."""
        self._acknowledge(self._app.use(number).id, "use", number)
        if not number % _PROBE_EVERY:
            handle = self._app.overdue(number)
            self._probes.append(handle.id)
            self._acknowledge(handle.id, "overdue", ERROR)

    def _acknowledge(self, id: str, kind: str, expected: Any) -> None:
        detail = {"kind": kind, "expected": expected, "once": False, "priority": 0, "wait": 0}
        self._trial.recorder.note(h.ACKNOWLEDGED, id, **detail)

    def _compare(self, end: float) -> None:
        """Batches with and without poison, by turns, until the time is over."""
        while not self._pairs or time.monotonic() < end:
            order = [True, False]
            self._trial.chance.shuffle(order)
            pair = {poisonous: self._batch(poisonous=poisonous) for poisonous in order}
            self._pairs.append((pair[False], pair[True]))

    def _batch(self, *, poisonous: bool) -> list[str]:
        """Tasks of which some are poison, or harmless in its place; the others, when all are settled."""
        chance = self._trial.chance
        ids = []
        tasks = [self._app.again.s(number, _MILLISECONDS) for number in range(_BATCH)]
        every = round(1 / _SHARE)
        for start in range(0, _BATCH, every):
            name = chance.choice(_QUICK)
            if poisonous:
                self._give(name)
            else:
                self._acknowledge(self._app.harmless(name).id, "harmless", name)
            part = tasks[start : start + every]
            self._app.huey.enqueue_many(part)
            for number, task in enumerate(part, start):
                self._acknowledge(task.id, "batch", number)
            ids += [task.id for task in part]
        self._settle()
        return ids

    def _wrong_ends(self) -> Iterator[str]:
        """Poison that did not end with its cause, and probes that were ended by force."""
        dead = self._dead()
        wrong = Counter(
            f"{name}: {text}"
            for id, name in self._given.items()
            if not _is_told(ALL[name], text := dead.get(id) or self._text(id))
            or (id in dead) != (ALL[name].end == DEAD)
        )
        yield from (f"{times} times the cause is not told of {text}" for text, times in wrong.items())
        forced = [
            text for id in self._probes if "TaskTimeout('timeout 0.1s')" not in (text := self._text(id))
        ]
        if forced:
            yield f"{len(forced)} of {len(self._probes)} timeouts were not kept, such as {forced[0]}"

    def _dead(self) -> dict[str, str]:
        return {task.id: task.reason for task in self._trial.huey.dead()}

    def _text(self, id: str) -> str:
        try:
            return str(self._trial.huey.result(id, preserve=True))
        except TaskException as error:
            return str(error)

    def _tell(self, report: Report, events: Sequence[Event]) -> None:
        lost = loss(events, self._pairs)
        deaths = self._trial.consumer.said("; it runs again") + len(self._dead())
        report.figures.update(throughput_lost=lost, pairs=len(self._pairs), deaths=deaths)
        kinds = len(set(self._given.values()))
        report.note = (
            f"{kinds} kinds of poison, {deaths} deaths of workers; {_SHARE:.0%} of poison costs tasks of "
            f"{_MILLISECONDS} ms {lost:.1%} of their throughput, in {len(self._pairs)} pairs"
        )
        if len(self._pairs) >= _PAIRS and lost > MOST_LOST:
            report.broken.append(f"poison costs other tasks {lost:.0%} of their throughput")


_QUICK = [name for name, poison in ALL.items() if poison.timeout is None and not poison.costly]
"""Those that cost no more than the harm they do: a timeout takes its time by intent."""


def _application(folder: str) -> ModuleType:
    os.environ[FOLDER] = folder
    for name in ("stress.app", "stress.toxic"):
        sys.modules.pop(name, None)
    return import_module("stress.toxic")


def _is_told(poison: Poison, text: str) -> bool:
    if poison.end == VALUE:
        return text == VALUE
    return re.search(poison.says, text, re.DOTALL) is not None


def harmed(events: Sequence[Event], excepted: set[str]) -> list[str]:
    """Whether tasks that are no poison have begun more than once: their worker ended with them.

    Args:
        events: the history.
        excepted: the poison, and what had to be stopped.
    """
    starts = Counter((event.id, event.seq) for event in events if event.kind == h.STARTED)
    again = [id for (id, _), times in starts.items() if times > 1 and id not in excepted]
    return [f"{len(again)} tasks beside the poison ran again, such as {again[:3]}"] if again else []


def loss(events: Sequence[Event], pairs: Sequence[tuple[list[str], list[str]]]) -> float:
    """The share of their throughput that the tasks of the second batches have lost against the first ones.

    It is the median of the pairs, because other programs use the processors, too.
    """
    seqs = {event.id: event.seq for event in events if event.kind == h.CLAIMED}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for event in events:
        if event.kind == h.CLAIMED:
            first.setdefault(event.seq, event.at)
        elif event.kind == h.SETTLED:
            last[event.seq] = event.at

    def took(ids: Sequence[str]) -> int:
        batch = [seqs[id] for id in ids]
        return max(last[seq] for seq in batch) - min(first[seq] for seq in batch)

    return median(1 - took(harmless) / took(poisonous) for harmless, poisonous in pairs)
