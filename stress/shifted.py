"""Clocks that can be set: those of all processes under stress, and of none else.

The wall clock jumps when people or NTP set it. The time since boot jumps when the machine has slept; the
monotonic clock does not, and is left alone.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from liteq import clock

_SHIFTS = struct.Struct("<qq")


class Shift:
    """By how much the clocks of this process are off, as the file in a folder says.

    Args:
        folder: where the file is, or is made.
    """

    def __init__(self, folder: str | Path) -> None:
        path = _path(folder)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(_SHIFTS.size)
            self._memory = mmap.mmap(file.fileno(), _SHIFTS.size)
        self._now, self._since_boot = clock.now, clock.since_boot
        clock.now = lambda: self._now() + self.wall
        clock.since_boot = lambda: self._since_boot() + self.boot

    @property
    def wall(self) -> int:
        """Microseconds by which the wall clock is ahead."""
        return int(_SHIFTS.unpack(self._memory)[0])

    @property
    def boot(self) -> int:
        """Microseconds for which the machine has slept."""
        return int(_SHIFTS.unpack(self._memory)[1])

    def set(self, wall: int, boot: int) -> None:
        """Set the clocks of all processes that follow this file."""
        _SHIFTS.pack_into(self._memory, 0, wall, boot)

    def end(self) -> None:
        """Give this process its clocks back."""
        clock.now, clock.since_boot = self._now, self._since_boot


def follow(folder: str | Path) -> None:
    """Follow the file in a folder, if there is one."""
    if _path(folder).exists():
        Shift(folder)


def _path(folder: str | Path) -> Path:
    return Path(folder, "clock")
