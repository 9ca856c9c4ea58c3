"""Whether this process has greenlets in place of threads."""

from __future__ import annotations

import sys


def is_patched() -> bool:
    """Whether gevent has replaced the threads of this process, so that one that waits lets others run."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
