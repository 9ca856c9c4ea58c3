"""Queues on a Redis server: how it is found, what is refused, what the backend does by itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from liteq import (
    ConfigurationError,
    Huey,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    StorageError,
    clock,
)
from liteq.contrib.helpers import RedisSemaphore
from liteq.exceptions import StorageBusy, StorageFull, StorageUnreachable
from liteq.identity import Identity, own_identity
from liteq.locks import TaskLock
from liteq.messages import Disposition, Message, Outcome, Settlement
from liteq.storage.base import ClaimOrder, Instant
from liteq.storage.redis import RedisStorage
from liteq.storage.redis.errors import translate
from liteq.storage.redis.settings import prefix_of
from liteq.workers.recovery import recover
from tests.servers import RedisServer, redis_server

ELSEWHERE = Identity("another-boot/pid:[1]", 1, "1")
FLAVOURS = [RedisHuey, PriorityRedisHuey, RedisExpireHuey, PriorityRedisExpireHuey]
_numbers = iter(range(10**6))


@pytest.fixture
def server() -> RedisServer:
    return redis_server()


@pytest.fixture
def make(server: RedisServer) -> Iterator[Callable[..., Any]]:
    """Makes queues of one name, which is no other test's."""
    name, made = f"unit {next(_numbers)}", []

    def new(flavour: type[Huey] = PriorityRedisHuey, **options: Any) -> Huey:
        made.append(flavour(name, **{"url": server.url, **options}))
        return made[-1]

    yield new
    for huey in made:
        huey.storage.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for tests that end it, or change it."""
    redis_server()
    server = RedisServer(tmp_path, "--requirepass", "secret").start()
    yield server
    server.remove()


def message(id: str, **columns: Any) -> Message:
    return Message(**{"id": id, "name": "task", "data": id.encode(), **columns})


def done(claim: Any) -> Settlement:
    return Settlement(claim.key, Outcome(Disposition.DONE, "complete"))


# Options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": "http://localhost"}, "begins with redis://, rediss:// or unix://"),
        ({"url": "localhost:6379"}, "begins with redis://, rediss:// or unix://"),
        ({"url": 7}, "begins with redis://"),
        ({"url": "redis://localhost", "host": "other"}, "name the server once"),
        ({"connection_pool": 7}, "connection_pool must be a ConnectionPool of redis-py, not 7"),
        ({"filename": "queue.db"}, "filename"),
        ({"decode_responses": True}, "decode_responses must be False"),
        ({"read_timeout": "long"}, "read_timeout must be a number of seconds, not 'long'"),
        ({"expire_time": 0}, "expire_time must be more than 0"),
        ({"history": -1}, "history must be a number of entries"),
    ],
    ids=range(10),
)
def test_options_that_cannot_be_are_refused_at_once(options, text):
    with pytest.raises(ConfigurationError, match=text):
        RedisHuey("q", **options)


@pytest.mark.parametrize("url", ["redis//u:secret@host", "redis://u:se/secret@host", "redis://h:secret/0"])
def test_a_wrong_url_is_not_told_for_there_may_be_a_password_in_it(url):
    with pytest.raises(ConfigurationError) as caught:
        RedisHuey("q", url=url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_pool_of_the_application_s_own_is_used(server, make):
    import redis

    pool = redis.ConnectionPool.from_url(server.url)
    assert make(connection_pool=pool, url=None).pending_count() == 0
    with pytest.raises(ConfigurationError, match="decode_responses"):
        make(connection_pool=redis.ConnectionPool(decode_responses=True), url=None)


def test_making_a_queue_opens_nothing():
    huey = RedisHuey("q", host="192.0.2.1", port=1, password="secret")
    assert "192.0.2.1:1, database 0" in huey.storage.describe()
    assert "secret" not in huey.storage.describe()


def test_without_redis_py_it_says_what_to_install():
    code = "import sys; sys.modules['redis'] = None; import liteq; liteq.RedisHuey()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RedisHuey needs redis-py: install liteq[redis]" in done.stderr


def test_what_can_not_be_reached():
    huey = RedisHuey("q", port=1)
    with pytest.raises(StorageUnreachable, match=r"Redis at localhost:1, database 0: .* check that it runs"):
        huey.pending_count()


@pytest.mark.parametrize(("password", "text"), [(None, "or wants one"), ("wrong", "refuses the user")])
def test_a_wrong_password(own_server, password, text):
    huey = RedisHuey("q", url=own_server.url, password=password)
    with pytest.raises(StorageError, match=text) as caught:
        huey.pending_count()
    assert not isinstance(caught.value, StorageBusy), "trying again does not help"
    assert RedisHuey("q", url=own_server.url, password="secret").pending_count() == 0


# Flavours


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_priorities_are_refused_where_there_are_none(make, flavour):
    huey = make(flavour)
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


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_flavours_that_expire_keep_what_is_read(make, flavour):
    huey = make(flavour)
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


def test_results_expire(make):
    huey = make(RedisExpireHuey, expire_time=0.05)
    result = huey.task()(max)(1, 2)
    huey.execute(huey.dequeue())
    assert result.get(preserve=True) == 2
    result.reset()
    deadline = time.monotonic() + 30
    while huey.result_count():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert result.get() is None


def test_where_it_is_not_blocking_consumers_poll(make):
    assert make(blocking=False).storage.work_source() is None
    source = make().storage.work_source()
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


def test_a_flush_leaves_no_task_behind(server, make):
    import redis

    huey = make()
    huey.task()(max)(1, 2)
    huey.storage.put([message("a", due=clock.now() + clock.MINUTE)], clock.now())
    huey.put("key", "value")
    huey.flush()
    client = redis.Redis.from_url(server.url)
    left = {key.rpartition(b":")[2] for key in client.scan_iter(f"*{huey.name}*")}
    client.close()
    assert left <= {b"numbers"}


# Many at once


def test_many_that_wait_are_taken_in_by_steps(make):
    storage = make().storage
    number = 5_500
    storage.put([message(f"{index}", priority=index % 2) for index in range(number)], clock.now())
    assert storage.pending_count() == number
    owner = storage.register(own_identity())
    claims = storage.claim(owner, 3, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    assert [claim.id for claim in claims] == ["1", "3", "5"]


def test_whoever_puts_does_not_wait_for_the_batch_of_another(make):
    first, second = make().storage, make().storage
    with first.batch():
        first.put([message("a")], clock.now())
        assert first.pending_count() == 1
        second.put([message("b")], clock.now())
        third = threading.Thread(target=second.pending_count)
        third.start()
    third.join(30)
    assert second.pending() == [b"a", b"b"]


def test_many_results_are_read_in_one_batch(make):
    storage = make().storage
    for index in range(300):
        storage.put_result(str(index), b"%d" % index)
    with storage.batch():
        assert [storage.pop_result(str(index)) for index in range(300)] == [b"%d" % i for i in range(300)]
        assert storage.pop_result("7") is None
        assert storage.result_count() == 0
    assert storage.results() == {}


def test_a_batch_that_was_given_up_holds_nobody_up_for_long(make):
    first, second = make().storage, make().storage
    batch = first.batch()
    batch.__enter__()
    assert first.take_slot("tick", 1)
    assert second.take_slot("tick", 1), "the first one's time is over"
    with pytest.raises(StorageBusy, match="the batch took too long"):
        batch.__exit__(None, None, None)


# Turns


def turn(storage: RedisStorage, owner: int, *settled: Any) -> Any:
    order = ClaimOrder(1, clock.MINUTE, 1, None)
    return storage.turn(owner, [done(claim) for claim in settled], order, clock.now())


def test_what_nobody_was_told_of_is_claimed_again(make):
    storage = make().storage
    owner = storage.register(own_identity())
    storage.put([message("a", at_most_once=True), message("b")], clock.now())
    heard = storage._turns.of_this_process()
    (lost,) = turn(storage, owner).claims
    heard.heard -= 1  # as if its reply had not arrived
    (again,) = turn(storage, owner).claims
    assert (again.id, again.attempt) == (lost.id, lost.attempt)
    (second,) = turn(storage, owner).claims
    assert [second.id, storage.running_count()] == ["b", 2]


def test_what_was_settled_without_an_answer_has_held(make):
    storage = make().storage
    owner = storage.register(own_identity())
    storage.put([message("a"), message("b")], clock.now())
    (a,) = turn(storage, owner).claims
    turns = storage._turns.of_this_process()
    (lost,) = turn(storage, owner, a).claims
    turns.heard, turns.unsure = turns.heard - 1, {a.key}  # as if its reply had not arrived
    again = turn(storage, owner, a)
    assert (again.held, [claim.id for claim in again.claims]) == ([True], [lost.id])
    assert turn(storage, owner, a).held == [False]


def test_a_turn_that_was_overtaken_has_no_effect(make):
    import itertools

    storage = make().storage
    owner = storage.register(own_identity())
    storage.put([message("a"), message("b")], clock.now())
    turn(storage, owner)
    turn(storage, owner)
    storage._turns.numbers = itertools.count(1)
    with pytest.raises(StorageBusy):
        turn(storage, owner)
    assert storage.running_count() == 2


# Several hosts


def test_claims_of_another_host_are_recovered_when_their_lease_is_over_and_not_before(make):
    huey = make()
    storage = huey.storage
    there, here = storage.register(ELSEWHERE), storage.register(own_identity())
    storage.attend(there, ELSEWHERE)
    storage.put([message("a"), message("b")], clock.now())
    storage.claim(there, 1, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    assert recover(huey, here) == 0
    assert there in storage.consumers()
    storage.claim(there, 1, now=clock.now(), lease=clock.monotonic())
    assert recover(huey, here) == 1
    assert storage.pending() == [b"b"]


def test_leases_are_compared_by_the_server_s_clock_between_hosts(make, monkeypatch):
    storage = make().storage
    owner = storage.register(ELSEWHERE)
    storage.put([message("a"), message("b")], clock.now())
    monkeypatch.setattr("liteq.storage.redis.messages.boot", lambda: "another-boot")
    storage.claim(owner, 1, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    storage.claim(owner, 1, now=clock.now(), lease=clock.monotonic() - 1)
    monkeypatch.undo()
    for monotonic in (0, 10**15):  # what another host's clock says means nothing here
        assert [claim.id for claim in storage.expired(monotonic)] == ["b"]


def test_locks_of_another_host_are_held_until_their_time_is_over(make, monkeypatch):
    huey = make()
    lock = TaskLock(huey, "lock", ttl=60)
    monkeypatch.setattr("liteq.storage.redis.locks.boot", lambda: "another-boot")
    monkeypatch.setattr("liteq.locks.own_identity", lambda: ELSEWHERE)
    monkeypatch.setattr("liteq.slots.own_identity", lambda: ELSEWHERE)
    lock.acquire()
    monkeypatch.undo()
    assert huey.is_locked("lock")
    (holder,) = huey.storage.locks("lock", now=clock.monotonic())
    assert 50 * clock.SECOND < holder.expires - clock.monotonic() <= 60 * clock.SECOND


def test_hosts_whose_clocks_differ_a_little_share_a_rate_limit(make):
    storage = make().storage
    ahead = Instant("another-boot", 10**12, clock.now() + clock.SECOND)
    mine = Instant("boot", 10**12, clock.now())
    per = 10 * clock.SECOND
    assert storage.hit("limit", limit=1, per=per, clock=lambda: ahead) == 0
    assert storage.hit("limit", limit=1, per=per, clock=lambda: mine) == per


# Processes and threads


def test_a_forked_child_has_connections_of_its_own(make):
    huey = make()
    task = huey.task()(max)
    task(1, 2)
    wakeup = huey.storage.results_wakeup()
    ticket = wakeup.ticket()
    pid = os.fork()
    if pid == 0:
        try:
            task(3, 4)
            huey.put("key", "of the child")
            os._exit(len(huey))
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert wakeup.wait(ticket, 30)
    assert len(huey) == 2
    assert huey.get("key") == "of the child"


def test_threads_have_connections_of_their_own(make):
    huey = make()
    task = huey.task()(max)
    threads = [threading.Thread(target=lambda: [task(1, 2) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(huey) == 400


def test_a_connection_that_the_server_has_closed_is_replaced(server, make):
    import redis

    huey = make()
    task = huey.task()(max)
    client = redis.Redis.from_url(server.url)
    for number in range(10):
        task(1, 2)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert len(huey) == number + 1
    client.close()


def test_an_unknown_end_is_an_error_and_not_tried_again(own_server):
    huey = RedisHuey("q", url=own_server.url, password="secret", socket_timeout=0.2)
    task = huey.task()(max)
    task(1, 2)
    os.kill(own_server.process.pid, 19)
    try:
        with pytest.raises(StorageUnreachable, match="whether the call had an effect is not known"):
            task(1, 2)
    finally:
        os.kill(own_server.process.pid, 18)


# The server's limits


def test_a_server_whose_memory_is_used_up(own_server):
    import redis

    client = redis.Redis(unix_socket_path=str(own_server.socket), password="secret")
    huey = RedisHuey("q", url=own_server.url, password="secret")
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
    ],
    ids=range(7),
)
def test_errors_say_what_to_do(error, kind, text):
    ours = translate(error, "there")
    assert type(ours) is kind
    assert text in str(ours)


def test_settings_that_lose_tasks_are_told_once(own_server, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            RedisStorage("q", url=own_server.url, password="secret").register(own_identity())
    assert [record.message.count("append-only") for record in caplog.records] == [1]


# Semaphores


def test_a_semaphore_by_huey_s_name(make):
    semaphore = RedisSemaphore(make(), "s", 2)
    first, second = semaphore.acquire(), semaphore.acquire()
    assert semaphore.acquire() is None
    assert sorted(semaphore.holders()) == sorted([first, second])
    assert RedisSemaphore(make(), "s", 2).release(first)
    assert semaphore.acquire() is not None
