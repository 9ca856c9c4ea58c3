"""Storage backends. `base` is the contract; each backend passes the same conformance suite."""

from __future__ import annotations

from typing import Any

from liteq.storage.base import Capabilities, DeadTask, Storage, WakeSource, Wakeup


def __getattr__(name: str) -> Any:
    """The backends, loaded when they are asked for: `from liteq.storage import SqliteStorage`."""
    if name == "SqliteStorage":
        from liteq.storage.sqlite import SqliteStorage

        return SqliteStorage
    if name == "MemoryStorage":
        from liteq.storage.memory import MemoryStorage

        return MemoryStorage
    if name == "RedisStorage":
        from liteq.storage.redis import RedisStorage

        return RedisStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Capabilities", "DeadTask", "Storage", "WakeSource", "Wakeup"]
