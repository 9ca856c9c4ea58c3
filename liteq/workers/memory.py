"""How much memory a worker has for itself.

Workers are forked from a template and share its pages until one of them writes to a page. The resident set
(RSS) counts those pages for every worker, so that it would blame each for the template. What counts is what
would be free if the process ended: its unique set (USS). The system has to walk through all of its pages to
tell it, which takes 15 ms for a gigabyte. But it is never more than the RSS, which is told in 30 µs.
"""

from __future__ import annotations

import re
from typing import Any

from liteq import clock

MEGABYTE = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": MEGABYTE, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)
_SHARE = 100
"""A measurement is followed by a pause of so many times its length, ..."""
_GROWTH = 8
"""... or until the RSS has grown by this part of the limit."""


def parse_size(text: str) -> int:
    """The bytes of a size such as 512M or 1.5G; units are powers of 1024.

    Raises:
        ValueError: if it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size: write bytes, or a number with K, M, G or T, such as 512M")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def shown(size: int) -> str:
    """A number of bytes for people, as 1,204 MB."""
    return f"{size // MEGABYTE:,} MB"


class PrivateMemory:
    """The private memory of a process, as far as it may exceed a limit.

    Args:
        pid: the process.
        limit: bytes.
    """

    def __init__(self, pid: int, limit: int) -> None:
        import psutil  # here, as everywhere: it takes long to import, and most processes do without

        self._psutil: Any = psutil
        self._process: Any = None
        self._pid = pid
        self.limit = limit
        """Bytes."""
        self._private = 0
        self._resident = 0
        self._next = 0

    def measure(self, now: int) -> int:
        """Bytes; where they are not above the limit, or can't have become so, maybe fewer than there are.

        Args:
            now: monotonic microseconds.
        """
        try:
            if self._process is None:
                self._process = self._psutil.Process(self._pid)
            resident = self._process.memory_info().rss
            if resident <= self.limit:
                return 0
            if now >= self._next or resident - self._resident >= self.limit // _GROWTH:
                began = clock.monotonic()
                self._private, self._resident = self._exact(resident), resident
                self._next = now + _SHARE * (clock.monotonic() - began)
        except self._psutil.NoSuchProcess:
            return 0
        return self._private

    def _exact(self, resident: int) -> int:
        try:
            return int(self._process.memory_full_info().uss)
        except (
            self._psutil.AccessDenied
        ):  # a process that has changed its user: what it shares can't be told from here
            return int(resident)
