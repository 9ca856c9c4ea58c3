"""Tasks: one call of a function, with all that decides when and how often it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from liteq import clock
from liteq.exceptions import TaskTimeout
from liteq.messages import ClaimKey, new_id
from liteq.meter import Meter
from liteq.schedules import Missed, Schedule

Expires = float | timedelta | datetime | None


class Signature(Protocol):
    """What can stand in a pipeline besides a task: a declared task, whose `s` makes one."""

    def s(self, *args: Any, **kwargs: Any) -> Task:
        """A task of a call."""


class Task:
    """One call of a declared function. Each declaration makes a subclass of its own.

    Times are naive datetimes, in UTC or (with `utc=False`) local time; durations are seconds.
    """

    registry_key = f"{__name__}.Task"
    """Its module and name."""
    default_expires: Expires = None
    default_priority: int | None = None
    default_retries: int = 0
    default_retry_delay: float = 0
    default_retry_backoff: float = 0
    default_timeout: float | None = None
    at_most_once: bool = False
    """After a crash of its worker the task is dead instead of run again."""
    retry_max_delay: float | None = None
    """Seconds that the delay before a retry may grow to by `retry_backoff`."""
    retry_jitter: float = 0
    """The part of that delay, from 0 to 1, that chance may take away."""
    meter: Meter | None = None
    """Of an attempt that tells its progress: how often that is stored."""
    is_done: bool = False
    """The progress that was stored last says that all is done."""
    store_none: bool = False
    """Its result is stored even if it is None."""

    def __init__(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        id: str | None = None,
        eta: datetime | None = None,
        retries: int | None = None,
        retry_delay: float | None = None,
        priority: int | None = None,
        expires: Expires = None,
        on_complete: Task | None = None,
        on_error: Task | None = None,
        expires_resolved: datetime | None = None,
        timeout: float | None = None,
        chord_config: tuple[str, int] | None = None,
        retry_backoff: float | None = None,
    ) -> None:
        self.name = type(self).__name__
        self.args: tuple[Any, ...] = () if args is None else tuple(args)
        self.kwargs: dict[str, Any] = {} if kwargs is None else kwargs
        self.id = id or self.create_id()
        self.eta = eta
        self.retries = self.default_retries if retries is None else retries
        self.retry_delay = self.default_retry_delay if retry_delay is None else retry_delay
        self.retry_backoff = self.default_retry_backoff if retry_backoff is None else retry_backoff
        self.priority = self.default_priority if priority is None else priority
        self.expires = self.default_expires if expires is None else expires
        self.expires_resolved = expires_resolved
        self.timeout = self.default_timeout if timeout is None else timeout
        self.chord_config = chord_config
        self.on_complete = on_complete
        self.on_error = on_error
        self.gathers: int | None = None
        self.claim: ClaimKey | None = None
        self.was_revoked = False
        self.slot: datetime | None = None
        """The moment that a schedule enqueued this for, however late it runs; None for other calls."""
        self._deadline: float | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.registry_key = f"{cls.__module__}.{cls.__name__}"

    @property
    def revoke_id(self) -> str:
        """The key under which this one task is revoked."""
        return f"r:{self.id}"

    @property
    def keeps_result(self) -> bool:
        """Whether what comes of it is stored: nobody has a handle on what a schedule enqueues."""
        return self.slot is None

    @property
    def data(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call."""
        return (self.args, self.kwargs)

    def __repr__(self) -> str:
        text = f"{type(self).__module__}.{self.name}: {self.id}"
        if self.eta:
            text += f" @{self.eta}"
        if self.expires:
            text += f" exp={self.expires}"
        if self.priority:
            text += f" p={self.priority}"
        if self.retries:
            text += f" {self.retries} retries"
        if self.timeout:
            text += f" timeout={self.timeout}"
        if self.on_complete:
            text += f" -> {self.on_complete}"
        if self.on_error:
            text += f", on error {self.on_error}"
        return text

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Task)
            and self.id == other.id
            and self.eta == other.eta
            and type(self) is type(other)
        )

    def create_id(self) -> str:
        """A new id, for a task that was given none."""
        return new_id()

    @property
    def joins(self) -> tuple[str, int] | None:
        """The chord that the end of this pipeline counts for: the id of its callback, and the place there."""
        last = self
        while last.on_complete is not None:
            last = last.on_complete
        return last.chord_config

    def resolve_expires(self, utc: bool = True, start: datetime | None = None) -> datetime | None:
        """The time after which the task must not start.

        A duration counts from the first call of this, which is when the task is enqueued, or from its eta; or
        from `start`.
        """
        if self.expires and self.expires_resolved is None:
            if isinstance(self.expires, datetime):
                self.expires_resolved = clock.normalize_time(eta=self.expires, utc=utc)
            else:
                start = max(start or clock.naive_now(utc), self.eta or datetime.min)  # noqa: DTZ901 -- as eta is
                self.expires_resolved = _later(start, clock.seconds_of(self.expires, "expires"))
        return self.expires_resolved

    def start_timer(self) -> None:
        """Let the task's timeout count from now."""
        self._deadline = time.monotonic() + self.timeout if self.timeout else None

    @property
    def time_remaining(self) -> float:
        """Seconds until the timeout; infinite without one."""
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    @property
    def is_timed_out(self) -> bool:
        """Whether the timeout has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def check_timeout(self) -> None:
        """Give up if the timeout has passed; for long loops in tasks that nothing else can stop.

        Raises:
            TaskTimeout: if it has.
        """
        if self.is_timed_out:
            raise TaskTimeout(f"timeout {self.timeout}s")

    def extend_data(self, data: Any) -> None:
        """Add the value of the stage before: a tuple to the arguments, a dict to the missing keywords."""
        if data is None:
            return
        if isinstance(data, tuple):
            self.args += data
        elif isinstance(data, dict):
            self.kwargs = {**data, **self.kwargs}
        else:
            self.args = (*self.args, data)

    def then(self, task: Task | Signature, *args: Any, **kwargs: Any) -> Self:
        """Run another task after this one (and after those already said), with this one's value.

        Raises:
            TypeError: for something that is not a task.
            ValueError: for a stage that is in the pipeline already.
        """
        following = signature_of(task, args, kwargs)
        *earlier, last = self.stages()
        mine = {id(stage) for stage in (*earlier, last)}
        if any(id(stage) in mine for stage in following.stages()):
            raise ValueError(f"{task!r} is a stage of this pipeline already; make another one by .s()")
        last.on_complete = following
        return self

    def error(self, task: Task | Signature, *args: Any, **kwargs: Any) -> Self:
        """Run another task with the exception if this one fails."""
        if self.on_error:
            self.on_error.error(task, *args, **kwargs)
        else:
            self.on_error = signature_of(task, args, kwargs)
        return self

    def stages(self) -> Iterator[Task]:
        """This task and the later stages of its pipeline."""
        task: Task | None = self
        while task is not None:
            yield task
            task = task.on_complete

    def execute(self) -> Any:
        """Run the function; each declared task defines it.

        Raises:
            TypeError: for a task that was not made by a declaration.
        """
        raise TypeError(f"{type(self).__name__} was not declared with @huey.task()")


def _later(moment: datetime, seconds: float) -> datetime:
    """A moment after another, or the last one that the calendar has."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max  # noqa: DTZ901 -- naive, as all times of tasks are


class PeriodicTask(Task):
    """A task that the consumer enqueues by itself, in each slot of its schedule.

    Attributes:
        schedule: when; None if `validate_datetime` is to be asked, once for each minute.
        missed: what becomes of slots that no consumer was there for.
    """

    schedule: Schedule | None = None
    missed: Missed = Missed.SKIP

    @property
    def keeps_result(self) -> bool:
        """False, however it was enqueued."""
        return False

    def validate_datetime(self, timestamp: datetime) -> bool:
        """Whether the task is due in the minute of `timestamp`."""
        del timestamp
        return False


def signature_of(task: Task | Signature, args: tuple[Any, ...] = (), kwargs: Any = None) -> Task:
    """The task of what was given as one, with further arguments.

    Raises:
        TypeError: for something that is not a task.
    """
    if isinstance(task, Task):
        task.extend_data(args)
        task.extend_data(kwargs)
        return task
    if not hasattr(task, "s"):
        raise TypeError(
            f"{task!r} is not a task: declare it with @huey.task() or pass a task's .s(); "
            "groups and chords can't follow another task"
        )
    return task.s(*args, **(kwargs or {}))
