"""What locks and semaphores have in common: slots that no dead process and no ended attempt keeps."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self, TypeVar, cast

from liteq import clock
from liteq.bounds import check_name, shown
from liteq.current import current_task
from liteq.exceptions import StorageError, TaskLockedException
from liteq.functions import is_coroutine_function
from liteq.identity import Identity, own_identity
from liteq.messages import ClaimKey, new_id
from liteq.storage.base import Holder, Storage
from liteq.tasks import Task

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("huey")


class LockHost(Protocol):
    """What a lock needs of the queue that it belongs to."""

    storage: Storage
    in_flight: set[Task]


class Slots:
    """What a limited number may hold at the same time; as decorator or context manager, it holds one.

    What is acquired inside a task belongs to this attempt, and is free when the attempt ends, however it
    ends. Acquired elsewhere, it belongs to the process. Either way, it is free when the process that acquired
    it is gone.
    """

    def __init__(self, huey: LockHost, name: str, limit: int, ttl: int | None) -> None:
        self._huey = huey
        self._name = checked_name(name, "lock")
        self._limit = limit
        self._ttl = ttl
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}>"

    def __call__(self, fn: F) -> F:
        """As a decorator: hold a slot while the function runs, or what it returns is awaited."""
        if is_coroutine_function(fn):

            @functools.wraps(fn)
            async def hold_while_awaited(*args: Any, **kwargs: Any) -> Any:
                holder = self._hold()
                try:
                    return await fn(*args, **kwargs)
                finally:
                    self._give_back(holder)

            return cast("F", hold_while_awaited)

        @functools.wraps(fn)
        def hold(*args: Any, **kwargs: Any) -> Any:
            holder = self._hold()
            try:
                return fn(*args, **kwargs)
            finally:
                self._give_back(holder)

        return cast("F", hold)

    def __enter__(self) -> Self:
        self._remember(self._hold())
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        holder = self._latest()
        if holder is not None:
            self._give_back(holder)

    def _hold(self, token: str | None = None) -> Holder:
        """Take a slot.

        Raises:
            TaskLockedException: if there is none.
        """
        storage, now = self._huey.storage, clock.monotonic()
        ends = None if self._ttl is None else now + self._ttl
        holder = Holder(self._name, token or new_id(), own_identity(), claim_in(self._huey), ends)
        if storage.acquire_lock(holder, limit=self._limit, now=now):
            return holder
        found = look(storage, self._name)
        for dead in found.gone:
            storage.release_lock(dead, now=now)
        if found.gone and storage.acquire_lock(holder, limit=self._limit, now=now):
            return holder
        raise TaskLockedException(self._refusal(holder, found.living))

    def _refusal(self, asking: Holder, living: list[Holder]) -> str:
        if len(living) >= self._limit:
            pids = sorted({holder.process.pid for holder in living})
            return f"{self._name!r} is locked by process {', '.join(map(str, pids))}"
        if asking.claim is not None:
            return f"{self._name!r} was locked a moment ago, or this attempt has lost its claim"
        return f"{self._name!r} was locked a moment ago"

    def _give_back(self, holder: Holder) -> bool:
        try:
            return self._huey.storage.release_lock(holder, now=clock.monotonic())
        except StorageError as error:
            if holder.claim is None:
                raise
            # No reason to let the task fail: at the end of its attempt, the lock is free in any case.
            logger.warning("%r could not be released before the end of the task: %s", self._name, error)
            return False

    @property
    def _held(self) -> list[Holder]:
        """What this thread has acquired by this object, the latest last."""
        held: list[Holder] | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = []
        return held

    def _remember(self, holder: Holder) -> None:
        if self._limit == 1:
            self._held.clear()  # had it not ended meanwhile, there would have been no new one
        self._held.append(holder)

    def _latest(self) -> Holder | None:
        """What was acquired last by this attempt (a thread may run several) and process (not its parent)."""
        me = (own_identity(), claim_in(self._huey))
        for holder in reversed(self._held):
            if (holder.process, holder.claim) == me:
                self._held.remove(holder)
                return holder
        return None


class Found(NamedTuple):
    """The holders of a lock."""

    living: list[Holder]
    gone: list[Holder]
    """Their processes have ended."""


def look(storage: Storage, name: str | None = None) -> Found:
    """Who holds a lock, or all locks."""
    holders = storage.locks(name, now=clock.monotonic())
    processes: set[Identity] = {holder.process for holder in holders} - {own_identity()}
    gone = {process for process in processes if storage.is_gone(process)}
    return Found(
        [holder for holder in holders if holder.process not in gone],
        [holder for holder in holders if holder.process in gone],
    )


def claim_in(huey: LockHost) -> ClaimKey | None:
    """The claim of the attempt that this code is part of, if it is one of this queue."""
    task = current_task()
    return task.claim if task is not None and task in huey.in_flight else None


def checked_name(name: str, what: str) -> str:
    """A name that can be stored.

    Raises:
        TypeError: if it is not a text.
        ValueError: if it is empty, too long, or none that can be written as UTF-8.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a {what} is a text, not {name!r}")
    if not name:
        raise ValueError(f"the name of a {what} is empty")
    check_name(f"the name of a {what}", name)
    return name


def checked_limit(limit: Any, what: str) -> int:
    """How many there may be.

    Raises:
        ValueError: if it is not a whole number, 1 or more.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 10**9:
        raise ValueError(f"{what} must be a whole number, 1 or more, up to 10**9, not {shown(limit)}")
    return int(limit)
