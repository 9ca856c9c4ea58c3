"""Tasks that bring their function with them, for functions that the application never declared."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, Final, NamedTuple, cast

from liteq.exceptions import ConfigurationError, SerializationError
from liteq.serializer import Serializer
from liteq.tasks import Task
from liteq.wrapper import TaskWrapper, task_of_call


class PickledCall(NamedTuple):
    """A pickled function, and the pickled arguments of a call of it, or of several.

    It is a type of its own, so that only a serializer that carries any type can carry it: who chose JSON, in
    order that reading the queue runs no code, is not made to run what somebody calls a function.
    """

    function: bytes
    arguments: bytes


class Submitted(Task):
    """A call of `Huey.submit`. Its arguments are the function's name, for people, and the payload."""

    def __repr__(self) -> str:
        return f"{super().__repr__()} ({self.args[0] if self.args else '?'})"

    def execute(self) -> Any:
        """Unpickle the function and call it.

        Raises:
            TypeError: for a message that `submit` did not make.
        """
        function, (args, kwargs) = self.unpickle()
        return self.call(function, args, kwargs)

    def unpickle(self) -> tuple[Any, Any]:
        """The function and its arguments."""
        payload = self.args[1] if len(self.args) == 2 else None
        if not isinstance(payload, PickledCall):
            raise TypeError("a submitted call must have been pickled by submit()")
        return pickle.loads(payload.function), pickle.loads(payload.arguments)

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call it; of a declared task, the function that was declared."""
        if isinstance(function, TaskWrapper):
            if function.context:
                kwargs = {**kwargs, "task": self}
            function = function.func
        return function(*args, **kwargs)


class Executed(Submitted):
    """A call of `liteq.Executor`, which has to tell every end from every other."""

    store_none = True


class Mapped(Executed):
    """Some calls of `liteq.Executor.map`: its arguments are those of all, and so are its values."""

    def execute(self) -> Any:
        """As the base class; the values of all."""
        function, calls = self.unpickle()
        return [self._value(self.call(function, args, {})) for args in calls]

    def _value(self, value: Any) -> Any:
        if type(value) is not CoroutineType:
            return value
        from liteq.asynchronous import run  # asyncio is loaded only where it is used

        return run(value)


BUILT_IN: Final = (Submitted, Executed, Mapped)
"""The tasks that every queue knows."""


class Submission:
    """The part of the queue that takes functions which are not declared."""

    serializer: Serializer
    utc: bool
    enqueue: Callable[[Task], Any]

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Enqueue a call of any function: a lambda, a closure, one of `__main__`; what `enqueue` returns.

        The function travels with the call, pickled by cloudpickle: by name if it can be imported, which the
        consumer then must be able to do as well, and otherwise by value. A declared task is enqueued as
        calling it would do.

        Args:
            function: what the worker calls.
            *args: its arguments.
            **kwargs: its keyword arguments, but for those that are reserved as in a call of a declared task:
                `id eta delay retries retry_delay retry_backoff priority expires timeout`.

        Raises:
            TypeError: if it is not a function.
            SerializationError: if it or an argument can't be pickled; it says which.
            ValueError: if a reserved keyword has no such value.
            ConfigurationError: if the queue's serializer can't carry functions, as JSON can't.
        """
        if isinstance(function, TaskWrapper) and cast("object", function.huey) is self:
            return function(*args, **kwargs)
        task = task_of_call(Submitted, (), kwargs, self.utc)
        [call] = pickled_calls(self.serializer, function, [(args, task.kwargs)])
        task.args, task.kwargs = (name_of(function), call), {}
        return self.enqueue(task)


def pickled_calls(
    serializer: Serializer, function: Callable[..., Any], arguments: Iterable[Any]
) -> list[PickledCall]:
    """Pickle calls of one function.

    Raises:
        TypeError: if it is not a function.
        SerializationError: if it or an argument can't be pickled.
        ConfigurationError: if the serializer can't carry them.
    """
    if not callable(function):
        raise TypeError(f"submit() takes a function and its arguments, not {function!r}")
    name = name_of(function)
    pickled = _pickled(_by_reference(function), name)
    _check_serializer(serializer)
    return [PickledCall(pickled, _pickled(each, f"an argument of {name}")) for each in arguments]


def pickled_exception(exception: BaseException) -> bytes | None:
    """An exception, if it can be pickled and read back."""
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(exception)
        return pickled if type(pickle.loads(pickled)) is type(exception) else None
    except Exception:  # noqa: BLE001 -- many can't; they are described instead
        return None


def name_of(function: Any) -> str:
    """What people call it; of what has no name of its own, its type: its repr may hold arguments."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if name:
        return f"{getattr(function, '__module__', '?')}.{name}"
    if isinstance(function, functools.partial):
        return f"{name_of(function.func)} in a partial"
    return f"{type(function).__module__}.{type(function).__qualname__}"


def _by_reference(function: Any) -> Any:
    """The function as it is to be pickled; of a declared task that can't be imported, what it wraps."""
    if isinstance(function, TaskWrapper) and not function.can_be_imported:
        return function.func
    return function


def _pickled(value: Any, what: str) -> bytes:
    import cloudpickle  # it takes a fifth of the time that `import liteq` may take

    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise SerializationError(
            f"{what} can't be pickled, and so can't be sent to a worker: {error}. What can't be copied to "
            "another process, such as a connection, a lock or a queue, is opened or imported in the function"
        ) from error


def _check_serializer(serializer: Serializer) -> None:
    empty = PickledCall(b"", b"")
    try:
        carried = type(serializer.deserialize(serializer.serialize(empty))) is PickledCall
    except Exception:  # noqa: BLE001 -- whatever a serializer refuses with
        carried = False
    if not carried:
        raise ConfigurationError(
            f"{type(serializer).__name__} can't carry functions, which submit() sends: declare the function "
            "with @huey.task(), or give the queue a serializer that pickles"
        )
