"""A timeout ends the work: by an exception in the task, and if that is not heeded, with the worker."""

from __future__ import annotations

import time

import pytest

from liteq import TaskException

from .consumer import get, is_alive, kill, started, wait_until, wait_until_dead

TASKS = """
import ctypes
import signal
from liteq.exceptions import TaskStopped

@huey.task()
def handled(error):
    note(f"handled {type(error).__name__}")

@huey.task()
def sleep(name):
    try:
        note(name)
        time.sleep(3600)
    except Exception:
        note("swallowed")
    finally:
        note("finally")

@huey.task()
def spin(name):
    note(name)
    while True:
        pass

@huey.task()
def insist(name):
    note(name)
    while True:
        try:
            time.sleep(3600)
        except BaseException as error:
            note(type(error).__name__)

@huey.task()
def block(name):
    "A call into C that neither returns nor looks at signals, and keeps the interpreter's lock."
    note(name)
    libc = ctypes.PyDLL(None)
    while_true = libc.pause
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
    while_true()

@huey.task(at_most_once=True)
def block_once(name):
    block.call_local(name)

@huey.on_startup()
def start_slowly():
    if (HERE / "slow").exists():
        note("starts slowly")
        pass_gate("start")

@huey.task()
def give_in():
    try:
        time.sleep(3600)
    except TaskStopped:
        return "partial"

@huey.task(context=True)
def look(task=None):
    return 0 < task.time_remaining <= 30, task.is_timed_out

@huey.signal("timeout", "revoked", "retrying", "worker-died", "crashed", "dead")
def hear(signal, task, error=None):
    note(f"signal {signal} {task.name if task else None}")
"""


@pytest.fixture
def app(declare):
    return declare(TASKS)


def fails(result, match="TaskTimeout"):
    with pytest.raises(TaskException, match=match):
        get(result)


@pytest.mark.parametrize("name", ["sleep", "spin"])
def test_the_exception_ends_python_code(app, consume, name):
    consume("--timeout-grace", "60")
    result = getattr(app, name)("a", timeout=0.2)
    worker = started(app, "a")
    fails(result, r"TaskTimeout\('timeout 0.2s'\)")
    assert get(app.pid()) == worker
    assert "swallowed" not in app.notes()
    assert f"signal timeout {name}" in app.notes()


def test_finally_runs(app, consume):
    consume()
    fails(app.sleep("a", timeout=0.1))
    assert "finally" in app.notes()


def test_the_traceback_shows_where(app, consume):
    consume()
    with pytest.raises(TaskException) as caught:
        get(app.sleep("a", timeout=0.1))
    assert "time.sleep(3600)" in caught.value.metadata["traceback"]


def test_a_task_may_catch_it_and_end_in_time(app, consume):
    consume()
    assert get(app.give_in(timeout=0.1)) == "partial"


def test_who_insists_is_killed_and_the_slot_works_at_once(app, consume):
    consumer = consume("--timeout-grace", "0.1", "--kill-after", "0.2")
    result = app.insist("a", timeout=0.1)
    worker = started(app, "a")
    wait_until(lambda: not is_alive(worker), "the end of the worker")
    killed = time.monotonic()
    following = app.pid()
    assert get(following) != worker
    again = time.monotonic() - killed
    fails(result, "had to be killed")
    assert app.notes().count("a") == 1, "it must not run again"
    assert [text for text in app.notes() if text == "TaskStopped"] == ["TaskStopped"] * 2
    assert again < 1, f"the slot stood empty for {again:.3f} s"
    assert consumer.stop() == 0


def test_a_call_into_c_is_killed(app, consume):
    consume("--timeout-grace", "0.1", "--kill-after", "0.1")
    result = app.block("a", timeout=0.1)
    worker = started(app, "a")
    wait_until_dead(worker)
    fails(result, "had to be killed")
    assert "signal timeout block" in app.notes()
    assert app.huey.dead() == []


def test_a_killed_one_has_its_retries_and_its_handler(app, consume):
    consume("--timeout-grace", "0.1", "--kill-after", "0.1")
    task = app.block.s("a", timeout=0.1, retries=1)
    task.error(app.handled)
    result = app.huey.enqueue(task)
    started(app, "a", times=2)
    wait_until(lambda: app.notes().count("handled TaskTimeout") == 2, "both handlers")
    assert app.notes().count("signal retrying block") == 1
    result.reset()
    fails(result)


def test_a_timeout_that_is_not_reached_does_nothing(app, consume):
    consumer = consume()
    worker = get(app.pid(timeout=0.5))
    assert get(app.work("a", 0.7)) == "a"
    assert get(app.look(timeout=30)) == (True, False)
    assert get(app.pid()) == worker
    assert "Traceback" not in consumer.log


