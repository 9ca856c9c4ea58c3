"""Chords in a consumer whose processes die: the callback gets the whole list, and comes to one end."""

from __future__ import annotations

import random
import signal

import pytest

from liteq import SKIPPED, Error, chord, group

from .consumer import every_kind, get, kill, started, wait_until, wait_until_settled

MORE = """
@huey.task()
def total(values, name="total"):
    note(f"{name} {len(values)}")
    return sum(value for value in values if type(value) is int)

@huey.task()
def slow_total(values, name="total"):
    note(f"{name} {len(values)}")
    pass_gate(name)
    return sum(values)

@huey.task()
def die():
    os.kill(os.getpid(), 9)

@huey.task()
def give(values):
    return list(values)

@huey.task(retries=2)
def flaky_total(values):
    note(f"try {len(values)}")
    if notes().count(f"try {len(values)}") < 3:
        raise ValueError
    return sum(values)

@huey.task()
def large(size):
    return "x" * size

@huey.task()
def join(values):
    return "".join(values)
"""

LEFTOVERS = ("queue WHERE queue <> ''", "priority", "schedule", "chord", "member", "stage", "claim")


@pytest.fixture
def chords(declare):
    return declare(MORE)


def check_clean(app):
    """Nothing is left of any chord in the file."""
    wait_until_settled(app)
    with app.huey.storage.database.read() as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").get for table in LEFTOVERS}
    assert set(counts.values()) == {0}, counts


@every_kind
def test_a_chord_and_what_follows(chords, consume):
    app = chords
    consume("-w", "2")
    members = [app.add.s(number, 1).then(app.add, 1) for number in range(20)]
    result = app.huey.enqueue(chord(members, app.total).then(app.add, 1000))
    assert get(result.pipeline_results) == [230, 1230]
    assert get(result.results) == [number + 2 for number in range(20)]
    assert app.notes() == ["total 20"]
    check_clean(app)


def test_chords_in_chords(chords, consume):
    app = chords
    consume("-w", "2")
    inner = [chord([app.add.s(i, j) for j in range(4)], app.total) for i in range(4)]
    assert get(app.huey.enqueue(chord([*inner, app.add.s(0, 0)], app.total))) == sum(
        4 * i + 6 for i in range(4)
    )
    assert sorted(app.notes()) == ["total 4"] * 4 + ["total 5"]
    check_clean(app)


def test_results_of_a_group_as_they_come(chords, consume):
    app = chords
    consume("-w", "2")
    results = app.huey.enqueue(group([app.hold.s("a"), app.add.s(1, 2)]))
    ended = results.as_completed()
    assert next(ended) == 3
    app.open_gate("a")
    assert next(ended) in app.pids("a")


@every_kind
def test_members_that_end_in_every_way(chords, consume):
    app = chords
    consume("--max-crashes", "2")
    revoked = app.add.s(1, 2)
    app.huey.revoke(revoked)
    unknown = app.echo.s(1)
    members = [
        app.add.s(1, 2),
        app.fail.s(),
        app.die.s(),
        revoked,
        app.fail.s().then(app.add),
        app.die.s().then(app.add),
    ]
    values = get(app.huey.enqueue(chord([*members, unknown], app.give)))
    assert values[0] == 3
    assert [type(value) for value in values[1:3]] == [Error, Error]
    assert "SIGKILL" in values[2].metadata["error"]
    assert values[3] is SKIPPED
    assert [type(value) for value in values[4:6]] == [Error, Error]
    assert values[6] == 1


def test_a_member_that_the_consumer_does_not_know(declare, consume):
    app = declare(MORE)
    consume()  # of an application that lacks what comes now
    app = declare(MORE + "\n@huey.task()\ndef new(): return 'new'\n")
    result = app.huey.enqueue(chord([app.new.s(), app.add.s(1, 2).then(app.new)], app.give))
    values = get(result)
    assert [type(value) for value in values] == [Error, Error]
    assert len(app.huey.dead()) == 2


