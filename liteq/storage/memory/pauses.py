"""The verbs that hold tasks back."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import heapq
from collections.abc import Set as AbstractSet
from itertools import chain

from liteq.storage.memory.tables import Line, Tables


class PauseVerbs(Tables):
    """Pauses of one queue in memory. What a claim meets of a paused name is set aside until `resume`."""

    def pause(self, name: str | None) -> bool:
        paused = name in self._pauses
        self._pauses.add(name)
        self._changes.add()
        return not paused

    def resume(self, name: str | None) -> bool:
        if name not in self._pauses:
            return False
        self._pauses.remove(name)
        if name is not None:
            for waiting in self._parked.pop(name, ()):
                heapq.heappush(self._ready, waiting)
        self._changes.add()
        return True

    def paused(self) -> frozenset[str | None]:
        return frozenset(self._pauses)

    def _set_aside(self) -> None:
        """See that the first ready message, if there is one, is none of a paused name."""
        while self._ready and self._ready[0][2].name in self._pauses:
            waiting = heapq.heappop(self._ready)
            self._parked.setdefault(waiting[2].name, []).append(waiting)

    def _unpark(self, ids: AbstractSet[str]) -> None:
        """Bring the messages of these ids back to their places, for somebody who means just them."""
        for line in self._parked.values():
            for place in [place for place in line if place[2].id in ids]:
                line.remove(place)
                heapq.heappush(self._ready, place)

    def _all_ready(self) -> Line:
        return sorted(chain(self._ready, *self._parked.values()))
