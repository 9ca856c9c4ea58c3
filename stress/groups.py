"""A control group of the kernel with a limit of memory, where one may be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup/memory")


@contextmanager
def limited(size: int) -> Iterator[str | None]:
    """The folder of a group whose processes have so many bytes together; None where none may be made."""
    group = _ROOT / f"liteq-stress-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(size))
    except OSError:
        with suppress(OSError):
            group.rmdir()
        yield None
        return
    try:
        yield str(group)
    finally:
        group.rmdir()


def kills(group: str) -> int:
    """How often the kernel has killed in the group."""
    lines = Path(group, "memory.oom_control").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
