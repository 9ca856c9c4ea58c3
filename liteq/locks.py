"""Locks and semaphores, and the part of the queue's surface about them."""

from __future__ import annotations

from datetime import timedelta

from liteq import clock
from liteq.exceptions import TaskLockedException
from liteq.identity import own_identity
from liteq.slots import LockHost, Slots, checked_limit, checked_name, claim_in, look
from liteq.storage.base import Holder, Storage
from liteq.tasks import Task


class TaskLock(Slots):
    """What one may hold at a time; as a decorator, it keeps a function from running twice at once.

    It belongs to the attempt that acquired it, or outside of tasks to the process, and is free at the latest
    when that has ended. Nobody waits for it: who can't have it gets a TaskLockedException.

    Args:
        huey: the queue.
        name: the lock.
        ttl: seconds after which it is free although it was not released; None: no such end. Those in which
            the machine sleeps do not count: its holder sleeps as well.

    Raises:
        TypeError: if the name is not a text.
        ValueError: if it is empty, or ttl is not more than 0.
    """

    def __init__(self, huey: LockHost, name: str, ttl: float | timedelta | None = None) -> None:
        super().__init__(huey, name, 1, None if ttl is None else clock.duration_us(ttl, "ttl"))

    def acquire(self) -> bool:
        """Take the lock; True.

        Raises:
            TaskLockedException: if it is held, be it by this attempt or process itself.
        """
        self._remember(self._hold())
        return True

    def release(self) -> bool:
        """Give up the lock if it is this attempt's, or outside of tasks this process's; whether it was."""
        holder = self._latest()
        if holder is not None:
            return self._give_back(holder)
        me = (own_identity(), claim_in(self._huey))
        held = self._huey.storage.locks(self._name, now=clock.monotonic())
        return any(self._give_back(it) for it in held if (it.process, it.claim) == me)

    def clear(self) -> bool:
        """Free the lock, whoever holds it; whether it was held."""
        return bool(self._huey.storage.clear_locks([self._name], now=clock.monotonic()))

    def is_locked(self) -> bool:
        """Whether it is held, and not just left behind by a process that is gone."""
        return bool(look(self._huey.storage, self._name).living)

    def locked(self) -> bool:
        """The same as `is_locked`."""
        return self.is_locked()


class TaskSemaphore(Slots):
    """What a limited number may hold at the same time.

    Slots are held as a `TaskLock` is, and free for the same reasons.

    Args:
        huey: the queue.
        name: the semaphore; a lock of the same name is the same thing with a limit of 1.
        value: how many may hold it.
        timeout: seconds after which a slot is free although it was not released or renewed; None: no such
            end. Those in which the machine sleeps do not count.

    Raises:
        TypeError: if the name is not a text.
        ValueError: if it is empty, value is not 1 or more, or timeout is not more than 0.
    """

    def __init__(
        self, huey: LockHost, name: str, value: int = 1, timeout: float | timedelta | None = None
    ) -> None:
        ttl = None if timeout is None else clock.duration_us(timeout, "timeout")
        super().__init__(huey, name, checked_limit(value, "value"), ttl)

    def acquire(self, name: str | None = None) -> str | None:
        """Take a slot, and call it `name` or give it a name; None if there is none.

        Who takes a slot by the name of one that it holds keeps that, and its timeout counts anew.
        """
        try:
            return self._hold(None if name is None else checked_name(name, "slot")).token
        except TaskLockedException:
            return None

    def renew(self, name: str) -> bool:
        """Let the timeout of a slot count anew; False if it is held no more."""
        now = clock.monotonic()
        ends = None if self._ttl is None else now + self._ttl
        storage = self._huey.storage
        return any(storage.renew_lock(it._replace(expires=ends), now=now) for it in self._named(name))

    def release(self, name: str) -> bool:
        """Give back a slot; whether it was held. Any process may that knows its name."""
        return any(self._give_back(it) for it in self._named(name))

    def holders(self) -> list[str]:
        """The names of the slots that are held."""
        return [holder.token for holder in look(self._huey.storage, self._name).living]

    def _named(self, name: str) -> list[Holder]:
        held = self._huey.storage.locks(self._name, now=clock.monotonic())
        return [holder for holder in held if holder.token == name]


class Locking:
    """The part of the queue's surface about locks."""

    storage: Storage
    in_flight: set[Task]

    def lock_task(self, lock_name: str, ttl: float | timedelta | None = None) -> TaskLock:
        """A lock, for use as a decorator below `@huey.task()` or as a context manager; see `TaskLock`."""
        return TaskLock(self, lock_name, ttl)

    def is_locked(self, lock_name: str) -> bool:
        """Whether a lock is held."""
        return TaskLock(self, lock_name).is_locked()

    def flush_locks(self, *names: str) -> set[str]:
        """Free these locks and semaphores, or all without names, whoever holds them; those that were held."""
        for name in names:
            checked_name(name, "lock")
        return self.storage.clear_locks(names or None, now=clock.monotonic())
