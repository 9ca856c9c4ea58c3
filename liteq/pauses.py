"""The part of the queue's surface that holds tasks back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liteq.registry import Registry
from liteq.storage.base import Storage
from liteq.wrapper import name_of_declared


class Pauses:
    """Pause and resume the queue, or one declared task.

    What is paused is enqueued as ever, and waits in its place. Tasks that have begun go on. Pauses are
    stored: they hold for all consumers, at once, and until `resume`. In immediate mode `resume` runs what was
    held back.
    """

    storage: Storage
    registry: Registry
    immediate: bool
    run_held_back: Callable[[], None]

    def pause(self, task: Any = None) -> bool:
        """Let no task begin any more, or none of a declaration; False if it was paused already.

        The slots of periodic tasks that are paused pass by; they are not made up for.

        Args:
            task: a declared task, or its name in the registry; None is the whole queue.

        Raises:
            UnknownTask: if it is not declared.
        """
        return self.storage.pause(self._pause_name(task))

    def resume(self, task: Any = None) -> bool:
        """Undo `pause` of the same thing; whether it was paused. A task stays so while the queue is."""
        resumed = self.storage.resume(self._pause_name(task))
        if self.immediate:
            self.run_held_back()
        return resumed

    def is_paused(self, task: Any = None) -> bool:
        """Whether the queue is paused; or, of a declared task, whether it or the queue is."""
        return not self.storage.paused().isdisjoint({None, self._pause_name(task)})

    def _pause_name(self, task: Any) -> str | None:
        if task is None:
            return None
        if isinstance(task, str):
            return self.registry.task_to_string(self.registry.string_to_task(task))
        return name_of_declared(task)
