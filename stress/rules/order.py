"""In which order tasks start where one worker allows to tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stress import history as h
from stress.history import Event
from stress.rules.run import Run


def one_worker_keeps_the_order(run: Run) -> Iterator[str]:
    """With one worker and one producer, tasks of a priority first start in the order of their calls."""
    lines: defaultdict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in run.of(h.ACKNOWLEDGED):
        if run.workers == 1 and event.detail.get("ordered"):
            lines[event.pid, event.detail["priority"]].append(event)
    for (_, priority), line in lines.items():
        for one, other in _overtakings(run, line):
            yield f"{other.id} of priority {priority} overtook {one.id}, which had been called before"


def one_worker_keeps_the_priorities(run: Run) -> Iterator[str]:
    """With one worker, what was enqueued before it began starts in the order of priority."""
    backlog = [event for event in run.of(h.ACKNOWLEDGED) if event.detail.get("backlog")]
    if run.workers != 1:
        return
    for one, other in _overtakings(run, sorted(backlog, key=lambda e: -e.detail["priority"])):
        priorities = f"{other.detail['priority']} before {one.detail['priority']}"
        yield f"{other.id} started before {one.id}, priority {priorities}"


def _overtakings(run: Run, line: list[Event]) -> Iterator[tuple[Event, Event]]:
    """Who was overtaken, and by whom; of each that overtook others, one of them."""
    first = _first_starts(run)
    latest: tuple[int, Event] | None = None
    for event in line:
        if event.id not in first:
            continue
        start = first[event.id]
        if latest is not None and start < latest[0]:
            yield latest[1], event
        else:
            latest = start, event


def _first_starts(run: Run) -> dict[str, int]:
    first: dict[str, int] = {}
    for place, event in enumerate(run.events):
        if event.kind == h.STARTED:
            first.setdefault(event.id, place)
    return first
