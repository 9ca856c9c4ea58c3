"""A memory barrier, for what processes tell each other through shared memory without a lock."""

from __future__ import annotations

import platform
import threading

_IN_ORDER = platform.machine().lower() in {"x86_64", "amd64", "i386", "i686"}
"""These processors show their writes in order, and one atomic operation keeps all on its side."""


class Barrier:
    """Stands between accesses of shared memory.

    A lock that is taken lets nothing from behind it go before, and one that is given back nothing from before
    it go behind. Between giving it back once and taking it again nothing gets through in either direction.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Have all that was before take effect before anything begins that comes behind."""
        with self._lock:
            pass
        if not _IN_ORDER:
            with self._lock:
                pass
