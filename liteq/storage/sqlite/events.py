"""The verbs of live events: who listens has a pipe in a folder beside the file."""

from __future__ import annotations

from collections.abc import Sequence

from liteq.storage.base import Packet, Subscription
from liteq.storage.pipes import PipeFolder
from liteq.storage.sqlite.database import Database


class EventVerbs:
    """Live events of one queue in a file."""

    database: Database
    _listeners: PipeFolder

    def has_subscribers(self) -> bool:
        """See the contract."""
        return self._listeners.look()

    def publish(self, packets: Sequence[Packet]) -> None:
        """See the contract."""
        self._listeners.publish(packets)

    def subscribe(self) -> Subscription:
        """See the contract."""
        with self.database.read():
            pass  # which makes the file if there is none, and refuses one that is not to be trusted
        return self._listeners.subscribe()
