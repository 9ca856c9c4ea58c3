"""Bugs that can be planted in the storage on a server, to show that the checker finds them there, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from liteq.messages import Message, Settlement
from liteq.storage.base import Turn
from liteq.storage.redis import RedisStorage


class LostCall(RedisStorage):
    """A call returns now and then although its task was not stored."""

    _puts = 0

    def put(self, messages: Sequence[Message], now: int) -> None:
        """See the contract, which this breaks."""
        self._puts += 1
        if self._puts % 50:
            super().put(messages, now)


class SlotTwice(RedisStorage):
    """A slot fires although it has fired."""

    def take_slot(self, name: str, slot: int) -> bool:
        """See the contract, which this breaks."""
        super().take_slot(name, slot)
        return True

    def know_slot(self, name: str, slot: int) -> int:
        """See the contract, which this breaks."""
        return super().know_slot(name, slot) - 1_000_000


class AlwaysUnheard(RedisStorage):
    """What a call has claimed is taken back by the next one although it was heard of."""

    def turn(self, owner: int, settlements: Sequence[Settlement], *rest: Any, **options: Any) -> Turn:
        """See the contract, which this breaks."""
        turn = super().turn(owner, settlements, *rest, **options)
        self._turns.heard = 0
        return turn


ON_REDIS: Final[dict[str, type[RedisStorage]]] = {
    "": RedisStorage,
    "lost-call": LostCall,
    "slot-twice": SlotTwice,
    "always-unheard": AlwaysUnheard,
}
