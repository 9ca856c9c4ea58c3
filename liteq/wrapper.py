"""What a declared task is to the application: a callable that enqueues instead of running."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from liteq import clock
from liteq.exceptions import UnknownTask
from liteq.functions import Parameters
from liteq.options import RESERVED, check_options
from liteq.registry import Registry
from liteq.result_groups import ResultGroup
from liteq.tasks import Expires, Task

P = ParamSpec("P")
R = TypeVar("R")


class TaskHost(Protocol):
    """What a declared task needs of the queue that it belongs to."""

    utc: bool
    results: bool
    registry: Registry

    def enqueue(self, task: Task) -> Any:
        """Enqueue a task."""

    def enqueue_many(self, tasks: Iterable[Task]) -> Any:
        """Enqueue tasks in one transaction."""

    def is_revoked(self, task: Any, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Whether tasks of a kind are revoked."""

    def revoke_all(
        self,
        task_class: Any,
        revoke_until: Any = None,
        revoke_once: bool = False,
        terminate: bool = False,
    ) -> None:
        """Revoke tasks of a kind."""

    def restore_all(self, task_class: Any) -> bool:
        """Undo a revocation."""


class TaskWrapper(Generic[P, R]):
    """A declared task. Calling it enqueues the call and returns its `Result`."""

    task_base: type[Task] = Task

    def __init__(
        self,
        huey: TaskHost,
        func: Callable[P, R],
        context: bool = False,
        name: str | None = None,
        task_base: type[Task] | None = None,
        **settings: Any,
    ) -> None:
        self.__doc__ = func.__doc__
        self.__name__ = name or getattr(func, "__name__", type(func).__name__)
        self.__wrapped__ = func
        self.huey = huey
        self.func = func
        self.context = context
        self.name = name
        self.settings = settings
        if task_base is not None:
            self.task_base = task_base
        self.task_class = self.create_task(func, context, name, **settings)
        foreign = type(self).create_task is not TaskWrapper.create_task  # which may pass what it likes
        self._parameters = None if foreign else Parameters(func, _supplied(context, settings))
        huey.registry.register(self.task_class)

    def __repr__(self) -> str:
        return f"<TaskWrapper {Registry.task_to_string(self.task_class)}>"

    @property
    def retries(self) -> int:
        """How often a failed task is run again."""
        return self.task_class.default_retries

    @property
    def retry_delay(self) -> float:
        """Seconds before the first retry."""
        return self.task_class.default_retry_delay

    def unregister(self) -> bool:
        """Take the declaration back; whether it was in force."""
        return self.huey.registry.unregister(self.task_class)

    def create_task(
        self, func: Callable[P, R], context: bool = False, name: str | None = None, **settings: Any
    ) -> type[Task]:
        """The class of this declaration's tasks."""
        supplied = _supplied(context, settings)

        def execute(self: Task) -> Any:
            args, kwargs = self.data
            if supplied:
                values = {"task": self, "retries": self.retries}
                kwargs = {**kwargs, **{name: values[name] for name in supplied}}
            return func(*args, **kwargs)

        attributes = {
            "context": context,
            "execute": execute,
            "__module__": func.__module__,
            "__doc__": func.__doc__,
            **settings,
        }
        return type(name or func.__name__, (self.task_base,), attributes)

    def is_revoked(self, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Whether all tasks of this declaration are revoked."""
        return self.huey.is_revoked(self.task_class, timestamp, peek)

    def revoke(
        self, revoke_until: datetime | None = None, revoke_once: bool = False, terminate: bool = False
    ) -> None:
        """Keep all tasks of this declaration from running: until a time, once, or until `restore`.

        With `terminate`, those that run already are ended.
        """
        self.huey.revoke_all(self.task_class, revoke_until, revoke_once, terminate)

    def restore(self) -> bool:
        """Undo `revoke`; whether they were revoked."""
        return self.huey.restore_all(self.task_class)

    def schedule(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        priority: int | None = None,
        retries: int | None = None,
        retry_delay: float | None = None,
        retry_backoff: float | None = None,
        expires: Expires = None,
        timeout: float | None = None,
        id: str | None = None,
        convert_utc: bool = True,
    ) -> Any:
        """Enqueue a call that runs at `eta` or after `delay` seconds.

        A naive `eta` is local time; with `convert_utc=False` it is taken as it is, that is as UTC, or as
        local time in a queue with `utc=False`. A single number, timedelta or datetime is taken as the time.

        Raises:
            ValueError: if there is neither time nor delay, or an option has no such value.
            TypeError: if the function does not take these arguments.
        """
        if eta is None and delay is None:
            args, eta, delay = _lone_time(args)
        args = _call_arguments(args)
        if kwargs is not None and not isinstance(kwargs, dict):
            raise ValueError(f"schedule() takes kwargs as a dict, not as a {type(kwargs).__name__}")
        if self._parameters is not None:
            self._parameters.check(args, kwargs or {})
        due = _due(eta, delay, self.huey.utc, convert_utc)
        options: dict[str, Any] = {
            "retries": retries,
            "retry_delay": retry_delay,
            "retry_backoff": retry_backoff,
            "priority": priority,
            "expires": expires,
            "timeout": timeout,
        }
        check_options(id=id, **options)
        return self.huey.enqueue(self.task_class(args, kwargs or {}, id=id, eta=due, **options))

    def map(self, it: Iterable[Any]) -> ResultGroup | None:
        """Enqueue a call for each item, all in one transaction; a tuple is a call's arguments."""
        tasks = [self._complete(self.s(*(item if isinstance(item, tuple) else (item,)))) for item in it]
        results = self.huey.enqueue_many(tasks)
        return ResultGroup(results) if self.huey.results else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Enqueue a call; the reserved keywords are those of `s`.

        Raises:
            ValueError: if a reserved keyword has no such value.
            TypeError: if the function does not take these arguments.
        """
        return self.huey.enqueue(self._complete(self.s(*args, **kwargs)))

    def _complete(self, task: Task) -> Task:
        """Refuse a call that lacks an argument; a task of `s` may still get one, from the stage before."""
        if self._parameters is not None:
            self._parameters.check(task.args, task.kwargs)
        return task

    def call_local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now; a coroutine function gives its coroutine, to be awaited."""
        return self.func(*args, **kwargs)

    def s(self, *args: Any, **kwargs: Any) -> Task:
        """A task of a call, not enqueued yet.

        The keywords `id eta delay retries retry_delay retry_backoff priority expires timeout` say how it
        runs; the others are the function's.

        Raises:
            ValueError: if one of them has no such value.
        """
        if not kwargs:
            return self.task_class(args, kwargs)
        return task_of_call(self.task_class, args, kwargs, self.huey.utc)

    @property
    def can_be_imported(self) -> bool:
        """Whether another process of the application finds this declaration by its module and name."""
        try:
            return self.func.__module__ != "__main__" and _find(*self._place) is self
        except (AttributeError, ImportError):
            return False

    @property
    def _place(self) -> tuple[str, str]:
        return self.func.__module__, str(getattr(self.func, "__qualname__", self.__name__))

    def __reduce__(self) -> Any:
        """Pickled by reference, as functions are: for functions that call tasks, and are sent to a worker."""
        if not self.can_be_imported:
            raise pickle.PicklingError(f"the task {'.'.join(self._place)} can't be imported by that name")
        return _find, self._place


def name_of_declared(task: Any) -> str:
    """The name in the registry of a declared task, or of the class that its declaration made.

    Raises:
        UnknownTask: for something else.
    """
    task_class = task.task_class if isinstance(task, TaskWrapper) else task
    if not (isinstance(task_class, type) and issubclass(task_class, Task)):
        raise UnknownTask(f"{task!r} is not a declared task")
    return Registry.task_to_string(task_class)


def _find(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def task_of_call(task_class: type[Task], args: tuple[Any, ...], kwargs: dict[str, Any], utc: bool) -> Task:
    """A task of a call, with the reserved keywords taken out of `kwargs`; see `TaskWrapper.s`."""
    eta, delay = kwargs.pop("eta", None), kwargs.pop("delay", None)
    due = clock.normalize_time(eta, delay, utc) if (eta, delay) != (None, None) else None
    options = {name: kwargs.pop(name) for name in RESERVED if name in kwargs}
    if options:
        check_options(**options)
    return task_class(args, kwargs, eta=due, **options)


def _supplied(context: bool, settings: dict[str, Any]) -> tuple[str, ...]:
    """The keywords that a function gets from the queue."""
    task = context or settings.get("include_task")
    return (*(("task",) if task else ()), *(("retries",) if settings.get("retries_as_argument") else ()))


def _call_arguments(args: Any) -> tuple[Any, ...]:
    """The arguments of a call to be scheduled.

    Raises:
        TypeError: if they stand there by themselves instead of in a tuple.
    """
    if args is None:
        return ()
    if isinstance(args, str | bytes | dict) or not isinstance(args, Iterable):
        raise TypeError(
            f"schedule() takes the arguments of the call in a tuple: (x,), not a lone {type(args).__name__}"
        )
    return tuple(args)


def _due(eta: Any, delay: Any, utc: bool, convert_utc: bool) -> datetime:
    if not convert_utc and delay is None and isinstance(eta, datetime) and eta.tzinfo is None:
        return eta
    return clock.normalize_time(eta, delay, utc)


def _lone_time(args: Any) -> tuple[Any, datetime | None, float | timedelta | None]:
    if isinstance(args, datetime):
        return None, args, None
    if isinstance(args, int | float | timedelta):
        return None, None, args
    raise ValueError("schedule() needs eta= (a datetime) or delay= (seconds)")
