"""The verbs about periodic tasks: which slots have fired, and the timetable."""

from __future__ import annotations

from abc import ABC, abstractmethod


class PeriodicContract(ABC):
    """Slots (moments, in microseconds of UTC) and the entries of the timetable (texts, by name)."""

    @abstractmethod
    def take_slot(self, name: str, slot: int) -> bool:
        """Note that `name` fired for `slot`; False if it already had, or for a later one.

        A later one by more than a day was noted by a clock that was wrong, and does not count.
        """

    @abstractmethod
    def know_slot(self, name: str, slot: int) -> int:
        """Note `slot` as if `name` had fired for it, if nothing is noted of `name` yet; what is noted now."""

    @abstractmethod
    def forget_slot(self, name: str) -> None:
        """Let nothing be noted of `name`."""

    @abstractmethod
    def replace_entry(self, name: str, old: str | None, new: str | None) -> bool:
        """Put `new` in the place of the entry `old` of a name; None stands for no entry.

        False, and nothing is changed, if the entry of that name is not `old`. Consumers have been woken.
        """

    @abstractmethod
    def entry(self, name: str) -> str | None:
        """The entry of a name; None if there is none."""

    @abstractmethod
    def entries(self) -> dict[str, str]:
        """The entries of the timetable, in the order of their names."""

    @abstractmethod
    def timetable_version(self) -> int:
        """A number that grows with each change of the timetable; it is asked for often, so it is cheap."""
