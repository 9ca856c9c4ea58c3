"""The verbs about periodic tasks: slots and the timetable."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from liteq import clock
from liteq.storage.memory.tables import Tables


class PeriodicVerbs(Tables):
    """The slots that have fired and the timetable of one queue in memory."""

    def take_slot(self, name: str, slot: int) -> bool:
        later = name not in self._slots or not slot <= self._slots[name] <= slot + clock.DAY
        if later:
            self._slots[name] = slot
            self._changes.add()
        return later

    def know_slot(self, name: str, slot: int) -> int:
        if name not in self._slots:
            self.take_slot(name, slot)
        return self._slots[name]

    def forget_slot(self, name: str) -> None:
        self._remove(self._slots, name)

    def replace_entry(self, name: str, old: str | None, new: str | None) -> bool:
        if self._timetable.get(name) != old:
            return False
        if new is not None:
            self._timetable[name] = new
        elif old is not None:
            del self._timetable[name]
        self._timetable_version += 1
        self._changes.add()
        return True

    def entry(self, name: str) -> str | None:
        return self._timetable.get(name)

    def entries(self) -> dict[str, str]:
        return dict(sorted(self._timetable.items()))

    def timetable_version(self) -> int:
        return self._timetable_version
