"""Bugs that can be planted in the application under stress, to show that the checker finds each of them."""

from __future__ import annotations

from liteq import SqliteHuey


def plant(bug: str, huey: SqliteHuey) -> None:
    """Plant a bug in this process and those forked from it.

    Raises:
        KeyError: if there is no such bug.
    """
    del huey
    raise KeyError(bug)