def test_a_callback_that_is_retried(chords, consume):
    app = chords
    consume("-w", "2")
    result = app.huey.enqueue(chord([app.add.s(1, 2), app.add.s(3, 4)], app.flaky_total))
    wait_until_settled(app)
    assert get(result) == 10
    assert app.notes() == ["try 2"] * 3
    check_clean(app)


@pytest.mark.parametrize("size", [10, 100_000])
def test_values_of_every_size(chords, consume, size):
    app = chords
    consume("-w", "2")
    result = app.huey.enqueue(chord([app.large.s(size) for _ in range(20)], app.join))
    assert get(result) == "x" * size * 20
    check_clean(app)


def test_a_worker_dies_over_the_callback(chords, consume):
    """The next one gets the same list."""
    app = chords
    consume()
    result = app.huey.enqueue(chord([app.add.s(1, 2), app.add.s(3, 4)], app.slow_total))
    kill(started(app, "total 2"))
    started(app, "total 2", times=2)
    app.open_gate("total")
    assert get(result) == 10
    assert app.notes() == ["total 2"] * 2
    check_clean(app)


def test_a_callback_that_kills_its_workers_is_dead_and_can_be_revived(chords, consume):
    app = chords
    consume("--max-crashes", "2")
    result = app.huey.enqueue(chord([app.add.s(1, 2)], app.slow_total))
    for times in (1, 2):
        kill(started(app, "total 1", times=times))
    wait_until(app.huey.dead, "the callback to be dead")
    app.open_gate("total")
    app.huey.revive(result.callback.id)
    wait_until(lambda: app.notes() == ["total 1"] * 3)
    wait_until_settled(app)
    result.reset()
    assert get(result) == 3
    check_clean(app)


def test_a_callback_of_a_dead_worker_in_a_chord(chords, consume):
    app = chords
    consume("--max-crashes", "1")
    inner = chord([app.add.s(1, 2)], app.slow_total)
    result = app.huey.enqueue(chord([inner, app.add.s(3, 4)], app.give))
    kill(started(app, "total 1"))
    error, value = get(result)
    assert "SIGKILL" in error.metadata["error"]
    assert value == 7


def test_everything_dies_while_members_run(chords, consume):
    app = chords
    consumer = consume("-w", "2")
    result = app.huey.enqueue(chord([app.hold.s("a"), app.add.s(1, 2), app.hold.s("b")], app.give))
    started(app, "a")
    started(app, "b")
    kill(*consumer.members())
    app.open_gate("a")
    app.open_gate("b")
    consume("-w", "2")
    assert get(result)[1] == 3
    check_clean(app)


def test_stopping_while_a_callback_waits(chords, consume):
    app = chords
    consumer = consume()
    result = app.huey.enqueue(chord([app.add.s(1, 2), app.add.s(3, 4, delay=1)], app.total))
    wait_until(lambda: app.huey.scheduled_count() == 1 and app.huey.pending_count() == 0)
    assert consumer.stop() == 0
    assert app.huey.storage.waiting_count() == 1
    consume()
    assert get(result) == 10


@every_kind
def test_chords_under_fire(chords, consume):
    """Workers and dispatchers are killed all the time, and no callback is lost, or gets too little."""
    app = chords
    consumer = consume("-w", "2", "--max-crashes", "100")
    rounds = random.Random(7)
    canvases = [
        chord([app.work.s(f"{number}", 0.002).then(app.echo) for _ in range(5)], app.give)
        for number in range(60)
    ]
    results = app.huey.enqueue_many(canvases)
    for kills in range(1, 13):
        wait_until(lambda kills=kills: len(app.notes()) > 20 * kills)
        victims = {consumer.find_dispatcher()} if rounds.random() < 0.4 else set()
        if not victims or rounds.random() < 0.3:
            victims |= set(map(int, [app._lines()[-1][1]]))
        kill(*(victims & set(consumer.members())))
    for number, result in enumerate(results):
        assert get(result) == [f"{number}"] * 5
    assert app.huey.dead() == []
    check_clean(app)
    assert consumer.stop(signal.SIGTERM) == 0
