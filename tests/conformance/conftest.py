"""The backends that pass the suite; to add one, write a factory and enter it in `BACKENDS`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from liteq.storage.base import Storage
from tests.servers import redis_server


def _memory(_: Path, name: str) -> Storage:
    from liteq.storage.memory import MemoryStorage

    return MemoryStorage(name)


def _sqlite(tmp_path: Path, name: str) -> Storage:
    from liteq.storage.sqlite import SqliteStorage

    return SqliteStorage(name, str(tmp_path / "queue.db"), durability="off")


_databases: dict[Path, int] = {}


def _redis(tmp_path: Path, name: str, **options: Any) -> Storage:
    from liteq.storage.redis import RedisStorage

    database = _databases.setdefault(tmp_path, len(_databases))
    return RedisStorage(name, url=redis_server().url, db=database, **options)


def _file(tmp_path: Path, name: str) -> Storage:
    from liteq.storage.file import FileStorage

    return FileStorage(name, tmp_path / "queues", fsync=False)


BACKENDS: dict[str, Callable[[Path, str], Storage]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "file": _file,
    "redis": _redis,
    "redis without priorities": partial(_redis, priorities=False),
}


@pytest.fixture(params=BACKENDS)
def make_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Storage]:
    """Makes handles on the queues of one backend."""
    return partial(BACKENDS[request.param], tmp_path)
