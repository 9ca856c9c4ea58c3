"""Queues on a Redis server: how it is found, what is refused, what the backend does by itself."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
import redis
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)

from liteq import (
    ConfigurationError,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    StorageError,
    clock,
)
from liteq.exceptions import StorageBusy, StorageFull, StorageUnreachable
from liteq.identity import own_identity
from liteq.messages import Message
from liteq.storage.redis import RedisStorage
from liteq.storage.redis.errors import translate
from liteq.storage.redis.settings import prefix_of

FLAVOURS = [RedisHuey, PriorityRedisHuey, RedisExpireHuey, PriorityRedisExpireHuey]


def message(id: str, **columns: Any) -> Message:
    return Message(**{"id": id, "name": "task", "data": id.encode(), **columns})


# The server


def test_what_can_not_be_reached():
    huey = RedisHuey("q", port=1)
    with pytest.raises(StorageUnreachable, match=r"Redis at localhost:1, database 0: .* check that it runs"):
        huey.pending_count()


@pytest.mark.parametrize(("password", "text"), [(None, "or wants one"), ("wrong", "refuses the user")])
def test_a_wrong_password(own_redis, password, text):
    huey = RedisHuey("q", url=own_redis.url, password=password)
    with pytest.raises(StorageError, match=text) as caught:
        huey.pending_count()
    assert not isinstance(caught.value, StorageBusy), "trying again does not help"
    assert RedisHuey("q", url=own_redis.url, password="secret").pending_count() == 0


# Flavours


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_priorities_are_refused_where_there_are_none(make_redis, flavour):
    huey = make_redis(flavour)
    task = huey.task()(max)
    if "Priority" in flavour.__name__:
        low, high = task.s(1, 2, priority=1), task.s(1, 2, priority=7)
        huey.enqueue(low)
        huey.enqueue(high)
        assert huey.dequeue().id == high.id
        return
    with pytest.raises(ConfigurationError, match="use PriorityRedisHuey"):
        huey.enqueue(task.s(1, 2, priority=1))
    with pytest.raises(ConfigurationError, match="use PriorityRedisHuey"):
        huey.storage.put([message("a"), message("b", priority=1)], clock.now())
    assert len(huey) == 0


def test_priorities_are_exact_or_refused(make_redis):
    huey = make_redis()
    task = huey.task()(max)
    most = 2**53
    order = [most, most - 1, 1, 0, -1, 1 - most, -most]
    for priority in sorted(order):
        huey.enqueue(task.s(priority, priority, priority=priority))
    for priority in (most + 1, -most - 1):
        with pytest.raises(ValueError, match="priority must be from -9007199254740992 to 9007199254740992"):
            huey.enqueue(task.s(1, 2, priority=priority))
        with pytest.raises(ValueError, match="priority must be from"):
            huey.enqueue(task.s(1, 2).then(task, 3, priority=priority))
    assert [huey.dequeue().args[0] for _ in order] == order
    assert len(huey) == 0


def test_a_later_stage_with_a_priority_is_refused_in_the_call(make_redis):
    huey = make_redis(RedisHuey)
    task = huey.task()(max)
    with pytest.raises(ConfigurationError, match="use PriorityRedisHuey"):
        huey.enqueue(task.s(1, 2).then(task, 3, priority=1))
    assert len(huey) == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_flavours_that_expire_keep_what_is_read(make_redis, flavour):
    huey = make_redis(flavour)
    result = huey.task()(max)(1, 2)
    huey.execute(huey.dequeue())
    huey.put("key", "value")
    assert (result.get(), huey.get("key")) == (2, "value")
    kept = "Expire" in flavour.__name__
    assert huey.result_count() == 2 * kept
    assert (huey.result(result.id), huey.get("key")) == ((2, "value") if kept else (None, None))
    assert huey.storage.expire_time == (86_400 * clock.SECOND if kept else None)
    assert huey.delete("key") is kept
    assert huey.get("key") is None


def test_results_expire(make_redis):
    huey = make_redis(RedisExpireHuey, expire_time=0.05)
    result = huey.task()(max)(1, 2)
    huey.execute(huey.dequeue())
    assert result.get(preserve=True) == 2
    result.reset()
    deadline = time.monotonic() + 30
    while huey.result_count():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert result.get() is None


def test_where_it_is_not_blocking_consumers_poll(make_redis):
    assert make_redis(blocking=False).storage.work_source() is None
    source = make_redis().storage.work_source()
    assert source.fileno() > 0
    source.close()


# Keys


@pytest.mark.parametrize("name", ["a", "a}b", "{", "}", "%7D", "é ✓", "a:b"])
def test_all_keys_of_a_queue_are_in_one_slot_of_a_cluster(name):
    prefix = prefix_of(name)
    assert prefix.startswith("liteq:{")
    assert prefix.endswith("}")
    assert prefix.count("{") == prefix.count("}") == 1
    assert len(prefix) > len("liteq:{}")


def test_names_of_queues_are_told_apart():
    names = ["a", "a}", "a{", "a%7D", "a%7B", "%", "%25", "A"]
    assert len({prefix_of(name) for name in names}) == len(names)


def test_a_flush_leaves_no_task_behind(shared_redis, make_redis):

    huey = make_redis()
    huey.task()(max)(1, 2)
    huey.storage.put([message("a", due=clock.now() + clock.MINUTE)], clock.now())
    huey.put("key", "value")
    huey.flush()
    client = redis.Redis.from_url(shared_redis.url)
    left = {key.rpartition(b":")[2] for key in client.scan_iter(f"*{huey.name}*")}
    client.close()
    assert left <= {b"numbers"}


# The server's limits


def test_a_server_whose_memory_is_used_up(own_redis):

    client = redis.Redis(unix_socket_path=str(own_redis.socket), password="secret")
    huey = RedisHuey("q", url=own_redis.url, password="secret")
    task = huey.task()(len)
    task(b"")
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    for call in (
        lambda: task(b"x"),
        lambda: huey.put("key", "value"),
        lambda: task.schedule((b"x",), delay=60),
    ):
        with pytest.raises(StorageFull, match="maxmemory"):
            call()
    client.config_set("maxmemory", 0)
    assert (len(huey), huey.scheduled_count(), huey.result_count()) == (1, 0, 0)
    client.close()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), StorageFull, "can't save"),
        (ResponseError("BUSY Redis is busy running a script"), StorageBusy, "busy with a script"),
        (ResponseError("Error running script: -OOM command not allowed when"), StorageFull, "maxmemory"),
        (ReadOnlyError("You can't write against a read only replica."), StorageError, "is a replica"),
        (NoPermissionError("this user has no permissions"), StorageError, "this user may not do that"),
        (ResponseError("something else"), StorageError, "there: something else"),
        (OSError("broken"), StorageUnreachable, "can't be reached"),
        (BusyLoadingError("LOADING"), StorageUnreachable, "is loading its data; wait until it is ready"),
        (MasterDownError("MASTERDOWN"), StorageUnreachable, "the primary server is down at the moment"),
        (ResponseError("MASTERDOWN Link with MASTER"), StorageUnreachable, "the primary server is down"),
        (ResponseError("CLUSTERDOWN Hash slot not"), StorageUnreachable, "the cluster is not complete"),
        (ResponseError("Error running script: -READONLY You can't write"), StorageError, "is a replica"),
        (ResponseError("Error running script: -NOPERM this user"), StorageError, "may not do that"),
        (ResponseError("MOVED 7 127.0.0.1:7000"), StorageError, "on another node of the cluster"),
    ],
    ids=range(14),
)
def test_errors_say_what_to_do(error, kind, text):
    ours = translate(error, "there")
    assert type(ours) is kind
    assert text in str(ours)


def test_settings_that_lose_tasks_are_told_once(own_redis, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            RedisStorage("q", url=own_redis.url, password="secret").register(own_identity())
    assert [record.message.count("append-only") for record in caplog.records] == [1]