def test_waiting_tasks_go_elsewhere_meanwhile(app, consume):
    consume("--timeout-grace", "0.1", "--kill-after", "0.1")
    get(app.work.map([(number,) for number in range(200)]))  # so that it is known as fast
    stuck = app.insist("a", timeout=0.1)
    others = app.work.map([(number,) for number in range(200, 400)])
    assert get(others) == list(range(200, 400))
    fails(stuck)


def test_one_that_was_killed_does_not_run_again_where_it_is_concluded_late(app, consume):
    """The only worker with room is at something long: its conclusion is taken back from there."""
    consume("-w", "2", "--timeout-grace", "0.1", "--kill-after", "0.1")
    result = app.block_once("a", timeout=1)
    blocked = started(app, "a")
    get(app.work.map([(number,) for number in range(200)]))  # so that the other one is known as fast
    app.hold("b")
    started(app, "b")
    wait_until_dead(blocked)
    fails(result, "had to be killed")
    app.open_gate("b")
    assert app.notes().count("a") == 1


def test_nor_does_it_if_the_dispatcher_dies_before_it_is_concluded(app, consume):
    consumer = consume("--timeout-grace", "0.1", "--kill-after", "0.1")
    dispatcher = consumer.dispatcher
    result = app.block_once("a", timeout=0.1)
    worker = started(app, "a")
    (app.HERE / "slow").touch()
    wait_until(lambda: "starts slowly" in app.notes(), "the next worker")
    assert not is_alive(worker)
    kill(dispatcher)
    (app.HERE / "slow").unlink()
    app.open_gate("start")
    fails(result, "had to be killed")
    (attempt,) = app.huey.history(name="app.block_once")
    assert (attempt.status, attempt.worker, attempt.exit_code) == ("timeout", worker, -9)
    assert app.notes().count("a") == 1


def test_a_dispatcher_that_is_new_enforces_it(app, consume):
    consumer = consume("--timeout-grace", "0.5", "--kill-after", "0.1")
    result = app.block("a", timeout=0.5)
    worker = started(app, "a")
    kill(consumer.dispatcher)
    wait_until_dead(worker)
    fails(result, "had to be killed")
    assert app.notes().count("a") == 1


# Terminate


@pytest.mark.parametrize("how", ["result", "id", "task"])
def test_a_running_task_is_terminated(app, consume, how):
    consumer = consume("-w", "2")
    result = app.sleep("a")
    started(app, "a")
    if how == "result":
        result.revoke(terminate=True)
    elif how == "id":
        app.huey.revoke_by_id(result.id, terminate=True)
    else:
        app.sleep.revoke(terminate=True)
    fails(result, "TaskTerminated")
    assert "finally" in app.notes()
    assert "signal revoked sleep" in app.notes()
    assert app.notes().count("a") == 1
    assert not result.is_revoked() or how == "task"
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_one_that_insists_is_killed(app, consume):
    consume("--kill-after", "0.2")
    result = app.insist("a", retries=3)
    worker = started(app, "a")
    result.revoke(terminate=True)
    wait_until_dead(worker)
    fails(result, "TaskTerminated.*had to be killed")
    assert app.notes().count("a") == 1


def test_one_that_waits_does_not_start(app, consume):
    consume()
    held = app.hold("gate")
    started(app, "gate")
    result = app.sleep("a")
    result.revoke(terminate=True)
    app.open_gate("gate")
    get(held)
    wait_until(lambda: "signal revoked sleep" in app.notes(), "its revocation")
    assert "a" not in app.notes()


def test_one_that_waits_in_a_worker_does_not_start_either(app, consume):
    consume()
    get(app.work.map([(number,) for number in range(300)]))  # so that it is known as fast, and gets many
    held = app.hold("gate")
    waiting = [app.sleep(f"waiting {number}") for number in range(3)]
    started(app, "gate")
    for result in waiting:
        result.revoke()
    app.open_gate("gate")
    get(held)
    wait_until(lambda: app.notes().count("signal revoked sleep") == 3, "their revocations")
    assert not any(note.startswith("waiting") for note in app.notes())


def test_without_terminate_it_goes_on(app, consume):
    consume()
    result = app.hold("a")
    started(app, "a")
    result.revoke()
    app.open_gate("a")
    assert get(result)


# Signals of the consumer


def test_receivers_hear_of_a_crash(app, consume):
    consume("--max-crashes", "2")
    app.hold("a")
    kill(started(app, "a"))
    wait_until(lambda: "signal crashed hold" in app.notes(), "the signal")
    kill(started(app, "a", times=2))
    wait_until(lambda: "signal dead hold" in app.notes(), "the signal")
    assert [text for text in app.notes() if text.startswith("signal")] == [
        "signal worker-died hold",
        "signal crashed hold",
        "signal worker-died hold",
        "signal crashed hold",
        "signal dead hold",
    ]


def test_receivers_hear_of_an_idle_worker(app, consume):
    consume()
    kill(get(app.pid()))
    wait_until(lambda: "signal worker-died None" in app.notes(), "the signal")
