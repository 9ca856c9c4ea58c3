"""Pausing and resuming while a consumer works."""

from __future__ import annotations

import time

import pytest

from .consumer import get, is_settled, started, wait_until, wait_until_settled

MORE = """
@huey.task()
def other(number):
    note(f"other-{number}")
    return number


@huey.periodic_task(lambda moment: True)
def tick():
    note("tick")
"""


def stands_still(app, moment: float = 0.3) -> int:
    """Wait until nothing runs any more, watch for a moment that nothing begins; how many notes there are."""
    wait_until(lambda: app.huey.running_count() == 0, "the running tasks to end")
    before = len(app.notes())
    time.sleep(moment)
    assert len(app.notes()) == before
    return before


def test_a_queue_is_paused_while_it_drains(app, consume):
    consume("-w", "2")
    app.work.map([(number, 0.001) for number in range(2_000)])
    wait_until(lambda: len(app.notes()) > 50, "some of them to run")
    assert app.huey.pause()
    done = stands_still(app)
    assert 50 < done < 2_000
    assert app.huey.pending_count() == 2_000 - done, "what was prefetched went back"
    late = app.work(9_999)
    assert late.status() == "queued"
    assert app.huey.resume()
    wait_until_settled(app)
    assert sorted(map(int, app.notes())) == [*range(2_000), 9_999]


def test_a_running_task_goes_on_and_others_do_not_begin(app, consume):
    consume("-w", "2")
    held = app.hold("held")
    started(app, "held")
    app.huey.pause()
    waiting = app.add(1, 2)
    app.open_gate("held")
    get(held)
    stands_still(app)
    assert (held.status(), waiting.status()) == ("complete", "queued")
    app.huey.resume()
    assert get(waiting) == 3


def test_a_paused_task_lets_the_others_pass(declare, consume):
    app = declare(MORE)
    consume("-w", "2", "-n")
    app.huey.pause(app.work)
    app.work.map([(number,) for number in range(500)])
    others = app.other.map([(number,) for number in range(500)])
    assert others.get(blocking=True, timeout=60) == list(range(500))
    assert len(app.notes()) == 500
    assert app.huey.pending_count() == 500
    app.huey.resume(app.work)
    wait_until_settled(app)
    assert len(app.notes()) == 1_000


@pytest.mark.parametrize("source", ["", "huey.storage.work_source = lambda: None  # so it is polled"])
def test_many_paused_tasks_do_not_hide_the_others(declare, consume, source):
    app = declare(MORE + source)
    app.huey.pause(app.work)
    app.work.map([(number,) for number in range(9_000)])
    others = app.other.map([(number,) for number in range(50)])
    consume("-w", "2", "-n")
    assert others.get(blocking=True, timeout=60) == list(range(50))
    assert app.huey.pending_count() == 9_000
    app.huey.resume(app.work)
    wait_until_settled(app)
    assert len(app.notes()) == 9_050


def test_what_waits_behind_a_running_task_goes_back_when_its_name_is_paused(declare, consume):
    app = declare(MORE)
    consume("-w", "1", "-n")
    app.other.map([(number,) for number in range(3_000)])
    wait_until(lambda: len(app.notes()) > 100, "the worker to have many in hand")
    app.huey.pause(app.other)
    stands_still(app)
    assert not app.huey.running()
    assert get(app.add(1, 1)) == 2
    app.huey.resume(app.other)
    wait_until_settled(app)
    assert len(set(app.notes())) == 3_000


def test_a_pause_outlasts_the_consumer(app, consume):
    first = consume("-w", "1")
    app.huey.pause()
    waiting = app.add(1, 2)
    assert first.stop() == 0
    consume("-w", "1")
    stands_still(app)
    assert waiting.status() == "queued"
    assert app.huey.is_paused(app.add)
    app.huey.resume()
    assert get(waiting) == 3


def test_pausing_and_resuming_without_end_loses_nothing(app, consume):
    consume("-w", "2")
    app.work.map([(number,) for number in range(1_000)])
    while not is_settled(app):
        for what in (None, app.work):
            app.huey.pause(what)
            time.sleep(0.002)
            app.huey.resume(what)
        time.sleep(0.005)
    assert sorted(map(int, app.notes())) == list(range(1_000))


@pytest.mark.parametrize("what", ["queue", "task"])
def test_slots_of_paused_periodic_tasks_pass_by(declare, what):
    app = declare(MORE)
    from liteq import clock
    from liteq.workers.beat import Beat

    paused = None if what == "queue" else app.tick
    beat = Beat(app.huey, enabled=True)
    now = clock.now()
    beat.start(now)
    app.huey.pause(paused)
    for minute in (1, 2, 3):
        moment = now + minute * clock.MINUTE
        assert beat.fire(moment) == []
        beat.fired(moment)
    app.huey.resume(paused)
    assert beat.fire(moment) == [], "its slot has passed"
    assert len(beat.fire(now + 4 * clock.MINUTE)) == 1
