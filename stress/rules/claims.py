"""Who may run a message, and end it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stress import history as h
from stress.rules.run import Run


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
