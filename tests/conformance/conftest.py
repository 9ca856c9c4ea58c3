"""The backends under test, and handles on their queues; how to add one stands in `__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liteq.storage.base import Storage
from tests.servers import redis_server

from .building import identity


def _memory(_: Path, name: str) -> Storage:
    from liteq.storage.memory import MemoryStorage

    return MemoryStorage(name)


def _sqlite(tmp_path: Path, name: str) -> Storage:
    from liteq.storage.sqlite import SqliteStorage

    return SqliteStorage(name, str(tmp_path / "queue.db"), durability="off")


_databases: dict[Path, int] = {}


def _redis(tmp_path: Path, name: str) -> Storage:
    from liteq.storage.redis import RedisStorage

    database = _databases.setdefault(tmp_path, len(_databases))
    return RedisStorage(name, url=redis_server().url, db=database)


BACKENDS: dict[str, Callable[[Path, str], Storage]] = {"memory": _memory, "sqlite": _sqlite, "redis": _redis}

OpenQueue = Callable[..., Storage]


@pytest.fixture(params=BACKENDS)
def open_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenQueue]:
    """Opens handles, each closed at the end of the test; the same name again is the same queue, if shared."""
    opened: list[Storage] = []

    def open_(name: str = "huey") -> Storage:
        opened.append(BACKENDS[request.param](tmp_path, name))
        return opened[-1]

    yield open_
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(open_queue: OpenQueue) -> Storage:
    """An empty queue."""
    return open_queue()


@pytest.fixture
def second(storage: Storage, open_queue: OpenQueue) -> Storage:
    """Another connection to the same queue, open already."""
    if not storage.capabilities.shared:
        pytest.skip("this backend has no second connection")
    handle = open_queue()
    assert handle.pending_count() == 0
    return handle


@pytest.fixture
def neighbour(storage: Storage, open_queue: OpenQueue) -> Storage:
    """Another queue in the same place."""
    return open_queue("neighbour")


@pytest.fixture
def owner(storage: Storage) -> int:
    """A registered consumer."""
    return storage.register(identity(1))


@pytest.fixture
def stranger(storage: Storage, owner: int) -> int:
    """Another registered consumer."""
    return storage.register(identity(2))
