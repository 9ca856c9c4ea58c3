"""Queues on a Redis server: whatever dies, be it the server itself, nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liteq import StorageError
from tests.servers import RedisServer, need_redis

from .consumer import get, kill, started, wait_until, wait_until_settled


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server that writes all to the disk before it answers, with the queue of `app.py` on it."""
    need_redis()
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always").start()
    monkeypatch.setenv("LITEQ_TEST_REDIS", server.url)
    yield server
    server.remove()


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    """Somebody who may do anything to the server."""
    import redis

    client = redis.Redis(unix_socket_path=str(server.socket))
    yield client
    client.close()


def load(app: Any, number: int) -> Any:
    return app.work.map([(count, 0.001) for count in range(number)])


def check_all_ran(app: Any, number: int, results: Any = None) -> None:
    """Each task has run, and none is left; `results` are theirs."""
    if results is not None:
        assert get(results) == list(range(number))
    wait_until_settled(app)
    assert {note for note in app.notes() if note.isdigit()} >= set(map(str, range(number)))
    assert app.huey.dead() == []


def again(call: Callable[[], Any]) -> Any:
    """What a call returns as soon as the server can be reached."""

    def attempt() -> list[Any]:
        try:
            return [call()]
        except StorageError:
            return []

    return wait_until(attempt)[0]


def again_and_again(call: Callable[[], object]) -> None:
    """Call it until it raises."""
    while True:
        call()


# Tasks


def test_tasks_run_and_results_arrive(app, consume):
    consumer = consume("-w", "2")
    assert get(app.add(1, 2)) == 3
    assert get(app.echo(b"x" * 3_000_000)) == b"x" * 3_000_000
    assert get(app.add.map([(n, n) for n in range(300)])) == [2 * n for n in range(300)]
    assert consumer.stop() == 0
    assert app.huey.storage.consumers() == {}


def test_a_task_that_fails_is_tried_again(declare, consume):
    app = declare("""
@huey.task(retries=2)
def shaky():
    note("tried")
    if notes().count("tried") < 3:
        raise ValueError("not yet")
    return "done"
""")
    consume()
    result = app.shaky()
    wait_until_settled(app)
    assert result.get() == "done"
    assert app.notes() == ["tried"] * 3


def test_what_waits_for_a_result_is_woken(app, consume):
    """It does not look at intervals: with nobody to wake it, the second look would be after a second."""
    consume()
    get(app.add(1, 2))
    waits = []
    for _ in range(20):
        result = app.hold(f"gate{len(waits)}")
        started(app, f"gate{len(waits)}")
        app.open_gate(f"gate{len(waits)}")
        began = time.monotonic()
        get(result)
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 0.1


def test_periodic_slots_fire_once_for_two_consumers(declare, consume):
    app = declare("""
from liteq import every

@huey.periodic_task(every(seconds=1))
def tick():
    note(f"slot {tick_slot()}")

def tick_slot():
    from liteq.current import current_task
    return current_task().slot
""")
    consume("-w", "2")
    consume("-w", "2")
    wait_until(lambda: len(app.notes()) >= 4)
    slots = app.notes()
    assert len(slots) == len(set(slots))


def test_two_consumers_share_the_work(app, consume):
    consumers = consume("-w", "1"), consume("-w", "1")
    workers = consumers[0].workers(app, 2)
    assert all(workers & set(consumer.members()) for consumer in consumers)
    results = load(app, 500)
    check_all_ran(app, 500, results)
    work = [note for note in app.notes() if note.isdigit()]
    assert len(work) == 500


# Whatever dies


@pytest.mark.parametrize("who", ["worker", "dispatcher", "supervisor", "all"])
def test_killed_in_the_middle_of_the_load(app, consume, who):
    consumer = consume("-w", "2")
    results = load(app, 600)
    wait_until(lambda: len(app.notes()) > 100)
    victims = {
        "worker": lambda: [app.pids(app.notes()[-1])[0]],
        "dispatcher": lambda: [consumer.dispatcher],
        "supervisor": lambda: [consumer.pid],
        "all": consumer.members,
    }[who]()
    kill(*victims)
    if who in {"supervisor", "all"}:
        consume("-w", "2")
    check_all_ran(app, 600, results)


def test_a_consumer_takes_over_what_a_killed_one_held(app, consume):
    first = consume()
    running = app.hold("a")
    victim = started(app, "a")
    consume()
    kill(*first.members())
    survivor = started(app, "a", times=2)
    app.open_gate("a")
    assert get(running) == survivor != victim


