"""Mistakes in declarations that Python itself would let pass, and that would then do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from liteq import signals as known
from liteq.exceptions import ConfigurationError
from liteq.functions import is_async_generator, takes_nothing
from liteq.schedules import Crontab


def refuse_bare(decorator: str, *arguments: Any) -> None:
    """Refuse a decorator that was written without parentheses: its argument is then the function.

    Raises:
        TypeError: saying what to write.
    """
    for argument in arguments:
        if isinstance(argument, Crontab):
            raise TypeError(f"a crontab says when: write @huey.periodic_task({argument!r})")
        if callable(argument):
            name = getattr(argument, "__name__", repr(argument))
            raise TypeError(f"@huey.{decorator} needs parentheses: write @huey.{decorator}() above {name}")


def refuse_bare_periodic(validate: Any) -> None:
    """Refuse `@huey.periodic_task` without a schedule: what it gets is then a task, which takes no datetime.

    Raises:
        TypeError: saying what to write.
    """
    if takes_nothing(validate):
        raise TypeError(
            f"periodic_task() takes a schedule, and {validate.__name__} takes no datetime: "
            "write @huey.periodic_task(crontab(minute='0')), say"
        )


def check_function(func: Any, name: str | None) -> None:
    """Refuse to make a task of what is no function, has no name to be found by, or has no single value.

    Raises:
        TypeError: saying which of the first two.
        ConfigurationError: for an asynchronous generator.
    """
    if not callable(func):
        raise TypeError(f"a task is made of a function, not of {func!r}")
    if name is None and not hasattr(func, "__name__"):
        raise TypeError(f"{func!r} has no name of its own: declare it with name=")
    if is_async_generator(func):
        raise ConfigurationError(
            f"{func.__qualname__} is an asynchronous generator, and a task has one value: return a list"
        )


def check_signals(names: Iterable[Any]) -> None:
    """Refuse the names of signals that do not exist, whose receivers would never be called.

    Raises:
        ValueError: naming those that do.
    """
    existing = {value for name, value in vars(known).items() if name.startswith("SIGNAL_")}
    for name in names:
        if name not in existing:
            raise ValueError(f"there is no signal {name!r}; there are {', '.join(sorted(existing))}")
