"""The verbs that show what became of tasks: their state, the history of their attempts, their progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from liteq import clock
from liteq.exceptions import ConfigurationError
from liteq.messages import ClaimKey
from liteq.meter import Meter

KEPT_BY_DEFAULT = 10_000

NOT_ATTEMPTS = frozenset({"released", "scheduled"})
"""The statuses of outcomes that leave no entry: the task had not begun."""


class Retention(NamedTuple):
    """How much history is kept."""

    entries: int
    """So many at the most; 0 records nothing."""
    age: int | None
    """Those that ended no longer ago than this (microseconds); None keeps them however old they are."""

    def meter(self) -> Meter:
        """How many attempts that went well a backend has to enter, where an entry costs something.

        In a flood of tasks each entry would be pushed out by those behind it within the second. So half of
        what is kept may come at once, and a tenth each second: what is entered can be read for a while. The
        other attempts are entered always.
        """
        return Meter(max(self.entries / 2, 100), max(self.entries / 10, 100))


class Entry(NamedTuple):
    """One attempt that has ended."""

    id: str
    name: str
    attempt: int
    owner: int
    """The consumer that held the claim."""
    status: str
    ended: int
    """When it ended, in microseconds of UTC."""
    duration: int | None
    """Microseconds that it took; None if that is not known, or it never began."""
    worker: int | None
    """The process that it ran in."""
    exit_code: int | None
    """How that process ended, if it ended with the attempt; the negative number of a signal."""
    peak_memory: int | None
    """Bytes of memory that it had at the most, if it ended with the attempt."""
    reason: str


class Progress(NamedTuple):
    """How far a task has got, in its own words."""

    done: float
    total: float | None
    note: str
    at: int
    """When it said so, in microseconds of UTC."""


class Running(NamedTuple):
    """A message that is claimed."""

    id: str
    name: str
    attempt: int
    owner: int
    started: int | None
    """When the attempt began (microseconds of UTC); None until a consumer has noted it."""
    worker: int | None
    """The process that it runs in; None until a consumer has noted it."""
    progress: Progress | None


class Start(NamedTuple):
    """What a consumer notes of an attempt that has begun."""

    key: ClaimKey
    started: int
    worker: int


class Standing(NamedTuple):
    """All that storage knows of one id, at one moment."""

    state: str = ""
    """"ready", "scheduled", "waiting", "claimed" or "dead", "chained" for a later stage of a pipeline;
    empty if there is no such message. Of several messages with the id, the last one counts."""
    last: str = ""
    """The status of its last attempt in the history."""
    result: bytes | None = None
    """Its stored result, looked for only if there is neither message nor attempt."""


class Counts(NamedTuple):
    """How many messages are in each state."""

    ready: int
    scheduled: int
    claimed: int
    dead: int
    waiting: int = 0


class RecordContract(ABC):
    """What became of tasks."""

    retention: Retention

    @abstractmethod
    def standing(self, id: str) -> Standing:
        """What is known of the task of an id, all as of one moment."""

    @abstractmethod
    def counts(self) -> Counts:
        """How many messages are in each state, all as of one moment; paused ones are ready."""

    @abstractmethod
    def history(
        self, limit: int | None = None, *, id: str | None = None, name: str | None = None
    ) -> list[Entry]:
        """The attempts that ended, the latest first; those of one id or one name, if given.

        `settle` makes the entries, together with the end of the claims: one for each that held, unless its
        status is one of NOT_ATTEMPTS or the retention keeps none. Of those with status "complete" a backend
        may leave out what exceeds the retention's `meter`.
        """

    @abstractmethod
    def prune_history(self, now: int, limit: int) -> int:
        """Delete up to `limit` of the oldest entries that exceed the retention at `now`; how many it did."""

    @abstractmethod
    def running(self, limit: int | None = None) -> list[Running]:
        """Claimed messages: those noted as begun first, the longest one first."""

    @abstractmethod
    def note_starts(self, starts: Sequence[Start]) -> None:
        """Note when and where attempts began; of those whose claim does not hold, nothing is noted."""

    @abstractmethod
    def set_progress(self, key: ClaimKey, progress: Progress) -> bool:
        """Replace the progress of a claimed message until its claim ends; False if the claim does not hold.

        It need not survive a power failure, and wakes nobody.
        """

    @abstractmethod
    def progress(self, id: str) -> Progress | None:
        """The progress of the message of an id; None if it is not claimed or has told none."""


def retention(history: object, history_age: object) -> Retention:
    """The retention of a backend's options: a number of entries, and seconds or None.

    Raises:
        ConfigurationError: if they are none.
    """
    if not isinstance(history, int) or isinstance(history, bool) or not 0 <= history <= 10**9:
        raise ConfigurationError(
            f"history must be a number of entries, 0 to a thousand million, not {history!r}"
        )
    return Retention(history, checked_duration("history_age", history_age))


def checked_duration(option: str, seconds: Any) -> int | None:
    """The microseconds of an option of a backend that is in seconds, or None.

    Raises:
        ConfigurationError: if it is not a duration of more than 0.
    """
    try:
        return None if seconds is None else clock.duration_us(seconds, option)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
