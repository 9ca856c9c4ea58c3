"""The queue as an executor of `concurrent.futures`: workers run any function, futures tell how it ended."""

from __future__ import annotations

import os
import pickle
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor as BaseExecutor
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from liteq.api import Huey
from liteq.exceptions import ConfigurationError, TaskException
from liteq.messages import Error
from liteq.options import OF_A_CALL, check_options
from liteq.storage.base import Storage
from liteq.submission import Executed, Mapped, PickledCall, name_of, pickled_calls
from liteq.waiting import Waiter, Waiting

P = ParamSpec("P")
T = TypeVar("T")


class RemoteError(TaskException):
    """The cause of an exception that was raised in a worker; it shows the traceback there."""

    def __str__(self) -> str:
        return f"\n{self.metadata.get('traceback') or super().__str__()}"


class TaskFuture(Future[T]):
    """A call in the queue.

    It is pending until it has ended; whether it runs is asked for when somebody wants to know.
    """

    def __init__(self, task_id: str, storage: Storage, executor: Executor) -> None:
        super().__init__()
        self.task_id = task_id
        """The id of the call's task, as in the consumer's log."""
        self.storage = storage
        self.withdrawn = False
        self.executor = executor
        self._ended_without_value = False

    def cancel(self) -> bool:
        """Take the call out of the queue; False if a consumer has taken it, or it has ended.

        Raises:
            StorageError: if storage could not be written.
        """
        if not self.done():
            self.executor.withdraw([self])
        return self.withdrawn or self.cancelled()

    def running(self) -> bool:
        """Whether a consumer has taken the call: it runs, or is among the next that a worker will run."""
        return not self.done() and self.storage.is_claimed(self.task_id)

    def end_without_value(self) -> None:
        """Become cancelled, unless there is a value; only the first of several calls has an effect."""
        with self._condition:
            first, self._ended_without_value = not self._ended_without_value, True
        if first and super().cancel():
            self.set_running_or_notify_cancel()  # now `wait` and `as_completed` see it as well

    def forget(self) -> None:
        """Its end has been told."""
        self.executor.forget(self)


class _Call(Waiting):
    """Ends a future with its task."""

    def __init__(self, future: TaskFuture[Any], huey: Huey) -> None:
        super().__init__(future.task_id)
        self._future = future
        self._huey = huey
        self._data: bytes | None = None

    def read(self) -> None:
        self._data = self._future.storage.pop_result(self.id)

    def tell(self) -> bool:
        data, self._data = self._data, None
        if data is None:  # it was revoked, has expired or was flushed
            self._end(self._future.end_without_value)
            return True
        try:
            value = self._huey.decode_value(self.id, data)
        except Exception as error:  # noqa: BLE001 -- whatever unpickling raises is for the reader
            self.fail(error)
            return True
        if not isinstance(value, Error):
            self._end(self._future.set_result, value)
        elif value.metadata.get("retries"):
            return False  # the error of an attempt that was not the last
        else:
            self.fail(_exception_of(value.metadata))
        return True

    def fail(self, error: BaseException) -> None:
        self._end(self._future.set_exception, error)

    def _end(self, end: Callable[..., None], *args: Any) -> None:
        try:
            with suppress(InvalidStateError):  # it has ended by other means
                end(*args)
        finally:
            self._future.forget()  # after the callbacks, whatever they raise


