"""Storage backends. `base` is the contract; each backend passes the same conformance suite."""

from __future__ import annotations

from liteq.storage.base import Capabilities, DeadTask, Storage, WakeSource, Wakeup

__all__ = ["Capabilities", "DeadTask", "Storage", "WakeSource", "Wakeup"]
