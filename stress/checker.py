"""Holds the history of a run against the promises.

Each rule is a function of a `Run` that yields what it found broken, a line for each task.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from liteq.workers.dispatcher import EXIT_INTERRUPTED
from liteq.workers.supervisor import EXIT_CLEAN
from stress import history as h
from stress.history import Event

DEAD = "dead"
"""The end of a task that is kept as dead."""
ERROR = "error"
"""The end of a task whose result is an error."""
_EXAMPLES = 3


@dataclass
class Run:
    """A history, and what is left in the queue after it."""

    events: list[Event]
    ends: dict[str, Any]
    """Of each acknowledged task that has an end: its value, ERROR or DEAD."""
    twice: list[str] = field(default_factory=list)
    """Tasks whose result was there again after it had been read."""
    workers: int = 2
    may_repeat: bool = True
    """Tasks may start more than once: something is killed or interrupted."""
    lease: float = 0
    """Seconds for which a claim holds, where that is to be looked at."""
    interval: float = 0
    """Seconds between the slots of the periodic task, each of which must have fired; 0: there is none."""

    def of(self, kind: str) -> Iterator[Event]:
        """The events of a kind, in order."""
        return (event for event in self.events if event.kind == kind)

    def lost(self) -> dict[tuple[int, int], Event]:
        """The attempts whose claim was found expired, and when first: they may go on nevertheless."""
        lost: dict[tuple[int, int], Event] = {}
        for event in self.of(h.EXPIRED):
            lost.setdefault((event.seq, event.attempt), event)
        return lost

    def ids(self) -> dict[int, str]:
        """The task of each message, as far as it is known."""
        return {event.seq: event.id for event in self.events if event.seq and event.id}


Rule = Callable[[Run], Iterator[str]]


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


def a_message_is_settled_once(run: Run) -> Iterator[str]:
    """One settle at the most ends a message, and none takes effect after that."""
    ended: dict[int, int] = {}
    for event in run.of(h.SETTLED):
        if not event.detail["held"]:
            continue
        # An earlier attempt's retry may be noted late, by one who stood still since it was committed.
        late = event.attempt < ended.get(event.seq, 0) and not event.detail["ends"]
        if event.seq in ended and not late:
            yield f"settled twice: message {event.seq}, attempts {ended[event.seq]} and {event.attempt}"
        if event.detail["ends"]:
            ended[event.seq] = event.attempt


def a_claim_ends_once(run: Run) -> Iterator[str]:
    """A claim is settled with effect once at the most: who has lost it can't end it."""
    ends = Counter((event.seq, event.attempt) for event in run.of(h.SETTLED) if event.detail["held"])
    for (seq, attempt), times in ends.items():
        if times > 1:
            yield f"attempt {attempt} of message {seq} was settled {times} times"


def an_attempt_starts_once(run: Run) -> Iterator[str]:
    """An attempt is started by one worker at the most."""
    starts = Counter((event.seq, event.attempt) for event in run.of(h.STARTED))
    for (seq, attempt), times in starts.items():
        if times > 1:
            yield f"attempt {attempt} of message {seq} started {times} times"


def nothing_runs_twice(run: Run) -> Iterator[str]:
    """Where nothing is killed or interrupted, a message starts once, whatever else is done."""
    if run.may_repeat:
        return
    starts = Counter(event.seq for event in run.of(h.STARTED))
    yield from (f"message {seq} started {times} times" for seq, times in starts.items() if times > 1)


def new_code_is_in_force(run: Run) -> Iterator[str]:
    """What starts after the consumer has said that new code is in force is run by that code."""
    code_of: dict[int, int] = {}
    in_force = 0
    for event in run.events:
        if event.kind == h.BORN:
            code_of[event.pid] = event.detail["code"]
        elif event.kind == h.IN_FORCE:
            in_force = event.detail["code"]
        elif event.kind == h.STARTED and code_of.get(event.pid, in_force) < in_force:
            yield f"message {event.seq} was run by code {code_of[event.pid]}, with {in_force} in force"


def an_exit_code_tells_of_interruptions(run: Run) -> Iterator[str]:
    """A consumer that was told to stop ends with code 5 if it interrupted tasks, and with 0 if not."""
    interrupted = 0
    for event in run.events:
        if event.kind == h.SETTLED and event.detail["held"]:
            interrupted += event.detail["status"] in {"interrupted", "dead"}
        elif event.kind == h.STOPPED:
            if event.detail["code"] != (EXIT_INTERRUPTED if interrupted else EXIT_CLEAN):
                yield f"code {event.detail['code']} after {interrupted} interruptions"
            interrupted = 0


