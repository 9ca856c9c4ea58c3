"""The verbs by which consumers know each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

from liteq.identity import Identity, is_gone


class ConsumerContract(ABC):
    """The register of consumers."""

    @abstractmethod
    def register(self, consumer: Identity) -> int:
        """Enter a consumer; its id as an owner of claims, never used again."""

    @abstractmethod
    def attend(self, owner: int, dispatcher: Identity) -> None:
        """Note which process now claims and settles for `owner`."""

    @abstractmethod
    def unregister(self, owner: int) -> None:
        """Strike a consumer off. Its claims, if any, stay for whoever recovers them."""

    def is_gone(self, process: Identity) -> bool | None:
        """Whether a process that uses this queue has ended; None if it can't be told from here.

        A queue that is on one machine knows that nothing lives which began before its boot.
        """
        return is_gone(process)

    @abstractmethod
    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        """The registered consumers, by id: the process that was registered and the one that attends to it."""

    # Only queues that several machines share need these: elsewhere, processes can be looked at.

    def renew(self, owner: int, lasts: int) -> None:  # noqa: B027 -- others do nothing
        """Tell that a consumer works, and will tell so again within `lasts` microseconds.

        One that was taken for dead meanwhile, because it stood still, is registered again.
        """

    def lapsed(self) -> set[int]:
        """The consumers that can't be looked at from here, and were not renewed in time."""
        return set()

    def unregister_lapsed(self) -> dict[int, Identity]:
        """Strike off those of them that have no claims left; the processes that were registered, by id."""
        return {}
