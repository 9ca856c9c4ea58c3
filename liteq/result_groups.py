"""Handles of several results: of a pipeline, a group, a chord."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from liteq.results import Result, ResultHost
from liteq.storage.contract.results import FIRST_LOOK, LONGEST_WATCH


class Handle(Protocol):
    """What a group consists of."""

    @property
    def huey(self) -> ResultHost:
        """The queue."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The value."""

    def is_over(self) -> bool:
        """Whether nothing more will come."""

    def reset(self) -> None:
        """Forget the value in this handle."""


class ResultGroup:
    """The results of several tasks: of a pipeline's stages, of a `map`, of a group."""

    def __init__(self, results: Sequence[Handle]) -> None:
        self._results = list(results)

    def get(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The values of all, in order; the arguments are those of `Result.get`."""
        return [result.get(*args, **kwargs) for result in self._results]

    __call__ = get

    def __await__(self) -> Generator[Any, None, list[Any]]:
        """Wait for all without stopping the event loop; see `liteq.contrib.asyncio`."""
        from liteq.awaiting import aget_result_group  # asyncio is loaded only where it is used

        return aget_result_group(self).__await__()

    def __getitem__(self, index: int) -> Any:
        return self._results[index].get(True)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def huey(self) -> ResultHost:
        """The queue of the first."""
        return self._results[0].huey

    def is_over(self) -> bool:
        """Whether each has a result, or none will come."""
        return all(result.is_over() for result in self._results)

    def reset(self) -> None:
        """Forget the values in these handles."""
        for result in self._results:
            result.reset()

    def as_completed(self, backoff: float = 1.15, max_delay: float = 1.0) -> Iterator[Any]:
        """The values in the order in which the tasks end."""
        waiting = deque(self._results)
        look = FIRST_LOOK
        while waiting:
            wakeup = waiting[0].huey.storage.results_wakeup()
            ticket = wakeup.ticket()
            before = len(waiting)
            for _ in range(before):
                result = waiting.popleft()
                if result.is_over():
                    yield result.get()
                else:
                    waiting.append(result)
            if len(waiting) == before:
                wakeup.wait(ticket, LONGEST_WATCH if wakeup.watching else look)
                look = min(look * max(backoff, 1.0), max_delay)


class ChordResult:
    """The result of a chord, which is that of its callback.

    Args:
        results: the results of the members: of a pipeline that of its last stage, of a chord that of the last
            stage after its callback.
        callback_result: the result of the callback.
        pipeline: the results of the callback and of the stages after it, if there are any.
        pipelines: the results of all stages of all members and of the callback, for `revoke`.
    """

    def __init__(
        self,
        results: ResultGroup,
        callback_result: Result,
        pipeline: ResultGroup | None = None,
        pipelines: Sequence[Sequence[Result]] = (),
    ) -> None:
        self.results = results
        self.callback = callback_result
        self.pipeline_results = pipeline
        self._pipelines = pipelines

    @property
    def huey(self) -> ResultHost:
        """The queue."""
        return self.callback.huey

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the callback; see `Result.get`."""
        return self.callback.get(*args, **kwargs)

    __call__ = get

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the callback's value, as `Result` does."""
        return self.callback.__await__()

    def is_over(self) -> bool:
        """Whether the callback has a result, or none will come."""
        return self.callback.is_over()

    def revoke(self, revoke_once: bool = True, terminate: bool = False) -> None:
        """Keep the callback and all members from running; what has started goes on, unless `terminate`."""
        storage = self.huey.storage
        with storage.batch():
            for pipeline in self._pipelines or [[self.callback]]:
                # What comes after a stage that is revoked does not run either.
                live = next((stage for stage in pipeline if storage.is_live(stage.id)), None)
                if live is not None:
                    live.revoke(revoke_once, terminate)

    def reset(self) -> None:
        """Forget the values in these handles."""
        self.results.reset()
        self.callback.reset()
        if self.pipeline_results is not None:
            self.pipeline_results.reset()
