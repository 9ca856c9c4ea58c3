"""The queue as applications see it: one object that declares tasks, enqueues calls and reads results."""

from __future__ import annotations

import traceback
from typing import Any, ClassVar, cast

from liteq import clock, signals
from liteq import storage as backends
from liteq.bounds import check_line
from liteq.canvas import chord, group
from liteq.control import Inspection, ResultStore, Revocations
from liteq.declarations import Declarations
from liteq.direct import DirectExecution, HeldBack
from liteq.emitter import Emitter
from liteq.enqueueing import Enqueueing, check_priority
from liteq.events import Events
from liteq.exceptions import ConfigurationError, TaskException
from liteq.hooks import Hooks
from liteq.limits import Limits, RateLimit
from liteq.locks import Locking, TaskLock
from liteq.messages import Message
from liteq.older import OlderNames, older_options
from liteq.options import check_options
from liteq.outcomes import text_of
from liteq.pauses import Pauses
from liteq.payloads import Payloads, check_max_payload, checked_serializer
from liteq.records import Records
from liteq.registry import Registry
from liteq.result_groups import ChordResult, ResultGroup
from liteq.results import EmptyData, Result
from liteq.schedules import crontab
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.storage.blackhole import BlackHoleStorage
from liteq.storage.memory import MemoryStorage
from liteq.submission import BUILT_IN, Executed, Submission, pickled_exception
from liteq.tasks import PeriodicTask, Task, signature_of
from liteq.timetable import Scheduling
from liteq.wrapper import TaskWrapper

__all__ = [
    "BlackHoleHuey",
    "ChordResult",
    "EmptyData",
    "FileHuey",
    "Huey",
    "MemoryHuey",
    "PeriodicTask",
    "PriorityRedisExpireHuey",
    "PriorityRedisHuey",
    "RateLimit",
    "RedisExpireHuey",
    "RedisHuey",
    "Result",
    "ResultGroup",
    "SqliteHuey",
    "Task",
    "TaskLock",
    "TaskWrapper",
    "chord",
    "crontab",
    "group",
]

_OF_MEMORY = ("expire_time", "history", "history_age")  # of the options of any storage

# Names of huey 0.3 to 1.
AsyncData = TaskResultWrapper = Result
QueueTask, QueuePeriodicTask = Task, PeriodicTask

_signature = signature_of  # the name that applications import


