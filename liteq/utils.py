"""Names that applications import from here, as they did from huey."""

from __future__ import annotations

from liteq.clock import normalize_time
from liteq.messages import SKIPPED, Error
from liteq.results import EmptyData

__all__ = ["SKIPPED", "EmptyData", "Error", "normalize_time"]
