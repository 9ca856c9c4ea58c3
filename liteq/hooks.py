"""Functions of the application that run around tasks and at the start and end of a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from liteq.exceptions import CancelExecution

Hook = Callable[..., Any]

logger = logging.getLogger("huey")


class HookList:
    """Hooks of one kind, by name, in the order of their registration."""

    def __init__(self, kind: str, *, may_cancel: bool = False) -> None:
        self.kind = kind
        self._may_cancel = may_cancel
        self._hooks: dict[str, Hook] = {}

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def register(self, name: str | None, hook: Hook) -> None:
        """Add a hook; one of the same name is replaced."""
        key = name or str(getattr(hook, "__name__", repr(hook)))
        self._hooks[key] = hook

    def unregister(self, name: str | Hook | None) -> bool:
        """Remove a hook by its name, or by itself, whatever its name; whether there was one."""
        if name is None:
            return False
        if isinstance(name, str):
            return self._hooks.pop(name, None) is not None
        itself = [key for key, hook in self._hooks.items() if hook == name]
        key = itself[0] if itself else getattr(name, "__name__", repr(name))
        return self._hooks.pop(key, None) is not None

    def run(self, *args: Any) -> None:
        """Call all; one that raises is logged and the others run.

        Raises:
            CancelExecution: if a hook of a kind that may cancel did; it ends the round.
        """
        for name, hook in tuple(self._hooks.items()):
            try:
                hook(*args)
            except Exception as error:
                if self._may_cancel and isinstance(error, CancelExecution):
                    logger.warning("Canceled by %s hook %s: %s", self.kind, name, args[:1])
                    raise
                logger.exception("%s hook %s raised for %s", self.kind, name, args[:1])


class Hooks:
    """The four kinds of hooks."""

    def __init__(self) -> None:
        self.startup = HookList("on-startup")
        self.shutdown = HookList("on-shutdown")
        self.pre_execute = HookList("pre-execute", may_cancel=True)
        self.post_execute = HookList("post-execute")
