"""The queue in memory."""

from __future__ import annotations

from liteq.storage.memory.engine import READING, MemoryStorage

__all__ = ["READING", "MemoryStorage"]
