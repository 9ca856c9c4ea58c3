"""Results in asyncio, where applications import them from."""

from __future__ import annotations

from liteq.awaiting import aget_result, aget_result_group

__all__ = ["aget_result", "aget_result_group"]
