"""Storage backends. `base` is the contract; each backend passes `liteq.testing.conformance`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from liteq.storage.base import Capabilities, DeadTask, Storage, WakeSource, Wakeup

_BACKENDS = {
    "BlackHoleStorage": "liteq.storage.blackhole",
    "FileStorage": "liteq.storage.file",
    "MemoryStorage": "liteq.storage.memory",
    "RedisStorage": "liteq.storage.redis",
    "SqliteStorage": "liteq.storage.sqlite",
}


def __getattr__(name: str) -> Any:
    """The backends, loaded when they are asked for: `from liteq.storage import SqliteStorage`."""
    if name in _BACKENDS:
        return getattr(import_module(_BACKENDS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Capabilities", "DeadTask", "Storage", "WakeSource", "Wakeup"]
