"""Several consumers on one file: each task is run once, and they recover each other's."""

from __future__ import annotations

from .consumer import PATIENCE, get, kill, started, wait_until, wait_until_dead, wait_until_settled


def test_each_task_runs_once(app, consume):
    consume("-w", "2")
    consume("-w", "2")
    results = app.work.map([(number, 0.001) for number in range(800)])
    assert get(results) == list(range(800))
    wait_until_settled(app)
    assert sorted(map(int, app.notes())) == list(range(800))
    assert len(app.huey.storage.consumers()) == 2


def test_both_take_part(app, consume):
    consumers = consume("-w", "2"), consume("-w", "1")
    workers = consumers[0].workers(app, 3)
    assert len(workers) == 3
    assert all(workers & set(consumer.members()) for consumer in consumers)


def test_one_recovers_the_tasks_of_the_other(app, consume):
    first = consume()
    running = app.hold("a")
    victim = started(app, "a")
    second = consume()
    kill(*first.members())
    survivor = started(app, "a", times=2)
    app.open_gate("a")
    assert get(running) == survivor != victim
    assert survivor in second.members()
    assert list(app.huey.storage.consumers().values())[0][0].pid == second.pid


def test_one_recovers_the_load_of_the_other(app, consume):
    first, second = consume("-w", "2"), consume("-w", "2")
    results = app.work.map([(number, 0.002) for number in range(600)])
    wait_until(lambda: len(app.notes()) > 100)
    kill(*first.members())
    assert get(results) == list(range(600))
    wait_until_settled(app)
    assert second.stop() == 0


def orphan(app, consume):
    """A worker whose supervisor and dispatcher are killed in the middle of its task; its consumer and pid."""
    consumer = consume()
    worker = started(app, "a")
    kill(consumer.pid, consumer.dispatcher)
    return consumer, worker


def test_the_outcome_of_a_lost_claim_has_no_effect(app, consume):
    """The claim was taken over, so only the outcome of the new attempt counts, though it comes later."""
    result = app.hold("a")
    consumer, late = orphan(app, consume)
    consume()
    other = started(app, "a", times=2)
    app.open_gate("a", late)
    wait_until_dead(late)
    consumer.wait_all_dead()
    assert "no effect" in consumer.log
    assert app.huey.result_count() == 0
    assert app.huey.running_count() == 1
    app.open_gate("a", other)
    assert get(result) == other
    wait_until_settled(app)
    assert app.huey.result_count() == 0


def test_the_outcome_of_a_lost_claim_has_no_effect_after_the_other_either(app, consume):
    result = app.hold("a")
    consumer, late = orphan(app, consume)
    consume()
    other = started(app, "a", times=2)
    app.open_gate("a", other)
    assert result.get(blocking=True, timeout=PATIENCE, preserve=True) == other
    app.open_gate("a", late)
    wait_until_dead(late)
    consumer.wait_all_dead()
    assert app.huey.result(result.id, preserve=True) == other
    assert app.huey.result_count() == 1
    assert is_quiet(app)


def test_a_large_outcome_of_a_lost_claim_has_no_effect(declare, consume):
    """It does not travel by the dispatcher: the worker settles it by itself."""
    app = declare("""
@huey.task()
def hold_large(name):
    note(name)
    pass_gate(name)
    return str(os.getpid()) * 50_000
""")
    result = app.hold_large("a")
    consumer, late = orphan(app, consume)
    consume()
    other = started(app, "a", times=2)
    app.open_gate("a", late)
    consumer.wait_all_dead()
    assert app.huey.result_count() == 0
    app.open_gate("a", other)
    assert get(result) == str(other) * 50_000


def test_flushing_takes_the_claim_of_what_runs(app, consume):
    consumer = consume()
    app.hold("a")
    started(app, "a")
    app.work("never")
    app.huey.flush()
    app.open_gate("a")
    consumer.wait_log("no effect")
    assert get(app.add(1, 2)) == 3
    assert app.notes() == ["a"]
    assert app.huey.result_count() == 0


def is_quiet(app):
    return app.huey.pending_count() == app.huey.running_count() == 0


def test_an_orphan_whose_claim_nobody_took_settles_it(app, consume):
    """There is no other consumer: its finished work is not thrown away."""
    result = app.hold("a")
    consumer, worker = orphan(app, consume)
    app.open_gate("a")
    assert get(result) == worker
    consumer.wait_all_dead()
    assert is_quiet(app)
    consume()
    assert get(app.add(1, 2)) == 3
    assert app.notes() == ["a"]


def test_a_lost_claim_of_what_must_not_repeat(app, consume):
    result = app.hold_once("a")
    consumer, late = orphan(app, consume)
    consume()
    (dead,) = wait_until(app.huey.dead)
    app.open_gate("a", late)
    wait_until_dead(late)
    assert app.notes() == ["a"]
    assert dead.id == result.id
    assert [task.id for task in app.huey.dead()] == [result.id]