def test_the_claims_of_another_host_are_taken_over_when_their_lease_is_over(app, consume):
    """Its processes can't be looked for, so there is nothing but the lease."""
    from liteq import clock
    from liteq.identity import Identity

    app.work(1)
    storage = app.huey.storage
    elsewhere = storage.register(Identity("another-boot/pid:[1]", 1, "1"))
    lease = clock.monotonic() + clock.SECOND
    assert len(storage.claim(elsewhere, 1, now=clock.now(), lease=lease)) == 1
    consume()
    wait_until(lambda: app.notes() == ["1"])


# The server


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_is_restarted_in_the_middle_of_the_load(app, consume, server, number):
    consumer = consume("-w", "2")
    for count in range(300):
        app.work(count, 0.001)
    wait_until(lambda: len(app.notes()) > 50)
    server.end(number)
    consumer.wait_log("Storage fails")
    server.start()
    again(app.huey.counts)
    check_all_ran(app, 300)
    consumer.wait_log("Storage works again")
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


def test_what_was_acknowledged_before_the_server_was_killed_runs(app, consume, server):
    acknowledged = []
    for count in range(200):
        app.work(count)
        acknowledged.append(count)
    server.end()
    with pytest.raises(StorageError, match="can't be reached"):
        app.work(1000)
    server.start()
    consume()
    wait_until_settled(app)
    assert sorted(map(int, app.notes())) == acknowledged


def test_a_dispatcher_that_dies_while_there_is_no_server(app, consume, server):
    consumer = consume()
    result = app.hold("a")
    worker = started(app, "a")
    dispatcher = consumer.dispatcher
    server.end()
    kill(dispatcher)
    app.open_gate("a")
    consumer.wait_log("Storage fails")
    server.start()
    assert get(result) == worker
    assert app.notes() == ["a"]


def test_connections_are_cut_in_the_middle_of_the_load(app, consume, client):
    consumer = consume("-w", "2")
    for count in range(600):
        app.work(count, 0.001)
    while not app.notes() or len(app.notes()) < 500:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        time.sleep(0.02)
    check_all_ran(app, 600)
    assert len(app.notes()) == 600, "no task ran again because of it"
    assert "taken by another" not in consumer.log


def test_whoever_was_cut_off_while_idle_is_woken_again(app, consume, client):
    consumer = consume()
    assert get(app.add(1, 2)) == 3
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert get(app.add(3, 4)) == 7
    assert consumer.stop() == 0


@pytest.mark.parametrize("pause", ["sleep", "stop"])
def test_the_server_stands_still_for_a_while(app, consume, server, client, pause):
    consume("-w", "2")
    for count in range(300):
        app.work(count, 0.001)
    wait_until(lambda: len(app.notes()) > 50)
    if pause == "sleep":
        client.execute_command("CLIENT", "PAUSE", "1500", "ALL")
    else:
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(server.process.pid, signal.SIGCONT)
    check_all_ran(app, 300)
    assert len(app.notes()) == 300


# The start


def test_without_a_server_the_consumer_says_so_and_ends(app, launch, server):
    server.end()
    consumer = launch()
    assert consumer.wait() != 0
    assert "can't be reached; check that it runs" in consumer.log
    assert "Traceback" not in consumer.log


def test_settings_that_lose_tasks_are_told_once(app, consume, client):
    client.config_set("appendonly", "no")
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    consumer = consume("-w", "2")
    assert get(app.add(1, 2)) == 3
    assert consumer.log.count("no append-only file") == 1
    assert consumer.log.count("maxmemory-policy is allkeys-lru") == 1
    client.config_set("maxmemory", "0")
    client.config_set("appendonly", "yes")
    assert consumer.stop() == 0
    other = consume()
    assert "append-only" not in other.log


def test_the_memory_of_the_server_is_used_up(app, consume, client):
    consumer = consume()
    get(app.add(1, 2))
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used)
    with pytest.raises(StorageError, match="maxmemory"):
        again_and_again(lambda: app.echo(b"x" * 10_000))
    wait_until(
        lambda: app.huey.running_count() == 0 == len(app.huey), "what was stored to be run all the same"
    )
    client.config_set("maxmemory", "0")
    assert get(app.add(3, 4)) == 7
    assert consumer.stop() == 0


# A server that forgets


def test_a_server_that_has_forgotten_what_it_confirmed_is_told_of(app, consume, server):
    consumer = consume("-w", "2")
    app.hold("gate")
    started(app, "gate")
    server.forget()
    results = again(lambda: load(app, 200))
    app.open_gate("gate")  # the outcome is nobody's
    check_all_ran(app, 200, results)
    assert consumer.log.count("has forgotten what it had confirmed") == 1
    assert [who.pid for who, _ in app.huey.storage.consumers().values()] == [consumer.pid]
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


def test_a_queue_that_was_emptied_is_told_of(app, consume, client):
    consumer = consume("-w", "2")
    assert get(app.add(1, 2)) == 3
    client.flushall()
    assert get(app.add(3, 4)) == 7
    consumer.wait_log("has forgotten what it had confirmed")
