"""Await results in asyncio: without polling, and with one thread for all that is awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Protocol

from liteq.exceptions import ResultTimeout
from liteq.waiting import Waiting, waiter_of


class Handle(Protocol):
    """A `Result`."""

    huey: Any

    @property
    def id(self) -> str:
        """The task's id."""

    @property
    def is_kept(self) -> bool:
        """Whether the value is in the handle."""

    def accept(self, data: Any, preserve: bool = False) -> None:
        """Keep what was read for this handle."""

    def get(self, *, preserve: bool = False) -> Any:
        """The value, or None."""


async def aget_result(
    res: Handle,
    backoff: float = 1.15,
    max_delay: float = 1.0,
    preserve: bool = False,
    timeout: float | None = None,  # noqa: ASYNC109 -- huey's signature
) -> Any:
    """The value that a task returns, once it has ended; None as `Result.get(blocking=True)` has it.

    Args:
        res: the task's handle, or that of a chord or a group.
        backoff: accepted as huey's; where storage can't wake the waiter, it is looked at every 1 to 100 ms.
        max_delay: the same.
        preserve: leave the value in storage; otherwise it is taken out and kept in the handle.
        timeout: seconds to wait at the most.

    Raises:
        TaskException: if the task failed.
        ResultTimeout: if the time is up.
        TypeError: for something that is not a `Result`.
    """
    if isinstance(res, Iterable):
        return await aget_result_group(res, backoff, max_delay, preserve, timeout)
    res = getattr(res, "callback", res)  # a chord's value is that of its callback
    if not hasattr(res, "accept"):
        raise TypeError(f"{res!r} is not the result of a task; a queue with results=False has none")
    if not res.is_kept:
        res.accept(res.huey.get_raw(res.id, peek=preserve), preserve)
    if not res.is_kept:
        await _wait(res, preserve, timeout)
    return res.get(preserve=preserve)


async def aget_result_group(rg: Iterable[Handle], *args: Any, **kwargs: Any) -> list[Any]:
    """The values of several tasks, in order; the other arguments are those of `aget_result`.

    Raises:
        TaskException: as soon as one of them failed.
        ResultTimeout: if the time is up.
    """
    tasks = [asyncio.ensure_future(aget_result(res, *args, **kwargs)) for res in rg]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _wait(res: Handle, preserve: bool, timeout: float | None) -> None:  # noqa: ASYNC109 -- as above
    waiter = waiter_of(res.huey.storage)
    awaited = _Awaited(res, preserve)
    waiter.add(awaited)
    try:
        waiter.look([res.id])
        async with asyncio.timeout(timeout):
            error = await asyncio.shield(awaited.told)
    except TimeoutError:
        if waiter.discard(awaited):
            raise ResultTimeout(f"no result of task {res.id} within {timeout} seconds") from None
        error = await awaited.told  # it is being read at this moment
    except asyncio.CancelledError:
        if not waiter.discard(awaited):
            await awaited.told  # the same: on its way from storage to the handle it is in neither
        raise
    if error is not None:
        raise error


class _Awaited(Waiting):
    """A coroutine that waits, in whatever loop."""

    def __init__(self, res: Handle, preserve: bool) -> None:
        super().__init__(res.id)
        self._res = res
        self._preserve = preserve
        self._data: Any = None
        self._loop = asyncio.get_running_loop()
        self.told: asyncio.Future[BaseException | None] = self._loop.create_future()

    def read(self) -> None:
        self._data = self._res.huey.get_raw(self.id, peek=self._preserve)

    def tell(self) -> bool:
        # The handle keeps the value even if nobody awaits it any more: it is not in storage.
        try:
            self._res.accept(self._data, self._preserve)
        except Exception as error:  # noqa: BLE001 -- whatever unpickling raises is for the reader
            self.fail(error)
        else:
            self._resume(None)
        return True

    def fail(self, error: BaseException) -> None:
        self._resume(error)

    def _resume(self, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._set, error)

    def _set(self, error: BaseException | None) -> None:
        if not self.told.done():
            self.told.set_result(error)
