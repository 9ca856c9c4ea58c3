"""Locks, limits, slots and chords: what several tasks have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from stress import history as h
from stress.history import Event
from stress.rules.run import Run


def locks_hold(run: Run) -> Iterator[str]:
    """A lock has one holder at a time, a semaphore as many as it has places.

    A lost claim holds nothing, and neither does a process that is being killed.
    """
    lost: set[tuple[int, int]] = set()
    dying: set[int] = set()
    inside: defaultdict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for event in run.events:
        key = (event.seq, event.attempt)
        if event.kind == h.EXPIRED:
            lost.add(key)
            _let_go(inside, key=key)
        elif event.kind == h.ENTERED and key not in lost and event.pid not in dying:
            name, room = event.detail["name"], event.detail["room"]
            inside[name][key] = event.pid
            if len(inside[name]) > room:
                yield f"{name} had {len(inside[name])} holders, message {event.seq} among them"
        elif event.kind == h.LEFT:
            inside[event.detail["name"]].pop(key, None)
        elif event.kind == h.KILLING:
            victim = event.detail["victim"]
            dying.add(victim)
            _let_go(inside, pid=victim)
        elif event.kind == h.KILLED:
            dying.discard(event.detail["victim"])


def _let_go(
    inside: Mapping[str, dict[tuple[int, int], int]], *, key: tuple[int, int] | None = None, pid: int = 0
) -> None:
    for holders in inside.values():
        for holder in [one for one, process in holders.items() if one == key or process == pid]:
            del holders[holder]


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
