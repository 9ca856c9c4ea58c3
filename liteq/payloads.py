"""Tasks and values as bytes; of those that can't be, what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from liteq.bounds import LONGEST_PIPELINE
from liteq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from liteq.registry import Registry
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.tasks import Task


class Payloads:
    """The part of the queue that serializes.

    Whatever is refused is refused before anything of the call is stored. What is wrong is looked for only
    then, so that it costs nothing otherwise.
    """

    registry: Registry
    serializer: Serializer
    storage: Storage
    utc: bool
    max_payload: int | None

    def serialize_task(self, task: Task) -> bytes:
        """The bytes of a task.

        Raises:
            SerializationError: naming the task, which of its arguments does not serialize, and why.
            PayloadTooLarge: if they are more than the queue allows.
            ValueError: if its id or priority can't be stored, or it leads to too many further tasks.
        """
        _check_length(task)
        encoded = self.registry.encode(task, self.utc)
        try:
            data = _for_tasks(self.serializer).serialize(encoded)
        except Exception as error:
            raise SerializationError(_refusal(self.serializer, task, error)) from error
        if len(data) > self._payload_limit():
            raise PayloadTooLarge(
                f"{_name(task)} can't be enqueued: {self._excess(data)}{_largest(self.serializer, task)}"
            )
        return data

    def deserialize_task(self, data: bytes) -> Task:
        """The task of its bytes.

        Raises:
            UnknownTask: if this application does not declare it.
        """
        return self.registry.decode(_for_tasks(self.serializer).deserialize(data), self.utc)

    def serialize_result(self, task: Task, value: Any) -> bytes:
        """The bytes of what a task returned; raises as `serialize_value`."""
        return self.serialize_value(value, lambda: f"the return value of {_name(task)}")

    def serialize_value(self, value: Any, what: Callable[[], str]) -> bytes:
        """The bytes of a value to be stored; `what` tells what it is, for an error.

        Raises:
            SerializationError: naming it, its type, and why it does not serialize.
            PayloadTooLarge: if they are more than the queue allows.
        """
        try:
            data = self.serializer.serialize(value)
        except Exception as error:
            raise SerializationError(_does_not(what(), value, error)) from error
        if len(data) > self._payload_limit():
            raise PayloadTooLarge(f"{what()} can't be stored: {self._excess(data)}")
        return data

    def _payload_limit(self) -> float:
        return self.max_payload or self.storage.capabilities.max_payload or float("inf")

    def _excess(self, data: bytes) -> str:
        whose = "this storage" if self.max_payload is None else "max_payload"
        return f"it has {len(data):,} bytes, and the limit of {whose} is {self._payload_limit():,}"


def _check_length(task: Task) -> None:
    if task.on_complete is None and task.on_error is None:
        return
    number, waiting = 0, [task]
    while waiting:
        number += 1
        if number > LONGEST_PIPELINE:
            raise ValueError(
                f"{_name(task)} leads to more than {LONGEST_PIPELINE} stages and error handlers; "
                "let the last stage enqueue the next ones"
            )
        stage = waiting.pop()
        waiting += [one for one in (stage.on_complete, stage.on_error) if one is not None]


def _for_tasks(serializer: Serializer) -> Serializer:
    """The serializer of tasks; an object of an application's own may have none for them alone."""
    own = getattr(serializer, "for_tasks", None)
    return serializer if own is None else own()


def checked_serializer(serializer: Any) -> Serializer | None:
    """The serializer, or None where none is given.

    Raises:
        ConfigurationError: if it is something else, such as the class of one.
    """
    if isinstance(serializer, type) or not (serializer is None or hasattr(serializer, "serialize")):
        raise ConfigurationError(f"serializer must be an object such as JSONSerializer(), not {serializer!r}")
    return cast("Serializer | None", serializer)


def check_max_payload(max_payload: Any, storage: Storage) -> None:
    """Refuse a limit that is none.

    Raises:
        ConfigurationError: if it is not a number of bytes, or more than the storage can hold.
    """
    if max_payload is None:
        return
    if isinstance(max_payload, bool) or not isinstance(max_payload, int) or max_payload <= 0:
        raise ConfigurationError(f"max_payload must be a number of bytes, not {max_payload!r}")
    most = storage.capabilities.max_payload
    if most is not None and max_payload > most:
        raise ConfigurationError(f"max_payload is {max_payload:,}, and this storage holds {most:,} at most")


def _name(task: Task) -> str:
    return Registry.task_to_string(type(task))


def _refusal(serializer: Serializer, task: Task, error: Exception) -> str:
    """Say which argument of a task is to blame; its error, or that of the task as a whole if none is."""
    for argument, value in _arguments(task):
        try:
            serializer.serialize(value)
        except Exception as its_error:  # noqa: BLE001 -- told to the caller
            return f"{_name(task)} can't be enqueued: {_does_not(argument, value, its_error)}"
    return f"{_name(task)} can't be enqueued, it does not serialize: {type(error).__name__}: {error}"


def _does_not(what: str, value: Any, error: Exception) -> str:
    return f"{what}, of type {type(value).__qualname__}, does not serialize: {type(error).__name__}: {error}"


def _largest(serializer: Serializer, task: Task) -> str:
    sizes = [(len(serializer.serialize(value)), argument) for argument, value in _arguments(task)]
    return "; {1} has {0:,}".format(*max(sizes)) if sizes else ""


def _arguments(task: Task) -> Iterator[tuple[str, Any]]:
    """All arguments of a task, of the later stages of its pipeline, and of their error handlers."""
    for number, stage in enumerate(task.stages(), 1):
        where = f" of stage {number} of its pipeline ({_name(stage)})" if number > 1 else ""
        for position, value in enumerate(stage.args, 1):
            yield f"argument {position}{where}", value
        for keyword, value in stage.kwargs.items():
            if value is not stage:  # which `Registry.encode` leaves out
                yield f"keyword argument {keyword!r}{where}", value
        if stage.on_error is not None:
            for argument, value in _arguments(stage.on_error):
                yield f"{argument} of the error handler ({_name(stage.on_error)}){where}", value
