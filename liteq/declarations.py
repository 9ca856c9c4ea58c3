"""The part of the queue's surface with which an application declares tasks, hooks and receivers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, cast

from liteq import clock
from liteq.functions import is_coroutine_function
from liteq.hooks import HookList, Hooks
from liteq.misuse import check_function, check_signals, refuse_bare, refuse_bare_periodic
from liteq.options import check_options
from liteq.registry import Registry
from liteq.schedules import Missed, Schedule
from liteq.signals import Receiver, Signal
from liteq.tasks import Expires, PeriodicTask, Task
from liteq.wrapper import TaskHost, TaskWrapper

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Declarations:
    """Decorators of a queue."""

    registry: Registry
    hooks: Hooks
    signals: Signal
    utc: bool

    def get_task_wrapper_class(self) -> type[TaskWrapper[..., Any]]:
        """The class that declared tasks are wrapped in, for applications that have their own."""
        return TaskWrapper

    def task(
        self,
        retries: int = 0,
        retry_delay: float = 0,
        retry_backoff: float = 0,
        priority: int | None = None,
        context: bool = False,
        name: str | None = None,
        expires: Expires = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Callable[[Callable[P, R]], TaskWrapper[P, R]]:
        """Declare a function as a task: calling it enqueues the call.

        The function may be a coroutine function: workers run it to its end, in an event loop of its own.

        Args:
            retries: how often a failed task is run again.
            retry_delay: seconds before the first retry.
            retry_backoff: what the delay is multiplied by for each further retry; 0 leaves it as it is.
            priority: higher runs first; 0 by default.
            context: pass the `Task` to the function as keyword `task`.
            name: in place of the function's name in the registry.
            expires: the task must start before this datetime, or within these seconds of being enqueued.
            timeout: seconds that the task may take.
            **kwargs: attributes of the task's class. liteq knows `at_most_once`, `store_none` (its result is
                stored even if it is None), `retry_max_delay` (seconds that `retry_backoff` may lead to),
                `retry_jitter` (the part of the delay that chance may take away, 0 to 1), and of old
                `include_task`, which is `context`, and `retries_as_argument`, which passes the retries that
                are left as keyword `retries`.

        Raises:
            ValueError: if a task of that name is declared, or an option has no such value.
            TypeError: if it was written without parentheses.
            ConfigurationError: if the function is an asynchronous generator.
        """
        refuse_bare("task", retries)
        return self._declare(
            Task, retries, retry_delay, retry_backoff, priority, context, name, expires, timeout, kwargs
        )

    def periodic_task(
        self,
        validate_datetime: Callable[[datetime], bool],
        retries: int = 0,
        retry_delay: float = 0,
        retry_backoff: float = 0,
        priority: int | None = None,
        context: bool = False,
        name: str | None = None,
        expires: Expires = None,
        timeout: float | None = None,
        missed: str = "skip",
        **kwargs: Any,
    ) -> Callable[[Callable[P, R]], TaskWrapper[P, R]]:
        """Declare a task that consumers enqueue by themselves, in each slot of a schedule.

        `validate_datetime` says when: it is `crontab(…)`, `every(…)`, another `Schedule`, or a function that
        gets the start of a minute, as a naive datetime, and says whether the task is due in it.

        `missed` says what becomes of slots that passed while no consumer ran: "skip" leaves out those that
        are late by a minute or more, "once" makes up for all of them by one run, "all" runs each of them (the
        latest 1000). A function is asked about the minutes of the last day at most.

        The other arguments are those of `task`. Results are not stored. With `context=True`, the function
        finds the slot that it runs for in `task.slot`.

        Raises:
            TypeError: if `validate_datetime` can't be called.
            ValueError: if a task of that name is declared, or an option has no such value.
        """
        refuse_bare_periodic(validate_datetime)
        if not callable(validate_datetime):
            raise TypeError(
                f"validate_datetime must be crontab(), every() or a function, not {validate_datetime!r}"
            )
        attributes = {
            **kwargs,
            "validate_datetime": _validator(validate_datetime, self.utc),
            "schedule": validate_datetime if isinstance(validate_datetime, Schedule) else None,
            "missed": Missed.of(missed),
        }
        return self._declare(
            PeriodicTask,
            retries,
            retry_delay,
            retry_backoff,
            priority,
            context,
            name,
            expires,
            timeout,
            attributes,
        )

    def _declare(
        self,
        base: type[Task],
        retries: int,
        retry_delay: float,
        retry_backoff: float,
        priority: int | None,
        context: bool,
        name: str | None,
        expires: Expires,
        timeout: float | None,
        attributes: dict[str, Any],
    ) -> Callable[[Callable[P, R]], TaskWrapper[P, R]]:
        options: dict[str, Any] = {
            "retries": retries,
            "retry_delay": retry_delay,
            "retry_backoff": retry_backoff,
            "priority": priority,
            "expires": expires,
            "timeout": timeout,
        }
        check_options(**{**attributes, **options, "name": name})
        defaults = {f"default_{key}": value for key, value in options.items() if value is not None}

        def decorator(func: Callable[P, R]) -> TaskWrapper[P, R]:
            check_function(func, name)
            wrapper = self.get_task_wrapper_class()(
                cast("TaskHost", self),
                func.func if isinstance(func, TaskWrapper) else func,
                context=context,
                name=name,
                **{"task_base": base, **defaults, **attributes},
            )
            return cast("TaskWrapper[P, R]", wrapper)

        return decorator

    def context_task(
        self, obj: AbstractContextManager[Any], as_argument: bool = False, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], TaskWrapper[..., Any]]:
        """Declare a task that runs inside `with obj:`; with `as_argument` it gets what that yields."""

        def decorator(func: Callable[..., Any]) -> TaskWrapper[..., Any]:
            @functools.wraps(func)
            def inner(*args: Any, **kw: Any) -> Any:
                with obj as value:
                    return func(value, *args, **kw) if as_argument else func(*args, **kw)

            @functools.wraps(func)
            async def inner_async(*args: Any, **kw: Any) -> Any:
                with obj as value:
                    return await (func(value, *args, **kw) if as_argument else func(*args, **kw))

            return self.task(**kwargs)(inner_async if is_coroutine_function(func) else inner)

        return decorator

    def pre_execute(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function with the task before each execution; CancelExecution in it cancels the task."""
        refuse_bare("pre_execute", name)
        return _registering(self.hooks.pre_execute, name)

    def unregister_pre_execute(self, name: Any) -> bool:
        """Remove a hook, by its name or itself."""
        return self.hooks.pre_execute.unregister(name)

    def post_execute(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function with task, value and exception (or None) after each execution."""
        refuse_bare("post_execute", name)
        return _registering(self.hooks.post_execute, name)

    def unregister_post_execute(self, name: Any) -> bool:
        """Remove a hook, by its name or itself."""
        return self.hooks.post_execute.unregister(name)

    def on_startup(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function in each worker before its first task."""
        refuse_bare("on_startup", name)
        return _registering(self.hooks.startup, name)

    def unregister_on_startup(self, name: Any) -> bool:
        """Remove a hook, by its name or itself."""
        return self.hooks.startup.unregister(name)

    def on_shutdown(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function in each worker after its last task."""
        refuse_bare("on_shutdown", name)
        return _registering(self.hooks.shutdown, name)

    def unregister_on_shutdown(self, name: Any = None) -> bool:
        """Remove a hook, by its name or itself."""
        return self.hooks.shutdown.unregister(name)

    def signal(self, *signals: str) -> Callable[[F], F]:
        """Call the function for these signals, or for all: `receiver(signal, task, exception=None)`.

        Raises:
            ValueError: for a signal that does not exist.
            TypeError: if it was written without parentheses.
        """
        refuse_bare("signal", *signals)
        check_signals(signals)

        def decorator(receiver: F) -> F:
            self.signals.connect(receiver, *signals)
            return receiver

        return decorator

    def disconnect_signal(self, receiver: Receiver, *signals: str) -> None:
        """Stop calling a receiver."""
        self.signals.disconnect(receiver, *signals)


def _validator(validate: Callable[[datetime], bool], utc: bool) -> Callable[[PeriodicTask, datetime], bool]:
    """The method `validate_datetime` of a periodic task; naive datetimes are those of the queue."""

    def validate_datetime(_task: PeriodicTask, timestamp: datetime) -> bool:
        if isinstance(validate, Schedule):
            return validate.in_minute(clock.to_us(timestamp, utc), utc)
        return validate(timestamp)

    return validate_datetime


def _registering(hooks: HookList, name: str | None) -> Callable[[F], F]:
    def decorator(hook: F) -> F:
        hooks.register(name, hook)
        return hook

    return decorator
