"""What becomes of a task: it is not lost, ends once, and runs no more often than it may."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from stress import history as h
from stress.rules.run import DEAD, Run


def everything_acknowledged_has_an_end(run: Run) -> Iterator[str]:
    """Nothing is lost; and it ended as it had to."""
    for event in run.of(h.ACKNOWLEDGED):
        if event.id not in run.ends:
            yield f"lost: {event.id} ({event.detail['kind']})"


def it_ended_as_it_had_to(run: Run) -> Iterator[str]:
    """Each kind of task has a value that only it can have; only what runs at most once dies of a kill."""
    for event in run.of(h.ACKNOWLEDGED):
        end = run.ends.get(event.id, event.detail["expected"])
        if end == DEAD and event.detail["once"]:
            continue
        if end != event.detail["expected"]:
            yield f"{event.id} ({event.detail['kind']}) ended with {end!r}, not {event.detail['expected']!r}"


def no_result_is_there_twice(run: Run) -> Iterator[str]:
    """A result that was read is gone."""
    yield from (f"its result was read twice: {id}" for id in run.twice)


def what_ended_well_has_started(run: Run) -> Iterator[str]:
    """No result comes from nowhere."""
    started = {event.id for event in run.of(h.STARTED)}
    for event in run.of(h.ACKNOWLEDGED):
        if run.ends.get(event.id, DEAD) != DEAD and event.id not in started:
            yield f"a result, but never started: {event.id}"


def at_most_once_is_at_most_once(run: Run) -> Iterator[str]:
    """What must not repeat starts once at the most."""
    once = {event.id for event in run.of(h.ACKNOWLEDGED) if event.detail["once"]}
    starts = Counter(event.id for event in run.of(h.STARTED) if event.id in once or event.detail.get("once"))
    yield from (f"at most once, but started {n} times: {id}" for id, n in starts.items() if n > 1)


def a_task_ends_once(run: Run) -> Iterator[str]:
    """A task has one end, in whichever of its messages."""
    ids = run.ids()
    ends = Counter(
        ids[event.seq]
        for event in run.of(h.SETTLED)
        if event.seq in ids and event.detail["held"] and event.detail["ends"]
        and event.detail["status"] != "retrying"
    )  # fmt: skip
    yield from (f"{id} ended {times} times" for id, times in ends.items() if times > 1)


def a_bulk_is_whole_or_not_there(run: Run) -> Iterator[str]:
    """All tasks of a bulk run, or none does; none only if its call has not returned."""
    started: defaultdict[str, set[str]] = defaultdict(set)
    for event in run.of(h.STARTED):
        if "bulk" in event.detail:
            started[event.detail["bulk"]].add(event.id)
    enqueued = {event.detail["bulk"] for event in run.of(h.ENQUEUED)}
    for event in run.of(h.ANNOUNCED):
        bulk, size = event.detail["bulk"], event.detail["size"]
        if len(started[bulk]) not in ({size} if bulk in enqueued else {0, size}):
            yield f"{len(started[bulk])} of {size} tasks of the bulk {bulk} started"


def nothing_runs_twice(run: Run) -> Iterator[str]:
    """Where nothing is killed or interrupted, a message starts once, whatever else is done."""
    if run.may_repeat:
        return
    starts = Counter(event.seq for event in run.of(h.STARTED))
    yield from (f"message {seq} started {times} times" for seq, times in starts.items() if times > 1)
