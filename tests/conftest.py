"""What the tests of all folders share."""

from __future__ import annotations

import compileall
import os
import signal
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

PACKAGE = Path(__file__).parents[1] / "liteq"


def pytest_configure(config: pytest.Config) -> None:
    """Compile liteq once, before the tests start hundreds of processes that import it.

    They write no bytecode themselves: that of an application which is replaced within the second would be
    taken for the new one's. For the same reason it is compared by hash here.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in the background so; what is tested is what a terminal would start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # once, not in each process of a parallel run
        compileall.compile_dir(
            PACKAGE, quiet=2, force=True, invalidation_mode=PycInvalidationMode.CHECKED_HASH
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: half of the time, tests wait for other processes."""
    return min(2 * len(os.sched_getaffinity(0)), 16)
