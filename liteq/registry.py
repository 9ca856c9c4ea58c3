"""The tasks of one application, and their form as plain values."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from liteq import clock
from liteq.bounds import check_line, check_whole
from liteq.exceptions import UnknownTask
from liteq.tasks import PeriodicTask, Task

Encoded = tuple[Any, ...]

logger = logging.getLogger("huey")


class Registry:
    """The tasks of one application, and their form as plain values.

    A task is encoded as a tuple of numbers, strings and its arguments, so that any serializer can store it.

    Args:
        built_in: tasks of liteq's own, which every application knows without having declared them.
    """

    def __init__(self, built_in: Iterable[type[Task]] = ()) -> None:
        self._classes: dict[str, type[Task]] = {}
        self.version = 0
        """Grows with each change."""
        self.in_worker = False
        """This is the registry of a worker, which consumers do not look at."""
        self._built_in = {self.task_to_string(task_class): task_class for task_class in built_in}

    def __len__(self) -> int:
        return len(self._classes)

    def names(self) -> list[str]:
        """The keys of all tasks."""
        return list(self._classes)

    @staticmethod
    def task_to_string(task_class: type[Task]) -> str:
        """The key of a task: its module and name."""
        return task_class.registry_key

    def register(self, task_class: type[Task]) -> None:
        """Enter a task.

        Raises:
            ValueError: if there is one of that name, or it can't be stored.
        """
        key = self.task_to_string(task_class)
        check_line("the name of a task", key)
        if key in self._classes or key in self._built_in:
            raise ValueError(f"a task {key!r} is declared already; give one of the two another name=")
        if self.in_worker and issubclass(task_class, PeriodicTask):
            logger.warning("%s is declared inside a worker and will not run: use huey.schedules.add()", key)
        self._classes[key] = task_class
        self.version += 1

    def unregister(self, task_class: type[Task]) -> bool:
        """Remove a task; whether it was there."""
        self.version += 1
        return self._classes.pop(self.task_to_string(task_class), None) is not None

    def string_to_task(self, key: str) -> type[Task]:
        """The task of a key.

        Raises:
            UnknownTask: if the application declares none of that name.
        """
        found = self._classes.get(key) or self._built_in.get(key)
        if found is None:
            raise UnknownTask(f"no task {key!r} is declared in this application")
        return found

    def periodic_classes(self) -> dict[str, type[PeriodicTask]]:
        """The periodic declarations, by key."""
        return {key: cls for key, cls in self._classes.items() if issubclass(cls, PeriodicTask)}

    @property
    def periodic_tasks(self) -> list[PeriodicTask]:
        """A task of each periodic declaration."""
        return [cls() for cls in self.periodic_classes().values()]

    def encode(self, task: Task, utc: bool) -> Encoded:
        """The plain values of a task.

        Raises:
            UnknownTask: if its class is not declared here.
            ValueError: if its id or priority can't be stored.
        """
        key = task.registry_key
        self.string_to_task(key)
        check_line("the id of a task", task.id)
        if task.priority is not None:
            check_whole("priority", task.priority)
        kwargs = task.kwargs
        if kwargs.get("task") is task:  # put there for the function by `context=True` of older decorators
            kwargs = {name: value for name, value in kwargs.items() if name != "task"}
        expires, resolved = task.expires, task.expires_resolved
        if isinstance(expires, datetime):
            resolved = resolved or clock.normalize_time(eta=expires, utc=utc)
        elif isinstance(expires, timedelta):
            expires = expires.total_seconds()
        return (
            task.id,
            key,
            task.args,
            kwargs,
            clock.to_us(task.eta, utc) if task.eta is not None else None,
            task.priority,
            task.retries,
            task.retry_delay,
            task.retry_backoff,
            None if isinstance(expires, datetime) else expires,
            clock.to_us(resolved, utc) if resolved is not None else None,
            task.timeout,
            self.encode(task.on_complete, utc) if task.on_complete is not None else None,
            self.encode(task.on_error, utc) if task.on_error is not None else None,
            task.chord_config,
            clock.to_us(task.slot, utc) if task.slot is not None else None,
        )

    def decode(self, encoded: Encoded, utc: bool) -> Task:
        """The task of plain values.

        Raises:
            UnknownTask: if a task in it is not declared here.
            ValueError: if the values are not those of a task.
        """
        (
            id, key, args, kwargs, eta, priority, retries, retry_delay, retry_backoff,
            expires, resolved, timeout, on_complete, on_error, chord_config, slot,
        ) = encoded  # fmt: skip
        resolved_at = clock.from_us(resolved, utc) if resolved is not None else None
        task = self.string_to_task(key)(  # by position, which takes half the time
            tuple(args),
            kwargs,
            id,
            clock.from_us(eta, utc) if eta is not None else None,
            retries,
            retry_delay,
            priority,
            resolved_at if expires is None else expires,
            self.decode(on_complete, utc) if on_complete is not None else None,
            self.decode(on_error, utc) if on_error is not None else None,
            resolved_at,
            timeout,
            None if chord_config is None else tuple(chord_config),
            retry_backoff,
        )
        task.slot = clock.from_us(slot, utc) if slot is not None else None
        return task