def an_attempt_is_claimed_before_it_starts(run: Run) -> Iterator[str]:
    """Nothing runs that no dispatcher has claimed."""
    claimed = {(event.seq, event.attempt) for event in run.of(h.CLAIMED)}
    for event in run.of(h.STARTED):
        if (event.seq, event.attempt) not in claimed:
            yield f"attempt {event.attempt} of message {event.seq} was never claimed"


def nothing_runs_after_its_end(run: Run) -> Iterator[str]:
    """No attempt begins after its message was ended, but for those that had lost their claim before."""
    ended: dict[int, int] = {}
    lost = run.lost()
    for event in run.events:
        if event.kind == h.SETTLED and event.detail["held"] and event.detail["ends"]:
            ended.setdefault(event.seq, event.attempt)
        elif event.kind == h.STARTED and event.seq in ended:
            by = ended[event.seq]
            if (event.seq, event.attempt) not in lost:
                yield f"attempt {event.attempt} of message {event.seq} began after attempt {by} had ended it"


def at_most_once_is_at_most_once(run: Run) -> Iterator[str]:
    """What must not repeat starts once at the most."""
    once = {event.id for event in run.of(h.ACKNOWLEDGED) if event.detail["once"]}
    starts = Counter(event.id for event in run.of(h.STARTED) if event.id in once or event.detail.get("once"))
    yield from (f"at most once, but started {n} times: {id}" for id, n in starts.items() if n > 1)


def what_ended_well_has_started(run: Run) -> Iterator[str]:
    """No result comes from nowhere."""
    started = {event.id for event in run.of(h.STARTED)}
    for event in run.of(h.ACKNOWLEDGED):
        if run.ends.get(event.id, DEAD) != DEAD and event.id not in started:
            yield f"a result, but never started: {event.id}"


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
    """Who was overtaken, and by whom.

    It does not count as long as a task waits inside of a worker that it is then taken back from: meanwhile
    that worker may have gone on with the ones behind it.
    """
    first, returns = _first_starts(run), _returns(run)
    before: list[tuple[int, int, Event]] = []
    for event in line:
        if event.id not in first:
            continue
        start = first[event.id]
        for _, returned, one in before[bisect(before, (start, 0)) :]:
            if returned < start:
                yield one, event
                break
        insort(before, (start, returns.get(event.id, -1), event))


def _returns(run: Run) -> dict[str, int]:
    """Where in the history each task was last taken back from a worker that had not started it."""
    ids = run.ids()
    return {
        ids.get(event.seq, ""): place
        for place, event in enumerate(run.events)
        if event.kind == h.SETTLED and event.detail["status"] == "released"
    }


def _first_starts(run: Run) -> dict[str, int]:
    first: dict[str, int] = {}
    for place, event in enumerate(run.events):
        if event.kind == h.STARTED:
            first.setdefault(event.id, place)
    return first


def locks_hold(run: Run) -> Iterator[str]:
    """A lock has one holder at a time, a semaphore as many as it has places; a lost claim holds nothing."""
    lost: set[tuple[int, int]] = set()
    inside: defaultdict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for event in run.events:
        key = (event.seq, event.attempt)
        if event.kind == h.EXPIRED:
            lost.add(key)
            for holders in inside.values():
                holders.pop(key, None)
        elif event.kind == h.ENTERED and key not in lost:
            name, room = event.detail["name"], event.detail["room"]
            inside[name][key] = event.pid
            if len(inside[name]) > room:
                yield f"{name} had {len(inside[name])} holders, message {event.seq} among them"
        elif event.kind == h.LEFT:
            inside[event.detail["name"]].pop(key, None)
        elif event.kind == h.KILLING:
            victim = event.detail["victim"]
            for holders in inside.values():
                for holder in [one for one, pid in holders.items() if pid == victim]:
                    del holders[holder]


