"""How an application under stress is at the moment: good, or broken at a place in a way."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

GOOD: Final = "good"
MOOD: Final = "LITEQ_STRESS_MOOD"
"""The environment's name for the mood of one process; without it, that of the folder counts."""


def mood_in(folder: str) -> str:
    """The mood of this process."""
    return os.environ.get(MOOD) or Path(folder, "mood").read_text(encoding="utf-8")


def _raise() -> None:
    raise RuntimeError("broken as it has to be")


def _hang() -> None:
    while True:
        time.sleep(3600)


BREAKS: Final[dict[str, Callable[[], Any]]] = {
    "raises": _raise,
    "exits": lambda: sys.exit(3),
    "leaves": lambda: os._exit(3),
    "crashes": lambda: ctypes.string_at(0),
    "hangs": _hang,
}
"""How it breaks."""
