"""Queues to test with, and the three ways in which their tasks get run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liteq import Huey, MemoryHuey, PriorityRedisHuey, SqliteHuey
from liteq import clock as liteq_clock
from tests.servers import RedisServer, redis_server

from .running import WAYS, Application, Clock

_numbers = iter(range(10**6))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock, which stands still until it is told to go on."""
    frozen = Clock()
    monkeypatch.setattr(liteq_clock, "now", frozen)
    return frozen


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine stands in New York."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def filename(tmp_path: Path) -> Path:
    """Where the file of a queue may be made."""
    return tmp_path / "queue.db"


@pytest.fixture
def sqlite(filename: Path) -> Iterator[Huey]:
    """A queue in a file that does not exist yet."""
    huey = SqliteHuey(filename=filename, durability="off")
    yield huey
    huey.storage.close()


@pytest.fixture
def immediate() -> Huey:
    """A queue in immediate mode."""
    return MemoryHuey(immediate=True)


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, filename: Path) -> Iterator[Application]:
    """An application, whose tasks are run in each of the ways in which tasks are run."""
    application = WAYS[request.param](filename)
    yield application
    application.close()


@pytest.fixture(params=[way for way in WAYS if way != "immediate"])
def stored(request: pytest.FixtureRequest, filename: Path) -> Iterator[Application]:
    """An application whose tasks are stored until they are run."""
    application = WAYS[request.param](filename)
    yield application
    application.close()


@pytest.fixture
def shared_redis() -> RedisServer:
    """A server for all tests of this process; each has a queue of its own there."""
    return redis_server()


@pytest.fixture
def make_redis(shared_redis: RedisServer) -> Iterator[Callable[..., Any]]:
    """Makes queues of one name, which is no other test's."""
    name, made = f"unit {next(_numbers)}", []

    def new(flavour: type[Huey] = PriorityRedisHuey, **options: Any) -> Huey:
        made.append(flavour(name, **{"url": shared_redis.url, **options}))
        return made[-1]

    yield new
    for huey in made:
        huey.storage.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for tests that end it, or change it."""
    redis_server()
    server = RedisServer(tmp_path, "--requirepass", "secret").start()
    yield server
    server.remove()
