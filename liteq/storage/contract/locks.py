"""The verbs for locks: what may be held by one at a time, or by a limited number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from liteq.identity import Identity
from liteq.messages import ClaimKey


class Holder(NamedTuple):
    """One who holds a lock, or asks for it."""

    name: str
    """The lock."""
    token: str
    """Tells the holders of one lock apart."""
    process: Identity
    """The process that holds it, for itself or for the attempt that it runs."""
    claim: ClaimKey | None = None
    """The attempt that it belongs to; None: to the process."""
    expires: int | None = None
    """When it ends by itself (microseconds of the monotonic clock)."""

    def has_expired(self, now: int) -> bool:
        """Whether it has ended by itself."""
        return self.expires is not None and self.expires <= now


class LockContract(ABC):
    """Locks, by name.

    What is held for an attempt is released by whatever ends the claim of the attempt. Whether a process is
    gone is not known here: callers release what such a one has left.
    """

    @abstractmethod
    def acquire_lock(self, holder: Holder, *, limit: int, now: int) -> bool:
        """Hold a lock if fewer than `limit` others do at `now`, and the claim, if any, still holds.

        Whoever holds it already (same token, process and claim) keeps it, with the new end. A token that
        another process holds it by is refused.
        """

    @abstractmethod
    def renew_lock(self, holder: Holder, *, now: int) -> bool:
        """Give what this token and process hold the end that `holder` names; False if it is held no more."""

    @abstractmethod
    def release_lock(self, holder: Holder, *, now: int) -> bool:
        """Give up what this token and process hold; whether it was held."""

    @abstractmethod
    def locks(self, name: str | None = None, *, now: int) -> list[Holder]:
        """Who holds a lock, or any lock, by name and token."""

    @abstractmethod
    def clear_locks(self, names: Sequence[str] | None = None, *, now: int) -> set[str]:
        """Release locks, or all locks, whoever holds them; the names of those that were held."""
