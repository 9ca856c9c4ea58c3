"""The values that travel between producers, storage and workers.

Most are named tuples rather than dataclasses: they are made and read tens of thousands of times a second,
and a tuple is built in C.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple


class Message(NamedTuple):
    """A call of a task as storage sees it: an envelope of plain columns around serialized bytes."""

    id: str
    """The task's id, chosen by the producer."""
    name: str
    """The registry key of the task."""
    data: bytes
    """The serialized task, complete in itself; only workers decode it."""
    priority: int = 0
    """Higher runs first; first in, first out within a priority."""
    due: int | None = None
    """Not before this time (microseconds of UTC); None means now."""
    at_most_once: bool = False
    """After a crash the task goes straight to dead instead of running again."""
    chain: tuple[str, ...] = ()
    """Ids of the pipeline's later stages, which this message carries inside its data."""
    attempt: int = 0
    """How many attempts the task has had before this message (more than zero for a retry)."""
    crashes: int = 0
    """How many of them ended with the death of their worker."""
    joins: tuple[str, int] | None = None
    """If this is, or leads to, a member of a chord: the id of the callback, and the place in its list."""
    gathers: int | None = None
    """If it is a chord's callback: of how many members it gets the ends. Before that it waits."""


class ClaimKey(NamedTuple):
    """What fences a settle: the message, the attempt, and who claimed it."""

    seq: int
    attempt: int
    owner: int


class Claim(NamedTuple):
    """A message that is claimed: one attempt belongs to `owner` until it is settled or its lease ends."""

    seq: int
    """The message's place in storage; never used again."""
    attempt: int
    """1 for the first attempt, and one more for each claim."""
    owner: int
    """The consumer that holds the claim."""
    id: str
    name: str
    data: bytes | None
    """None if it is larger than was asked for; `MessageContract.data_of` gives it."""
    priority: int
    crashes: int
    at_most_once: bool
    revoked: bool
    """The task was revoked when it was claimed: report it, do not run it."""
    chain: tuple[str, ...] = ()
    joins: tuple[str, int] | None = None
    gathers: int | None = None

    @property
    def key(self) -> ClaimKey:
        """The fence of this claim."""
        return ClaimKey(self.seq, self.attempt, self.owner)


class Disposition(IntEnum):
    """What a settle does with the message."""

    DONE = 0
    """It is finished: the message goes, its effects are stored."""
    BACK = 1
    """It returns to its place in the queue: it was not finished, through no fault of its own."""
    CRASHED = 2
    """It returns to the queue with one crash more on its account."""
    DEAD = 3
    """It is kept aside with a reason, and runs again only if somebody revives it."""


class Verdict(IntEnum):
    """Why a worker has to be stopped in the middle of an attempt."""

    NONE = 0
    TIMEOUT = 1
    TERMINATED = 2
    MEMORY = 3
    """It uses too much of it: that counts as a crash."""


class EndKind(IntEnum):
    """How a member of a chord ended."""

    VALUE = 0
    ERROR = 1
    SKIPPED = 2
    """It was revoked, expired or canceled before it started."""


class Join(NamedTuple):
    """The end of a chord's member, on its way to the callback."""

    chord: str
    """The id of the callback."""
    position: int
    """The member's place in the list."""
    kind: EndKind
    value: bytes = b""
    """The serialized value or `Error`; nothing for what was skipped."""


class MemberEnd(NamedTuple):
    """The end of a chord's member, as it is kept for the callback."""

    kind: EndKind
    value: bytes
    ended: int
    """When, in microseconds of UTC."""


class Outcome(NamedTuple):
    """Everything that one attempt causes; stored in one transaction with the end of its claim."""

    disposition: Disposition
    status: str
    """How it ended, in the words of the signals: complete, error, revoked, expired, retrying …"""
    results: tuple[tuple[str, bytes], ...] = ()
    """Keys and serialized values for the result store."""
    messages: tuple[Message, ...] = ()
    """What is enqueued: the retry, the next stage of a pipeline, an error handler."""
    reason: str = ""
    """Why it failed, died or crashed, for people."""
    joins: tuple[Join, ...] = ()
    """The end of a chord's member, if this was one."""
    events: tuple[bytes, ...] = ()
    """What is told to those who listen, once all this is stored; storage has nothing to do with it."""


class Attempted(NamedTuple):
    """What is known of how an attempt went, for its record; None is unknown."""

    started: int | None = None
    """When it began (microseconds of UTC); None, too, if it never did."""
    duration: int | None = None
    """Microseconds that it took."""
    worker: int | None = None
    """The process that it ran in."""
    exit_code: int | None = None
    """Of that process, if it ended with the attempt; the negative number of the signal that killed it."""
    peak_memory: int | None = None
    """Bytes of memory that it had at the most, if it ended with the attempt."""


class Settlement(NamedTuple):
    """An outcome and the claim that it ends."""

    key: ClaimKey
    outcome: Outcome
    attempted: Attempted | None = None


class Revocation(NamedTuple):
    """A task, or all tasks of a name, must not run: until a time (us), once, or until it is restored."""

    until: int | None = None
    once: bool = False
    terminate: bool = False
    """It ends the tasks that run already as well."""

    def holds(self, now: int) -> bool:
        """Whether it forbids to run at `now` (microseconds of UTC)."""
        return self.once or self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class Error:
    """What is stored as the result of a task that failed.

    It is no tuple, because there are formats that would make a list of it.
    """

    metadata: dict[str, Any]


class _Skipped:
    """The value, in a chord's list, of a member that was revoked, expired or canceled."""

    def __repr__(self) -> str:
        return "SKIPPED"

    def __reduce__(self) -> str:
        return "SKIPPED"


SKIPPED: Final = _Skipped()

RELEASED: Final = "released"
"""The status of a claim that is given back before its task began: that was no attempt."""

BACK: Final = Outcome(Disposition.BACK, RELEASED)


_unused_chance: list[str] = []


def _chance() -> str:
    """16 hex digits of chance, from the kernel, because an application may seed `random`; many at a time."""
    while True:
        try:
            return _unused_chance.pop()
        except IndexError:  # it was empty, or another thread was faster
            _unused_chance.extend(os.urandom(8 * 256).hex(" ", 8).split())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unused_chance.clear)  # or parent and child would make the same ids


def new_id() -> str:
    """A unique id in the form of a UUID of version 7 (RFC 9562): ids made later sort later.

    Time-ordered ids keep the writes of an index at its end; random ones scatter them over the whole file.
    """
    # Milliseconds in 48 bits, the version, their fraction in 12; then the variant, and 60 bits of chance.
    moment = ((time.time_ns() << 12) // 1_000_000).to_bytes(8).hex()
    chance = _chance()
    return f"{moment[1:9]}-{moment[9:13]}-7{moment[13:]}-8{chance[:3]}-{chance[4:]}"
