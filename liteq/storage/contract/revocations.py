"""The verbs that keep tasks from running."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from liteq.messages import ClaimKey, Revocation


class RevocationContract(ABC):
    """Revocations, by key."""

    @abstractmethod
    def revoke(self, key: str, revocation: Revocation) -> None:
        """Revoke: `key` is `r:` and a task's id, or `rt:` and the name of a task."""

    @abstractmethod
    def restore(self, key: str) -> bool:
        """Undo a revocation; whether there was one."""

    @abstractmethod
    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        """The revocations that there are of `keys`."""

    @abstractmethod
    def revoked_claims(self, owner: int, now: int) -> dict[ClaimKey, bool]:
        """The claims of `owner` that were revoked after they were made; for each, whether to terminate it.

        The message itself or its name is revoked at `now`. Every revocation wakes consumers.
        """