class Executor(BaseExecutor):
    """Runs functions in the workers of a queue's consumers; see `Huey.submit` for what can be sent.

    The calls are tasks. They are in the queue when `submit` returns and stay there whatever becomes of this
    process, which does not wait for them at its exit: use `with`, or `shutdown`. A call whose worker dies
    runs again. A declared task runs as a plain function, without the options of its declaration.

    Args:
        huey: the queue.
        **options: `priority`, `retries`, `retry_delay`, `retry_backoff`, `expires`, `timeout` of all calls.

    Raises:
        ConfigurationError: if the queue stores no results.
        TypeError: for another option.
        ValueError: if an option has no such value.
    """

    def __init__(self, huey: Huey, **options: Any) -> None:
        if unknown := options.keys() - set(OF_A_CALL):
            raise TypeError(f"an Executor has no option {', '.join(sorted(unknown))}")
        check_options(**options)
        if not huey.results:
            raise ConfigurationError(
                "an Executor needs a queue that stores results, not one with results=False"
            )
        self._huey = huey
        self._options = options
        self._waiters: dict[Storage, Waiter] = {}
        self._shut_down = False
        self.reset_after_fork()
        _executors.add(self)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Enqueue `fn(*args, **kwargs)`.

        Raises:
            RuntimeError: after `shutdown`.
            TypeError: if `fn` is not a function.
            SerializationError: if it or an argument can't be pickled; it says which.
            ConfigurationError: if the queue's serializer can't carry functions.
            StorageError: if it could not be stored.
        """
        [call] = pickled_calls(self._huey.serializer, fn, [(args, kwargs)])
        return self._enqueue(Executed, name_of(fn), [call])[0]

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """The values of `fn` for the items of the iterables, in their order; all calls are enqueued at once.

        Args:
            fn: the function.
            *iterables: where its arguments come from; read to the end of the shortest.
            timeout: seconds from now, after which the next value raises TimeoutError.
            chunksize: how many calls make one task.

        Whatever ends the iteration early, an exception of `fn` for one, takes the rest out of the queue.

        Raises:
            ValueError: for a chunksize less than 1. For the rest see `submit`.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be 1 or more")
        deadline = None if timeout is None else time.monotonic() + timeout
        calls = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(calls, chunksize)), [])
        calls_of_fn = pickled_calls(self._huey.serializer, fn, chunks)
        return _values(self._enqueue(Mapped, name_of(fn), calls_of_fn), deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: until all futures are done and their callbacks have run (not within such a callback).
            cancel_futures: take those out of the queue that no consumer has taken.
        """
        with self._changed:
            self._shut_down = True
            pending = list(self._pending)
        if cancel_futures:
            self.withdraw(pending)
        if wait and not any(waiter.is_own_thread() for waiter in self._waiters.values()):
            with self._changed:
                self._changed.wait_for(lambda: not self._pending)

    # For its futures

    def withdraw(self, futures: Sequence[TaskFuture[Any]]) -> None:
        """Cancel those of its futures that no consumer has taken, in one transaction.

        Raises:
            StorageError: if storage could not be written.
        """
        with self._withdrawing:  # a second thread that withdraws the same is told the same
            for storage in {future.storage for future in futures}:
                own = [future for future in futures if future.storage is storage]
                withdrawn = storage.withdraw([future.task_id for future in own])
                for future in own:
                    future.withdrawn = future.withdrawn or future.task_id in withdrawn
        for future in futures:
            if future.withdrawn:
                self.forget(future)
                future.end_without_value()

    def forget(self, future: TaskFuture[Any]) -> None:
        """A future has told its end."""
        with self._changed:
            self._pending.discard(future)
            self._changed.notify_all()

    def reset_after_fork(self) -> None:
        """Start anew in a child; the parent waits for what was submitted there."""
        self._changed = threading.Condition()
        self._withdrawing = threading.Lock()
        self._pending: set[TaskFuture[Any]] = set()

    def _enqueue(
        self, kind: type[Executed], name: str, calls: Sequence[PickledCall]
    ) -> list[TaskFuture[Any]]:
        storage = self._huey.storage
        tasks = [kind((name, call), **self._options) for call in calls]
        futures: list[TaskFuture[Any]] = [TaskFuture(task.id, storage, self) for task in tasks]
        with self._changed:
            if self._shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._pending.update(futures)
            if storage not in self._waiters:  # another one since immediate mode was switched
                self._waiters[storage] = Waiter(storage)
            waiter = self._waiters[storage]
        ticket = waiter.ticket()
        try:
            self._huey.enqueue_many(tasks)
            waiter.add(*(_Call(future, self._huey) for future in futures))
        except BaseException:
            for future in futures:
                future.forget()
            raise
        if waiter.has_changed(ticket):
            waiter.look([future.task_id for future in futures])
        return futures


def _values(tasks: list[TaskFuture[Any]], deadline: float | None) -> Iterator[Any]:
    """The values of tasks of several calls each, one after the other."""
    tasks.reverse()
    try:
        while tasks:
            left = None if deadline is None else deadline - time.monotonic()
            values = tasks[-1].result(left)
            tasks.pop()  # not kept while the caller works with its values
            yield from values
    finally:
        if tasks:
            tasks[0].executor.withdraw(tasks)


def _exception_of(metadata: dict[str, Any]) -> BaseException:
    """What the task raised, as far as it could be pickled."""
    pickled = metadata.pop("exception", None)
    try:
        error = pickle.loads(pickled) if pickled else None
    except Exception:  # noqa: BLE001 -- its class may be there in the worker alone
        error = None
    if not isinstance(error, BaseException):
        return TaskException(metadata)
    error.__cause__ = RemoteError(metadata)
    return error


_executors: weakref.WeakSet[Executor] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for executor in _executors:
        executor.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
