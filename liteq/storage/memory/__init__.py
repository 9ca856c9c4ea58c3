"""The queue in memory."""

from __future__ import annotations

from liteq.storage.memory.engine import MemoryStorage

__all__ = ["MemoryStorage"]
