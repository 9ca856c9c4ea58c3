"""The parts of the queue's surface that read and write what is stored: results, revocations, contents."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from liteq import clock
from liteq.bounds import check_name, checked_limit
from liteq.messages import Revocation
from liteq.options import check_options
from liteq.outcomes import undecodable
from liteq.results import EmptyData, Result
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.tasks import Task
from liteq.wrapper import name_of_declared

logger = logging.getLogger("huey")


class ResultStore:
    """The result store, which applications may use for values of their own."""

    storage: Storage
    serializer: Serializer
    serialize_value: Callable[[Any, Callable[[], str]], bytes]

    def put(self, key: str, data: Any) -> None:
        """Store a value, replacing what was there.

        Raises:
            ValueError: if the key is longer than 4,000 characters, or can't be written as UTF-8.
            SerializationError: if the value does not serialize.
            PayloadTooLarge: if it has more bytes than the queue allows.
        """
        _check_key(key)
        self.storage.put_result(key, self.serialize_value(data, lambda: f"the value of {key!r}"))

    def put_result(self, key: str, data: Any) -> None:
        """Store a value as a task's result, which expires like those if the storage has an `expire_time`."""
        _check_key(key)
        lifetime = self.storage.expire_time
        expires = None if lifetime is None else clock.now() + lifetime
        value = self.serialize_value(data, lambda: f"the result of {key!r}")
        self.storage.put_result(key, value, expires=expires)

    def put_if_empty(self, key: str, data: Any, ttl: float | None = None) -> bool:
        """Store a value, for `ttl` seconds if given, unless there is one; whether it was stored."""
        _check_key(key)
        now = clock.now()
        expires = None if ttl is None else now + int(clock.seconds_of(ttl, "ttl") * clock.SECOND)
        value = self.serialize_value(data, lambda: f"the value of {key!r}")
        return self.storage.put_if_empty(key, value, now=now, expires=expires)

    def get_raw(self, key: str, peek: bool = False) -> Any:
        """The stored bytes of a key, which are removed unless `peek`; EmptyData if there are none."""
        data = self.storage.peek_result(key) if peek else self.storage.pop_result(key)
        return EmptyData if data is None else data

    def get(self, key: str, peek: bool = False) -> Any:
        """The value of a key, which is removed unless `peek`; None if there is none."""
        value = self.read_value(key, peek)
        return None if value is EmptyData else value

    def read_value(self, key: str, peek: bool = False) -> Any:
        """As `get`, but EmptyData if there is none. A value that can't be decoded stays where it is."""
        return self.decode_value(key, self.get_raw(key, peek), peek)

    def decode_value(self, key: str, data: Any, peek: bool = False) -> Any:
        """The value of what `get_raw` gave; what it took and can't be decoded is put back."""
        if data is EmptyData:
            return data
        try:
            return self.serializer.deserialize(data)
        except Exception:
            if not peek:
                self.storage.put_if_empty(key, data, now=clock.now())
            raise

    def delete(self, key: str) -> bool:
        """Remove a value; whether there was one."""
        return self.storage.delete_result(key)

    def all_results(self) -> dict[str, bytes]:
        """All stored values, serialized, by key."""
        return self.storage.results()

    def result_count(self) -> int:
        """How many values are stored."""
        return self.storage.result_count()


