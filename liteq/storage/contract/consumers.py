"""The verbs by which consumers know each other, and which periodic slots have fired."""

from __future__ import annotations

from abc import ABC, abstractmethod

from liteq.identity import Identity


class ConsumerContract(ABC):
    """Consumers, and what they agree on."""

    @abstractmethod
    def register(self, consumer: Identity) -> int:
        """Enter a consumer; its id as an owner of claims, never used again."""

    @abstractmethod
    def attend(self, owner: int, dispatcher: Identity) -> None:
        """Note which process now claims and settles for `owner`."""

    @abstractmethod
    def unregister(self, owner: int) -> None:
        """Strike a consumer off. Its claims, if any, stay for whoever recovers them."""

    @abstractmethod
    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        """The registered consumers, by id: the process that was registered and the one that attends to it."""

    @abstractmethod
    def take_slot(self, name: str, slot: int) -> bool:
        """Note that `name` fired for `slot`, a minute; False if it already had, or for a later one.

        A later one by more than a day was noted by a clock that was wrong, and does not count.
        """

    @abstractmethod
    def know_slot(self, name: str, slot: int) -> None:
        """Note `slot` as if `name` had fired for it, if nothing is noted of `name` yet."""