def no_claim_is_taken_before_its_lease_ends(run: Run) -> Iterator[str]:
    """A claim is another's only when its lease is over, if its owner lives."""
    claimed = {(event.seq, event.attempt): event.at for event in run.of(h.CLAIMED)}
    for key, event in run.lost().items():
        # It is claimed as of the beginning of a turn, which may have waited for the disk and for others.
        after = (event.at - claimed.get(key, event.at)) / 1e9
        if after < run.lease / 2:
            yield f"attempt {key[1]} of message {key[0]} was taken {after:.3f} s after it was claimed"


def what_is_lost_is_not_begun(run: Run) -> Iterator[str]:
    """Who stood still begins nothing that another has by now, but for what it was just about to begin."""
    lost: set[tuple[int, int]] = set()
    begun: Counter[int] = Counter()
    for event in run.events:
        if event.kind == h.EXPIRED:
            lost.add((event.seq, event.attempt))
        elif event.kind == h.FROZEN:
            begun[event.detail["victim"]] = 0
        elif event.kind == h.STARTED and (event.seq, event.attempt) in lost:
            begun[event.pid] += 1
            if begun[event.pid] > 1:
                yield f"attempt {event.attempt} of message {event.seq} began in process {event.pid}"


def rate_limits_hold(run: Run) -> Iterator[str]:
    """No span of `per` seconds holds more than `limit` hits, for all that is known of when they were."""
    hits: defaultdict[tuple[str, int, float], list[Event]] = defaultdict(list)
    for event in run.of(h.HIT):
        hits[event.detail["name"], event.detail["limit"], event.detail["per"]].append(event)
    for (name, limit, per), events in hits.items():
        events.sort(key=lambda event: event.detail["before"])
        for place in range(limit, len(events)):
            span = events[place - limit : place + 1]
            seconds = (max(e.detail["after"] for e in span) - span[0].detail["before"]) / 1e9
            if seconds < per:
                yield f"{name}: {limit + 1} hits within {seconds:.3f} s, {limit} are allowed in {per} s"


def a_slot_fires_once(run: Run) -> Iterator[str]:
    """A slot of the periodic task enqueues one task; none is left out between the first and the last."""
    of_slot: defaultdict[float, set[int]] = defaultdict(set)
    for event in run.of(h.STARTED):
        if "slot" in event.detail:
            of_slot[event.detail["slot"]].add(event.seq)
    for slot, seqs in of_slot.items():
        if len(seqs) > 1:
            yield f"the slot {slot} fired {len(seqs)} times"
    slots = sorted(of_slot)
    for one, other in pairwise(slots):
        if run.interval and round((other - one) / run.interval) != 1:
            yield f"no slot between {one} and {other}"


def a_chord_calls_back_once(run: Run) -> Iterator[str]:
    """The callback of a chord is one message, and has the whole list."""
    seqs: defaultdict[str, set[int]] = defaultdict(set)
    for event in run.of(h.GATHERED):
        seqs[event.id].add(event.seq)
        if event.detail["values"] != event.detail["expected"]:
            yield f"the chord {event.id} got {event.detail['values']}, not {event.detail['expected']}"
    for id, found in seqs.items():
        if len(found) > 1:
            yield f"the chord {id} called back {len(found)} times"


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


RULES: tuple[Rule, ...] = (
    everything_acknowledged_has_an_end,
    it_ended_as_it_had_to,
    no_result_is_there_twice,
    a_message_is_settled_once,
    a_bulk_is_whole_or_not_there,
    a_task_ends_once,
    a_claim_ends_once,
    an_attempt_starts_once,
    nothing_runs_twice,
    new_code_is_in_force,
    an_exit_code_tells_of_interruptions,
    an_attempt_is_claimed_before_it_starts,
    nothing_runs_after_its_end,
    at_most_once_is_at_most_once,
    what_ended_well_has_started,
    one_worker_keeps_the_order,
    one_worker_keeps_the_priorities,
    locks_hold,
    no_claim_is_taken_before_its_lease_ends,
    what_is_lost_is_not_begun,
    rate_limits_hold,
    a_slot_fires_once,
    a_chord_calls_back_once,
)


def check(run: Run) -> list[str]:
    """What is broken: for each rule that is, in how many cases, with examples."""
    broken = []
    for rule in RULES:
        found = list(rule(run))
        if found:
            examples = ", ".join(found[:_EXAMPLES])
            broken.append(f"{rule.__name__.replace('_', ' ')}: {len(found)} times not, such as {examples}")
    return broken
