"""-M, -C and workers that can't be started."""

from __future__ import annotations

import time

import pytest

from .consumer import every_kind, get, kill, processor_time, started, wait_until_settled


@every_kind
def test_a_worker_is_replaced_after_so_many_tasks(app, consume):
    consumer = consume("-M", "3")
    workers = get(app.pid.map([()] * 12))
    assert len(set(workers)) >= 4
    assert max(map(workers.count, workers)) <= 3
    assert consumer.stop() == 0


@every_kind
def test_replacing_workers_by_plan_is_never_slowed_down(app, consume):
    """It is no crash: there is nothing to back off from, and nothing to warn of."""
    consumer = consume("-M", "1", "-w", "2")
    assert len(set(get(app.pid.map([()] * 60)))) == 60
    assert "WARNING" not in consumer.log
    assert consumer.stop() == 0


@every_kind
def test_max_tasks_counts_what_ran_and_not_what_was_taken_back(app, consume):
    consume("-M", "10")
    held = app.hold("a")
    started(app, "a")
    others = app.pid.map([()] * 19)
    app.open_gate("a")
    workers = [get(held), *get(others)]
    assert len(set(workers)) == 2


def test_a_dead_worker_is_not_replaced_by_option(app, consume):
    consumer = consume("-C", "-w", "2")
    first, second = consumer.workers(app, 2)
    result = app.hold("a")
    victim = started(app, "a")
    kill(victim)
    app.open_gate("a")
    assert get(result) == ({first, second} - {victim}).pop()
    assert set(get(app.pid.map([()] * 20))) == {first, second} - {victim}
    assert consumer.stop() == 0


def test_when_no_worker_is_left_it_ends(app, consume):
    consumer = consume("-C")
    app.hold("a")
    kill(started(app, "a"))
    assert consumer.wait() == 4
    assert app.huey.pending_count() == 1
    assert app.huey.running_count() == 0
    assert consumer.members() == []


@pytest.mark.parametrize("hook", ["os._exit(9)", "os.kill(os.getpid(), 9)"])
def test_workers_that_cannot_start(declare, launch, hook):
    app = declare(f"""
@huey.on_startup()
def prepare():
    {hook}
""")
    result = app.add(1, 2)
    consumer = launch("-w", "2")
    assert consumer.wait() == 4
    assert "can't be kept running" in consumer.log
    assert app.huey.pending_count() == 1
    assert consumer.members() == []
    assert result.get() is None


def test_a_consumer_left_alone_is_idle(app, consume):
    """No polling: what it uses in a second is next to nothing."""
    consumer = consume("-w", "2")
    assert get(app.add(1, 2)) == 3
    wait_until_settled(app)
    members = consumer.members()
    before = processor_time(*members)
    time.sleep(1.5)
    assert processor_time(*members) - before < 0.2
