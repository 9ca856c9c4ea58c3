"""The timetable: schedules that are stored, and that any process may add, change and remove at run time."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from liteq import clock
from liteq.bounds import check_line
from liteq.entries import Entry, options_of, seal, unseal
from liteq.registry import Registry
from liteq.schedules import Crontab, Every, Missed
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.tasks import Signature, Task

logger = logging.getLogger("huey")


class Timetable:
    """The stored schedules of a queue, by name: `huey.schedules`.

    Running consumers notice each change at once. Iterating gives the entries, in the order of their names.
    """

    def __init__(self, storage: Storage, registry: Registry, utc: bool, serializer: Serializer) -> None:
        self._storage = storage
        self._registry = registry
        self._utc = utc
        self._serializer = serializer

    def add(
        self,
        name: str,
        task: Task | Signature,
        schedule: Crontab | Every,
        *,
        missed: str = "skip",
        replace: bool = False,
    ) -> Entry:
        """Let consumers enqueue a call of a task in each slot of a schedule.

        Args:
            name: under which it can be changed and removed.
            task: a declared task, or a call of one: `report.s("weekly", priority=5)`. Its arguments are
                stored as JSON.
            schedule: `crontab(…)` or `every(…)`.
            missed: what becomes of slots that no consumer was there for; see `Huey.periodic_task`.
            replace: take the place of an entry of that name, and stay paused if that one is. Nothing changes
                if they say the same.

        Raises:
            TypeError: if the task, the schedule or an argument is not of the right type.
            ValueError: if there is an entry of that name, or something has no such value.
            UnknownTask: if the task is not declared in this application.
        """
        if not name or type(name) is not str:
            raise ValueError(f"the name of a schedule is a text that is not empty, not {name!r}")
        check_line("the name of a schedule", name)
        key, args, kwargs, options = self._call_of(task)
        new = Entry(name, key, schedule, args, kwargs, options, Missed.of(missed), since=clock.now())
        seal(new, self._serializer)

        def decide(text: str | None) -> Entry:
            if text is not None and not replace:
                raise ValueError(
                    f"there is a schedule {name!r} already: change() it, or add with replace=True"
                )
            return new if text is None else self._successor(text, new)

        return self._update(name, decide)

    def change(
        self,
        name: str,
        *,
        task: Task | Signature | None = None,
        schedule: Crontab | Every | None = None,
        missed: str | None = None,
    ) -> Entry:
        """Give an entry another call, schedule or policy; what is not given stays.

        Raises:
            KeyError: if there is no entry of that name.
            ValueError: if it can't be read, or see `add`.
            TypeError: see `add`.
            UnknownTask: see `add`.
        """
        changes: dict[str, Any] = {"since": clock.now()}
        if task is not None:
            changes |= zip(("task", "args", "kwargs", "options"), self._call_of(task), strict=True)
        if schedule is not None:
            changes["schedule"] = schedule
        if missed is not None:
            changes["missed"] = Missed.of(missed)
        return self._change(name, changes)

    def pause(self, name: str) -> Entry:
        """Leave an entry out until it is resumed; the slots meanwhile are not missed.

        Raises:
            KeyError: if there is no entry of that name.
            ValueError: if it can't be read.
        """
        return self._change(name, {"paused": True})

    def resume(self, name: str) -> Entry:
        """Undo `pause`, with the next slot; see there for what is raised."""
        return self._change(name, {"paused": False, "since": clock.now()})

    def remove(self, name: str) -> bool:
        """Remove an entry; whether there was one. What it has enqueued stays."""
        while (text := self._storage.entry(name)) is not None:
            with self._storage.batch():
                if self._storage.replace_entry(name, text, None):
                    self._storage.forget_slot(Entry.slot_name_of(name))
                    return True
        return False

    def due(self, name: str) -> datetime | None:
        """When the next slot of an entry starts; None if it is paused, or there is none.

        Raises:
            KeyError: if there is no entry of that name.
            ValueError: if it can't be read.
        """
        entry = self[name]
        slot = None if entry.paused else entry.schedule.next_after(clock.now(), self._utc)
        return None if slot is None else clock.from_us(slot, self._utc)

    def __getitem__(self, name: str) -> Entry:
        text = self._storage.entry(name)
        if text is None:
            raise KeyError(name)
        return unseal(name, text, self._serializer)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._storage.entry(name) is not None

    def __len__(self) -> int:
        return len(self._storage.entries())

    def __iter__(self) -> Iterator[Entry]:
        """The entries; those that can't be read are logged and left out."""
        for name, text in self._storage.entries().items():
            try:
                yield unseal(name, text, self._serializer)
            except ValueError as error:
                logger.warning("%s", error)

    def _call_of(self, task: Task | Signature) -> tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        if not isinstance(task, Task):
            if not hasattr(task, "s"):
                raise TypeError(f"{task!r} is not a task; pass a declared one, or its .s(…)")
            task = task.s()
        key = self._registry.task_to_string(type(task))
        self._registry.string_to_task(key)
        return key, task.args, task.kwargs, options_of(task)

    def _change(self, name: str, changes: dict[str, Any]) -> Entry:
        def decide(text: str | None) -> Entry:
            if text is None:
                raise KeyError(name)
            return dataclasses.replace(unseal(name, text, self._serializer), **changes)

        return self._update(name, decide)

    def _update(self, name: str, decide: Callable[[str | None], Entry]) -> Entry:
        """Store what is decided about the present entry, however many processes do so at the same time."""
        while True:
            text = self._storage.entry(name)
            entry = decide(text)
            new = seal(entry, self._serializer)
            if new == text or self._storage.replace_entry(name, text, new):
                return entry

    def _successor(self, text: str, new: Entry) -> Entry:
        """What takes the place of an entry: the entry itself, if the new one says the same."""
        try:
            old = unseal(new.name, text, self._serializer)
        except ValueError:
            return new
        new = dataclasses.replace(new, paused=old.paused)
        return old if dataclasses.replace(new, since=old.since) == old else new


class Scheduling:
    """The part of the queue's surface with the stored schedules."""

    storage: Storage
    registry: Registry
    serializer: Serializer
    utc: bool

    @property
    def schedules(self) -> Timetable:
        """The stored schedules, which any process may change at run time."""
        return Timetable(self.storage, self.registry, self.utc, self.serializer)
