"""The verbs of chords: a callback that gets the ends of many tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod

from liteq.messages import ClaimKey, MemberEnd


class ChordContract(ABC):
    """Callbacks, and the ends of those whom they wait for.

    A message with `gathers`, a number greater than zero, is put as *waiting*. Each `Join` of an outcome,
    which names the message by its id, is kept in the transaction of that outcome. With the last of so many
    the message becomes ready, or scheduled if it is due later, in the same transaction. Positions
    are less than that number, and each counts once: a join at one that has its end, or to a message that
    does not wait, changes nothing. The ends are
    kept until the message itself goes: for each attempt at it, and while it is dead.
    """

    @abstractmethod
    def ends_of(self, key: ClaimKey) -> list[MemberEnd] | None:
        """The ends of a claimed callback's members, by position; None if the claim does not hold."""

    @abstractmethod
    def waiting_count(self) -> int:
        """How many callbacks wait."""
