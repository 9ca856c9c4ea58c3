"""The verbs about chords."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import heapq
from collections.abc import Iterable

from liteq.messages import ClaimKey, Join, MemberEnd, Message
from liteq.storage.memory.results import ResultVerbs
from liteq.storage.memory.tables import Line


class ChordVerbs(ResultVerbs):
    """Chords of one queue in memory."""

    def ends_of(self, key: ClaimKey) -> list[MemberEnd] | None:
        return self._in_order(self._ends.get(key.seq, {})) if self._holds(key) else None

    def waiting_count(self) -> int:
        return len(self._waiting)

    @staticmethod
    def _in_order(ends: dict[int, MemberEnd]) -> list[MemberEnd]:
        return [end for _, end in sorted(ends.items())]

    def _check_callbacks(self, messages: Iterable[Message]) -> None:
        new: set[str] = set()
        for id in (m.id for m in messages if m.gathers):
            if id in self._waiting or id in new:
                raise ValueError(f"a chord's callback with the id {id} is waiting already")
            new.add(id)

    def _note_end(self, join: Join, now: int) -> None:
        """Keep the end of a member; a callback that misses none any more becomes ready."""
        seq, message = self._waiting.get(join.chord, (0, None))
        if message is None or join.position in self._ends[seq]:
            return
        self._ends[seq][join.position] = MemberEnd(join.kind, join.value, now)
        if len(self._ends[seq]) == message.gathers:
            del self._waiting[join.chord]
            line, rank = self._line_of(message, now)
            heapq.heappush(line, (rank, seq, message))
        self._changes.add()

    def _line_of(self, message: Message, now: int) -> tuple[Line, int]:
        """Where a message belongs that waits for nothing but its time, and its rank there."""
        if message.due is None or message.due <= now:
            return self._ready, -message.priority
        return self._scheduled, message.due
