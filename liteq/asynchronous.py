"""Run a coroutine to its end, for tasks that are `async def` functions; loaded only when there is one.

Each coroutine gets an event loop of its own, and a copy of the context (`contextvars`) of its caller. When it
has ended, what it started and left running is cancelled and awaited, as `asyncio.run` does it.

**Exceptions of signal handlers.** A worker's signal handlers stop a task by raising: `TaskInterrupted` at
SIGTERM, for example. An exception that is raised inside an event loop may end in some callback, logged and
forgotten. So while a coroutine runs in the main thread, every handler is called through this module. Where
code of the coroutine (or of a task that it started) is being executed at that moment, the exception is raised
there, as in any other code. Where the loop waits or works for itself, the coroutine is cancelled instead: it
sees `asyncio.CancelledError` at its `await`. In either case `run` ends with the exception that the handler
raised; only a coroutine that catches it, and returns, has succeeded, as any task. A handler needs nothing for
this but to be installed before `run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from types import FrameType
from typing import Any, Protocol

from liteq.exceptions import CancelExecution
from liteq.greenlets import is_patched

GRACE = 3.0
"""Seconds that a coroutine which is stopped by an exception from outside has for its own clean-up."""

_SIGNALS = tuple(signal.valid_signals())


class _Handler(Protocol):
    def __call__(self, number: int, frame: FrameType | None, /) -> Any:
        """Handle a signal."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The value of the coroutine; what it raises is raised.

    Inside a running event loop it runs in a thread beside it, and the loop stands still until it has ended.

    Raises:
        RuntimeError: in a greenlet: asyncio has one loop at a time in all that share a thread.
        CancelExecution: if the coroutine ended by cancelling itself.
        BaseException: whatever a signal handler, or anything else, raised into it.
    """
    if is_patched() and threading.current_thread() is not threading.main_thread():
        coroutine.close()
        raise RuntimeError("coroutines can't run in greenlets: use -k thread or -k process (the default)")
    the_run = _Run(coroutine)
    return _beside(the_run) if _is_in_loop() else the_run.result()


def stop(thread: int, exception: BaseException) -> bool:
    """End the coroutine that a thread runs, so that `run` raises the exception there; whether that was told.

    For threads in which an exception would come too late, while they wait in their event loop. It can be told
    once; if that does not help, code that computes may be at fault.
    """
    the_run = _running.get(thread)
    return the_run is not None and the_run.stop(exception)


class _Run:
    """One coroutine and its loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._stopped_by: BaseException | None = None
        self._closing = False
        self._wakeup: int | None = None

    def result(self) -> Any:
        """Run it in this thread."""
        try:
            with contextlib.ExitStack() as handlers:
                if threading.current_thread() is threading.main_thread():
                    self._guard(handlers)
                self._run_and_close()
        finally:
            if self._main is None:
                self._coroutine.close()  # it never started, and need not warn of that
        return self._outcome()

    def stop(self, exception: BaseException) -> bool:
        """End it, from whatever thread or signal handler, so that `result` raises the exception.

        False if it was to end already, and does not yet.
        """
        anew = self._stopped_by is None
        if anew:
            self._stopped_by = exception
        self._call_in_loop(self._cancel)
        return anew

    def _is_stopped(self) -> bool:
        return self._stopped_by is not None

    def _call_in_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(function)

    def _cancel(self) -> None:
        if self._closing or self._main is None:
            asyncio.get_running_loop().stop()  # a clean-up that is stopped is left as it is
        else:
            self._main.cancel()
            self._limit()

    def _limit(self) -> None:
        """Let it end by itself, but not for ever."""
        asyncio.get_running_loop().call_later(GRACE, self._cancel)

    def _run_and_close(self) -> None:
        self._loop = loop = asyncio.new_event_loop()
        _running[threading.get_ident()] = self
        try:
            if not self._is_stopped():
                loop.set_exception_handler(self._on_loop_error)
                if self._wakeup is not None:
                    loop.add_reader(self._wakeup, os.read, self._wakeup, 4096)
                self._main = loop.create_task(self._coroutine)
                self._until_done(loop, self._main)
                if not self._is_stopped() and not self._main.done():
                    raise RuntimeError("the event loop was stopped before the coroutine had ended")
        finally:
            _running.pop(threading.get_ident(), None)
            self._close(loop)

    def _until_done(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
        task.add_done_callback(lambda _: loop.stop())
        loop.run_forever()

    def _outcome(self) -> Any:
        if self._main is None or not self._main.done():
            raise self._stopped_by or RuntimeError("the coroutine has not ended")
        try:
            return self._main.result()
        except BaseException as error:
            if self._stopped_by is error:
                raise
            if self._stopped_by is not None:
                raise self._stopped_by from error  # whose traceback says where
            if isinstance(error, asyncio.CancelledError):
                raise CancelExecution("its coroutine was cancelled") from error
            raise

    # Exceptions from outside

    def _guard(self, handlers: contextlib.ExitStack) -> None:
        """Call all signal handlers through this run; from the last of them on, none raises into our code."""
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                handlers.callback(signal.signal, number, handler)
                signal.signal(number, self._guarded(handler))
        # Handlers are called between two steps of Python: a signal that comes just before the loop's wait for
        # events must end that wait.
        self._wakeup, wakeup = os.pipe()
        for fd in (self._wakeup, wakeup):
            handlers.callback(os.close, fd)
            os.set_blocking(fd, False)
        handlers.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False))

    def _guarded(self, handler: _Handler) -> _Handler:
        def handle(number: int, frame: FrameType | None, /) -> None:
            try:
                handler(number, frame)
            except BaseException as exception:
                executing = _executing(self._loop, frame)
                if executing is None or executing is not self._main:
                    self.stop(exception)
                else:
                    self._stopped_by = self._stopped_by or exception
                    self._call_in_loop(self._limit)
                if executing is not None:
                    raise

        return handle

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop caught what nobody else did; what is no `Exception` was not meant for it."""
        exception = context.get("exception")
        if exception is None or isinstance(exception, Exception | asyncio.CancelledError):
            loop.default_exception_handler(context)
        else:
            self._stopped_by = self._stopped_by or exception
            loop.stop()  # the callback that it hit may have been the one that leads to the end

    # The end

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is left, and wait for it; but not for threads, if the coroutine was cut short."""
        self._closing = True
        cut_short = self._is_stopped() or self._main is None or not self._main.done()
        try:
            self._cancel_all(loop, GRACE if cut_short else None)
            self._until_done(loop, loop.create_task(loop.shutdown_asyncgens()))
            if not cut_short:
                self._until_done(loop, loop.create_task(loop.shutdown_default_executor()))
        finally:
            loop.close()

    def _cancel_all(self, loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        self._until_done(loop, loop.create_task(asyncio.wait(tasks, timeout=timeout)))
        for task in tasks - {self._main}:
            error = task.exception() if task.done() and not task.cancelled() else None
            if isinstance(error, Exception):
                message = "a task that a coroutine left behind failed while it was cancelled"
                loop.call_exception_handler({"message": message, "exception": error, "task": task})


_running: dict[int, _Run] = {}
"""By thread."""


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _executing(loop: asyncio.AbstractEventLoop | None, frame: FrameType | None) -> asyncio.Task[Any] | None:
    """The task whose own code a signal interrupted; None if that is the loop's.

    A task that is being switched to or away from is current, too. What is raised there would never reach its
    coroutine, and the loop would forget the task.
    """
    task = None if loop is None else asyncio.current_task(loop)
    outermost = None if task is None else getattr(task.get_coro(), "cr_frame", None)
    while frame is not None and frame is not outermost:
        frame = frame.f_back
    return None if frame is None else task


def _beside(the_run: _Run) -> Any:
    """Run it in a thread, because this one's loop is running already."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(the_run.result())
        except BaseException as error:  # noqa: BLE001 -- raised in the caller
            future.set_exception(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="liteq-async", daemon=True)
    thread.start()
    try:
        return future.result()  # not `join`, which takes a thread for ended if it is interrupted
    except BaseException as exception:
        if not future.done():
            the_run.stop(exception)
            wait([future])
        raise
    finally:
        thread.join()
