"""The classes of queues side by side: what an application may choose between, and what each does with the same calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from liteq import (
    BlackHoleHuey,
    ConfigurationError,
    FileHuey,
    Huey,
    MemoryHuey,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
)
from tests.servers import redis_server

REDIS = (RedisHuey, PriorityRedisHuey, RedisExpireHuey, PriorityRedisExpireHuey)
FLAVOURS = (*REDIS, SqliteHuey, FileHuey, MemoryHuey)
FIRST_COME = (RedisHuey, RedisExpireHuey)
KEEP_RESULTS = (RedisExpireHuey, PriorityRedisExpireHuey)
SHARED = tuple(flavour for flavour in FLAVOURS if flavour is not MemoryHuey)

Make = Callable[..., Huey]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes queues of any class, all of one name and in one place."""
    made: list[Huey] = []

    def new(flavour: type[Huey], **options: Any) -> Huey:
        if flavour in REDIS:
            options = {"url": redis_server().url, **options}
        elif flavour is SqliteHuey:
            options = {"filename": tmp_path / "queue.db", "durability": "off", **options}
        elif flavour is FileHuey:
            options = {"path": tmp_path / "queues", "fsync": False, **options}
        made.append(flavour(str(tmp_path), **options))
        return made[-1]

    yield new
    for huey in made:
        huey.storage.close()


class Shop(NamedTuple):
    """An application with tasks of several priorities."""

    huey: Huey
    send: Any
    pay: Any
    check: Any
    thumb: Any

    @staticmethod
    def of(huey: Huey) -> Shop:
        return Shop(
            huey,
            huey.task(name="send", priority=10)(lambda to: to),
            huey.task(name="pay", priority=50)(lambda: "paid"),
            huey.task(name="check", priority=1)(lambda: None),
            huey.task(name="thumb")(lambda number: number),
        )


@pytest.mark.parametrize("flavour", [flavour for flavour in FLAVOURS if flavour not in FIRST_COME])
def test_priorities_of_declarations_and_calls(make, flavour):
    shop = Shop.of(make(flavour))
    for call in (lambda: shop.thumb(1), shop.check, shop.pay, lambda: shop.send("you")):
        call()
    shop.send("boss", priority=90)
    expected = [("send", 90), ("pay", 50), ("send", 10), ("check", 1), ("thumb", 0)]
    pending = [(task.name.rpartition(".")[2], task.priority or 0) for task in shop.huey.pending()]
    assert pending == expected
    taken = [shop.huey.dequeue() for _ in expected]
    assert [(task.name.rpartition(".")[2], task.priority or 0) for task in taken] == expected
    shop.send.schedule(("you",), delay=60)
    shop.send.schedule(("you",), delay=61, priority=50)
    assert [task.priority for task in shop.huey.scheduled()] == [10, 50]


@pytest.mark.parametrize("flavour", FIRST_COME)
def test_without_priorities_each_call_with_one_is_refused(make, flavour):
    shop = Shop.of(make(flavour))
    for call in (
        shop.pay,
        lambda: shop.thumb(1, priority=-1),
        lambda: shop.send.schedule(("you",), delay=60),
        lambda: shop.huey.enqueue(shop.thumb.s(1).then(shop.check)),
        lambda: shop.send.map(["you", "me"]),
    ):
        with pytest.raises(
            ConfigurationError, match="use PriorityRedisHuey or PriorityRedisExpireHuey, or leave"
        ):
            call()
    assert (len(shop.huey), shop.huey.scheduled_count()) == (0, 0)
    assert shop.thumb(1, priority=0)
    assert len(shop.huey) == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_equal_ones_go_in_the_order_in_which_they_came(make, flavour):
    shop = Shop.of(make(flavour))
    for number in range(20):
        shop.thumb(number)
    assert [shop.huey.dequeue().args for _ in range(20)] == [(number,) for number in range(20)]
    assert shop.huey.dequeue() is None


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_results_stay_until_they_are_read_or_expire(make, flavour):
    shop = Shop.of(make(flavour))
    nothing, result = shop.huey.task()(lambda: None)(), shop.thumb(3)
    for _ in range(2):
        shop.huey.execute(shop.huey.dequeue())
    assert shop.huey.result_count() == 1, "None is not stored"
    assert (nothing.get(), result.get()) == (None, 3)
    kept = flavour in KEEP_RESULTS
    assert shop.huey.result_count() == kept
    assert shop.huey.result(result.id) == (3 if kept else None)


@pytest.mark.parametrize("flavour", [*FLAVOURS, BlackHoleHuey])
def test_immediate_mode_leaves_the_storage_alone(make, flavour):
    """There need not even be a server."""
    nowhere = {"url": "unix:///nowhere"} if flavour in REDIS else {}
    shop = Shop.of(make(flavour, **nowhere))
    shop.huey.immediate = True
    assert shop.send("you").get() == "you", "priorities are no matter there"
    shop.thumb.revoke(revoke_once=True)
    assert [shop.thumb(1).get(), shop.thumb(2).get()] == [None, 2]
    later = shop.thumb.schedule((3,), delay=60)
    assert later.get() is None
    assert [task.id for task in shop.huey.scheduled()] == [later.id]
    if flavour not in REDIS:
        shop.huey.immediate = False
        assert (len(shop.huey), shop.huey.scheduled_count()) == (0, 0)


@pytest.mark.parametrize("flavour", SHARED)
def test_immediate_mode_with_the_real_storage(make, flavour):
    shop = Shop.of(make(flavour, immediate=True, immediate_use_memory=False))
    result = shop.thumb(7)
    assert make(flavour).result(result.id) == 7


def test_a_black_hole_keeps_nothing(make):
    shop = Shop.of(make(BlackHoleHuey))
    result = shop.pay(priority=2**60)
    assert (result.get(), result.get(blocking=True, timeout=30)) == (None, None)
    shop.thumb.schedule((1,), delay=60)
    shop.huey.put("key", 1)
    assert (len(shop.huey), shop.huey.scheduled_count(), shop.huey.get("key")) == (0, 0, None)


def test_the_server_knows_connections_by_the_name_of_the_client(make):
    huey = make(RedisHuey, client_name="shop-web")
    assert len(huey) == 0
    with redis.Redis.from_url(redis_server().url) as client:
        assert "shop-web" in {one["name"] for one in client.client_list()}


def test_periodic_tasks_with_a_priority_where_there_are_none(make, caplog):
    """They are told of, and keep no other from being enqueued."""
    from liteq import clock, every
    from liteq.workers.beat import Beat

    huey = make(RedisHuey)
    huey.periodic_task(every(seconds=1), name="high", priority=5)(lambda: None)
    huey.periodic_task(every(seconds=1), name="plain")(lambda: None)
    beat = Beat(huey, True)
    now = clock.now()
    beat.start(now)
    with caplog.at_level(logging.ERROR):
        fired = beat.fire(now + 2 * clock.SECOND)
    assert {message.name.rpartition(".")[2] for message in fired} == {"plain"}
    assert ["high can't be enqueued" in record.message for record in caplog.records] == [True]
    assert "has no priorities" in caplog.text
