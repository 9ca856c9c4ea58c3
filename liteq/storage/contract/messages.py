"""The verbs that move messages between their states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from liteq.messages import Claim, ClaimKey, Message, Settlement


class ClaimOrder(NamedTuple):
    """What a turn is to claim; see `MessageContract.claim`."""

    limit: int
    lasts: int
    """Microseconds that the claims last from the moment at which they are made."""
    startable: int | None = None
    inline: int | None = None


class Turn(NamedTuple):
    """What came of a turn."""

    held: list[bool]
    """For each settlement, whether its claim still held."""
    claims: list[Claim]
    due: int | None
    """When the earliest scheduled message is due; None if nothing is scheduled."""
    listened: bool | None = None
    """Whether anybody listens to live events; None if that is to be asked for (`has_subscribers`)."""


class MessageContract(ABC):
    """Messages, and what becomes of them; `liteq.storage.base` names their states."""

    @abstractmethod
    def put(self, messages: Sequence[Message], now: int) -> None:
        """Store all of `messages` or none: as waiting, as scheduled if due after `now`, else as ready.

        When it returns, they are as durable as the backend promises, and consumers have been woken.

        Raises:
            ValueError: for a callback if one of the same id waits already.
        """

    @abstractmethod
    def claim(
        self,
        owner: int,
        limit: int,
        *,
        now: int,
        lease: int,
        startable: int | None = None,
        only: str | None = None,
        inline: int | None = None,
    ) -> list[Claim]:
        """Claim up to `limit` ready messages for `owner`, the highest priority first, oldest first within it.

        Scheduled messages that are due at `now` become ready first. Each claim has `attempt` one higher than
        the last and expires at `lease`. A message that is revoked at `now` is claimed with `revoked` set; a
        revocation of a whole task that holds once is then used up by this message alone. An at-most-once
        message is claimed only among the first `startable` of the batch (None: anywhere), because being
        claimed means for it that it may have started. With `only`, no message of another id is claimed, and
        pauses do not count. Otherwise paused messages are left where they are; should there be so many of
        them that looking past them all would take long, fewer than `limit` are claimed, and consumers are
        woken to claim again. Data of more than `inline` bytes (None: of any number) may be left out.
        """

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """End claims with their outcomes; for each, whether the claim still held.

        If it held, the effects of the outcome (results, new messages, joins, and with DONE the end of the
        message's own revocation, unless its status is "retrying") and the end of the claim, and of what it
        has locked, are one transaction. If not, nothing of that outcome is stored. The status "crashed" adds
        one to the crashes of the message. The attempt is entered in the history, and the message's progress
        is forgotten.
        """

    @abstractmethod
    def apply(self, settlement: Settlement, now: int) -> None:
        """Store the effects of an outcome of a task that was never claimed; its key is not looked at."""

    @abstractmethod
    def extend(self, owner: int, lease: int) -> int:
        """Move the end of all leases of `owner` to `lease`; how many claims it holds."""

    @abstractmethod
    def held(self, owner: int, inline: int | None = None) -> list[Claim]:
        """The claims of `owner`, in the order in which it would have run them; `inline` as for `claim`."""

    @abstractmethod
    def data_of(self, key: ClaimKey) -> bytes | None:
        """The data of a claimed message; None if the claim does not hold."""

    @abstractmethod
    def top_priority(self) -> int | None:
        """The priority of the ready message that would be claimed next; None if there is none.

        That of a paused message may be told as long as no claim has met it.
        """

    @abstractmethod
    def expired(self, now_monotonic: int) -> list[Claim]:
        """Claims whose lease has ended, whoever holds them."""

    @abstractmethod
    def next_due(self) -> int | None:
        """When the earliest scheduled message is due; None if nothing is scheduled."""

    @abstractmethod
    def is_claimed(self, id: str) -> bool:
        """Whether a message with this id is claimed."""

    @abstractmethod
    def withdraw(self, ids: Sequence[str]) -> set[str]:
        """Remove the messages with these ids that are ready or scheduled; the ids of those that were.

        They leave no result. One that others depend on, as a part of a pipeline or of a chord, is left alone.
        """

    @abstractmethod
    def revive(self, ids: Sequence[str]) -> int:
        """Make dead messages ready again, in their old place and with no crash on their account; how many.

        A revocation of such a message still holds.
        """