class Revocations:
    """Keep tasks from running."""

    storage: Storage
    utc: bool

    def revoke_all(
        self,
        task_class: Any,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        terminate: bool = False,
    ) -> None:
        """Keep all tasks of a declaration from running: until a time, once, or until restored.

        With `terminate`, those that run already are ended: by an exception in the task, and if it does not
        heed that, with its worker. Whoever waits for its result gets a TaskException.
        """
        revocation = self._revocation(revoke_until, revoke_once, terminate)
        self.storage.revoke(self._name_key(task_class), revocation)

    def restore_all(self, task_class: Any) -> bool:
        """Undo `revoke_all`; whether they were revoked."""
        return self.storage.restore(self._name_key(task_class))

    def revoke(
        self,
        task: Task | Result,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        terminate: bool = False,
    ) -> None:
        """Keep one task from running; one that has started goes on, unless `terminate` ends it.

        Raises:
            TypeError: for something that is neither a task nor a result.
        """
        self.storage.revoke(_revoke_id(task), self._revocation(revoke_until, revoke_once, terminate))

    def restore(self, task: Task | Result) -> bool:
        """Undo `revoke`; whether the task was revoked."""
        return self.storage.restore(_revoke_id(task))

    def revoke_by_id(
        self,
        id: str,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        terminate: bool = False,
    ) -> None:
        """Keep the task of an id from running; one that has started goes on, unless `terminate` ends it.

        Raises:
            ValueError: if the id is not a text, or empty.
        """
        check_options(id=id)
        self.revoke(Task(id=id), revoke_until, revoke_once, terminate)

    def restore_by_id(self, id: str) -> bool:
        """Undo `revoke_by_id`; whether the task was revoked."""
        check_options(id=id)
        return self.restore(Task(id=id))

    def is_revoked(self, task: Any, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Whether a task, a declaration or an id is revoked at `timestamp` (now by default).

        Without `peek`, a revocation that held once is used up, and one that has ended is removed.
        """
        now = clock.now() if timestamp is None else clock.to_us(timestamp, self.utc)
        for key, revocation in self.storage.revocations(self._revoke_keys(task)).items():
            holds = revocation.holds(now)
            if not peek and (revocation.once or not holds):
                self.storage.restore(key)
            if holds:
                return True
        return False

    def _revocation(self, until: datetime | None, once: bool, terminate: bool) -> Revocation:
        if until is not None and not isinstance(until, datetime):
            raise ValueError(f"revoke_until must be a datetime, not {until!r}")
        moment = None if until is None else clock.to_us(clock.normalize_time(eta=until, utc=True))
        return Revocation(moment, once, terminate)

    def _name_key(self, task: Any) -> str:
        return f"rt:{name_of_declared(task)}"

    def _revoke_keys(self, task: Any) -> list[str]:
        if isinstance(task, str):
            return [f"r:{task}"]
        if isinstance(task, Result):
            task = task.task
        if isinstance(task, Task):
            keys = [task.revoke_id]
            return keys if type(task) is Task else [*keys, self._name_key(type(task))]
        return [self._name_key(task)]


def _check_key(key: Any) -> None:
    if isinstance(key, str):
        check_name("a key of the result store", key)


def _revoke_id(task: Task | Result) -> str:
    if not isinstance(task, Task | Result):
        raise TypeError(
            f"{task!r} is neither a task nor a result; "
            "revoke_by_id() takes an id, and a declared task has a revoke() of its own"
        )
    return task.revoke_id


class Inspection:
    """What the queue holds."""

    storage: Storage
    deserialize_task: Callable[[bytes], Task]

    def pending(self, limit: int | None = None) -> list[Task]:
        """The tasks that are ready to run, in the order in which they will; unknown ones are left out.

        Paused ones are among them, in their place.
        """
        return self._known_tasks(self.storage.pending(checked_limit(limit)))

    def pending_count(self) -> int:
        """How many tasks are ready to run, paused ones included."""
        return self.storage.pending_count()

    def scheduled(self, limit: int | None = None) -> list[Task]:
        """The tasks that wait for their time, the earliest first; unknown ones are left out."""
        return self._known_tasks(self.storage.scheduled(checked_limit(limit)))

    def scheduled_count(self) -> int:
        """How many tasks wait for their time."""
        return self.storage.scheduled_count()

    def waiting_count(self) -> int:
        """How many callbacks wait for the members of their chords."""
        return self.storage.waiting_count()

    def running_count(self) -> int:
        """How many tasks are in the hands of consumers."""
        return self.storage.running_count()

    def __len__(self) -> int:
        return self.pending_count()

    def __bool__(self) -> bool:
        return True

    def flush(self) -> None:
        """Delete all tasks, results, revocations, locks, counters and history; what is paused stays so."""
        self.storage.flush()

    def _known_tasks(self, messages: list[bytes]) -> list[Task]:
        tasks = []
        for data in messages:
            try:
                tasks.append(self.deserialize_task(data))
            except Exception as error:  # noqa: BLE001 -- whatever a foreign payload raises
                logger.warning("A message can't be shown, it %s", undecodable(error))
        return tasks