class Huey(
    Declarations,
    DirectExecution,
    Enqueueing,
    Submission,
    Payloads,
    Scheduling,
    ResultStore,
    Revocations,
    Locking,
    Limits,
    Pauses,
    Inspection,
    Records,
    Events,
    OlderNames,
):
    """A queue. Making one opens nothing: storage is opened by the first call that needs it.

    Args:
        name: the queue's name; several queues may share one storage.
        results: store what tasks return; without, a call returns None.
        store_none: store it also when it is None.
        utc: naive datetimes of tasks are UTC; with False, local time.
        immediate: run tasks at once in the caller, for tests and development.
        serializer: turns tasks and results into bytes; cloudpickle by default.
        compression: compress them. A `serializer` that is given has options of its own for it.
        use_zlib: compress with zlib in place of gzip.
        immediate_use_memory: in immediate mode, keep everything in memory and leave the real storage alone.
        storage_class: the backend, where the class has none of its own.
        store_intermediate_errors: a failed task that is retried shows its error meanwhile.
        max_payload: the most bytes of one task, with its arguments, and of one result; what the storage can
            hold by default.
        **storage_kwargs: options of the backend.
    """

    storage_class: type[Storage] | None = None
    _backend = "SqliteStorage"  # if that is None; it is loaded only where it is used

    def __init__(
        self,
        name: str = "huey",
        results: bool = True,
        store_none: bool = False,
        utc: bool = True,
        immediate: bool = False,
        serializer: Serializer | None = None,
        compression: bool = False,
        use_zlib: bool = False,
        immediate_use_memory: bool = True,
        storage_class: type[Storage] | None = None,
        store_intermediate_errors: bool = True,
        max_payload: int | None = None,
        **storage_kwargs: Any,
    ) -> None:
        _check_queue(name)
        results, immediate = older_options(storage_kwargs, results, immediate)
        self.name = name
        self.results = results
        self.store_none = store_none
        self.store_intermediate_errors = store_intermediate_errors
        self.utc = utc
        self.serializer = checked_serializer(serializer) or Serializer(compression, use_zlib=use_zlib)
        self.max_payload = max_payload
        self.immediate_use_memory = immediate_use_memory
        self.storage_kwargs = storage_kwargs
        if storage_class is not None:
            self.storage_class = storage_class
        self.registry = Registry(BUILT_IN)
        self.hooks = Hooks()
        self.emitter = Emitter(self)
        self.signals = signals.Signal(self.emitter)
        self.in_flight: set[Task] = set()
        self._immediate = bool(immediate)
        self._held_back: list[HeldBack] = []
        self._direct_owner: tuple[int, int] | None = None
        self.storage = self.create_storage()
        check_max_payload(max_payload, self.storage)

    # Storage

    def create_storage(self) -> Storage:
        """The storage for the mode that the queue is in."""
        if self._immediate and self.immediate_use_memory:
            return self.get_immediate_storage()
        return self.get_storage(**self.storage_kwargs)

    def get_immediate_storage(self) -> Storage:
        """The storage of immediate mode: in memory, with what it has of the options of the real one."""
        options = {name: self.storage_kwargs[name] for name in _OF_MEMORY if name in self.storage_kwargs}
        return MemoryStorage(self.name, **options)

    def get_storage(self, **kwargs: Any) -> Storage:
        """The real storage.

        Raises:
            ConfigurationError: for an option that the backend does not know.
        """
        backend: Any = self.storage_class or getattr(backends, self._backend)
        return cast("Storage", backend(self.name, **kwargs))  # each backend has options of its own

    @property
    def immediate(self) -> bool:
        """Whether tasks run at once in the caller; may be set at any time."""
        return self._immediate

    @immediate.setter
    def immediate(self, value: bool) -> None:
        before, self._immediate = self._immediate, bool(value)
        if self._immediate == before or not self.immediate_use_memory:
            return
        left = self.storage
        try:
            self.storage = self.create_storage()
        except BaseException:
            self._immediate = before
            raise
        left.close()
        self._direct_owner = None
        self._held_back.clear()

    # Messages

    def message_of(self, task: Task) -> Message:
        """The message of a task that is about to be enqueued; its expiry counts from here.

        That of a callback counts from the end of the last member instead.
        """
        if task.expires and task.gathers is None:
            task.resolve_expires(self.utc)
        message = Message(
            task.id,
            task.registry_key,
            self.serialize_task(task),
            task.priority or 0,
            None if task.eta is None else clock.to_us(task.eta, self.utc),
            task.at_most_once,
        )
        if task.priority:
            check_priority(task, self.storage.capabilities)
        if task.on_complete is None and task.chord_config is None and task.gathers is None:
            return message
        _, *later = task.stages()
        for stage in later:
            check_priority(stage, self.storage.capabilities)
        return message._replace(
            chain=tuple([stage.id for stage in later]), joins=task.joins, gathers=task.gathers
        )

    def result(
        self,
        id: str,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> Any:
        """The value of the task of an id; the arguments are those of `Result.get`."""
        check_options(id=id)
        handle = Result(self, Task(id=id))
        return handle.get(blocking, timeout, backoff, max_delay, revoke_on_timeout, preserve)

    def build_error_result(self, task: Task, exception: BaseException) -> dict[str, Any]:
        """What is stored of a failure, and found in `TaskException.metadata`."""
        error = text_of(exception)
        if isinstance(exception, TaskException):
            error = exception.metadata.get("error") or error
        metadata: dict[str, Any] = {
            "error": error,
            "retries": task.retries,
            "traceback": "".join(traceback.format_exception(exception)),
            "task_id": task.id,
        }
        if isinstance(task, Executed):
            metadata["exception"] = pickled_exception(exception)
        return metadata

    def notify_interrupted_tasks(self) -> None:
        """Send the signal `interrupted` for all tasks that run in this process at the moment."""
        while self.in_flight:
            self.signals.send(signals.SIGNAL_INTERRUPTED, self.in_flight.pop())
        self.emitter.flush()


def _check_queue(name: Any) -> None:
    if not name or type(name) is not str:
        raise ConfigurationError(f"a queue's name is a text that is not empty, not {name!r}")
    try:
        check_line("a queue's name", name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


class SqliteHuey(Huey):
    """A queue in a SQLite file; see `liteq.storage.sqlite.SqliteStorage` for its options."""


class FileHuey(Huey):
    """A queue in a folder, for tests and development: see `liteq.storage.file.FileStorage`."""

    _backend = "FileStorage"


class RedisHuey(Huey):
    """A queue on a Redis or Valkey server, first in, first out; see `liteq.storage.redis.RedisStorage`.

    Raises:
        ConfigurationError: if redis-py is not installed, or an option has no such value.
    """

    storage_defaults: ClassVar[dict[str, Any]] = {"priorities": False}

    def get_storage(self, **kwargs: Any) -> Storage:
        """See `Huey.get_storage`."""
        if self.storage_class is not None:
            return super().get_storage(**kwargs)
        try:
            from liteq.storage.redis import RedisStorage  # redis-py is an extra, and loaded where it is used
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"{type(self).__name__} needs redis-py: install liteq[redis] ({error})"
            ) from error
        return RedisStorage(self.name, **{**self.storage_defaults, **kwargs})


class PriorityRedisHuey(RedisHuey):
    """The same with priorities."""

    storage_defaults: ClassVar[dict[str, Any]] = {"priorities": True}


class RedisExpireHuey(RedisHuey):
    """The same as `RedisHuey`, but reading leaves results where they are, and they expire."""

    storage_defaults: ClassVar[dict[str, Any]] = {
        "priorities": False,
        "keep_results": True,
        "expire_time": 86_400,
    }


class PriorityRedisExpireHuey(RedisExpireHuey):
    """The same as `RedisExpireHuey` with priorities."""

    storage_defaults: ClassVar[dict[str, Any]] = {**RedisExpireHuey.storage_defaults, "priorities": True}


class MemoryHuey(Huey):
    """A queue in memory, of this process alone: for immediate mode and tests."""

    storage_class = MemoryStorage


class BlackHoleHuey(Huey):
    """A queue in which everything vanishes; a call is checked, and then forgotten."""

    storage_class = BlackHoleStorage
