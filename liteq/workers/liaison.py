"""What the supervisor tells the dispatcher, whichever process is the dispatcher at the time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from liteq.workers import notices
from liteq.workers.child import State
from liteq.workers.place import Departed, Place


class Liaison:
    """The dispatcher's place, and what every new dispatcher has to be told.

    Args:
        dispatcher: its place.
        workers: the places of the workers.
    """

    def __init__(self, dispatcher: Place, workers: Iterable[Place]) -> None:
        self._dispatcher = dispatcher
        self._workers = list(workers)
        self._departed: dict[int, Departed] = {}
        self.owner: int | None = None
        """The consumer's id in storage, once it is known."""

    def ready(self, message: notices.Ready, *, draining: bool) -> None:
        """A dispatcher works: tell it of all workers, and of those that died and are not settled."""
        self.owner = message.owner
        self._dispatcher.child.ready(time.monotonic())
        if draining:
            self.tell(notices.Drain())  # first, so that it knows why workers were interrupted
        for departed in self._departed.values():
            self.tell(departed.attach, *departed.ends)
            self.tell(departed.gone)
        for place in self._workers:
            if place.is_served:
                self.attach(place)
                if place.child.state is State.STOPPING:
                    self.tell(notices.Retire(place.token))
        self.tell(notices.Attached())

    def attach(self, place: Place) -> None:
        """Tell of the workers of a process, and hand over both ends of their lines."""
        for line in place.lines if place.pid is not None else ():
            message = notices.Attach(line.token, line.entry, place.pid or 0, since=place.since)
            self.tell(message, line.end.fileno(), line.far_end.fileno())

    @property
    def has_backlog(self) -> bool:
        """Whether the dispatcher has not been told everything yet, for lack of room in its line."""
        return self._dispatcher.control is not None and self._dispatcher.control.has_backlog

    def flush(self) -> None:
        """Tell it the rest."""
        if self.has_backlog and self._dispatcher.control is not None:
            self._dispatcher.control.flush()

    def departed(self, departed: Departed) -> None:
        """Tell of a worker's end, and keep its line until what it left is settled."""
        self._departed[departed.gone.token] = departed
        self.tell(departed.gone)

    def buried(self, token: int) -> None:
        """What a worker left is settled."""
        departed = self._departed.pop(token, None)
        if departed is not None:
            departed.close()

    def tell(self, message: Any, *descriptors: int) -> None:
        """Tell the dispatcher, if one listens; what it misses while there is none, `ready` makes up for."""
        place = self._dispatcher
        if place.control is not None and place.child.state in {State.READY, State.STOPPING}:
            place.control.send(message, *descriptors)

    def finish(self, now: float, grace: float, *, replaceable: bool) -> None:
        """All workers have ended: so may the dispatcher, within `grace` seconds.

        One that leaves its work to the next one settles no more of it; if there can be a next one, that does.
        """
        child = self._dispatcher.child
        if child.is_being_replaced and replaceable:
            child.limit(now, grace)
        elif child.state is not State.STARTING:  # else let it get ready first: there are reports to settle
            self.tell(notices.Finish())
            child.stop(now, grace)

    def close(self) -> None:
        """Close the lines of those who have departed."""
        for departed in self._departed.values():
            departed.close()
