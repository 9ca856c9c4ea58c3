"""The SQLite engine; the only part of liteq that imports apsw."""

from __future__ import annotations

from liteq.storage.sqlite.engine import SqliteStorage

__all__ = ["SqliteStorage"]
