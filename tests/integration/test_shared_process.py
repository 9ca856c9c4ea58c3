"""Workers that are threads or greenlets: what it means that they share a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from liteq import TaskException

from .consumer import ROOT, get, is_alive, kill, shared_kinds, started, wait_until, wait_until_settled

TASKS = """
import ctypes
import threading
from liteq import TaskLockedException
from liteq.current import current_task
from liteq.exceptions import TaskStopped

@huey.on_startup()
def starting():
    note(f"startup {threading.current_thread().name}")

@huey.on_shutdown()
def stopping():
    note(f"shutdown {threading.current_thread().name}")

@huey.task()
def thread():
    return threading.current_thread().name

@huey.task()
def doze(name):
    "Python code that waits in short steps."
    note(name)
    try:
        while True:
            time.sleep(0.01)
    except Exception:
        note("swallowed")
    finally:
        note(f"{name} finally")

@huey.task()
def spin(name):
    note(name)
    while True:
        pass

@huey.task()
def insist(name):
    note(name)
    while not (HERE / f"gate-{name}").exists():
        try:
            time.sleep(0.01)
        except BaseException as error:
            note(type(error).__name__)
    return "at last"

@huey.task()
def wait_in_c(name):
    "One call that waits, and lets other threads run."
    note(name)
    ctypes.CDLL(None).usleep(1_500_000)
    note(f"{name} returned")
    return "returned"

@huey.task()
def mine(name, number):
    "Whether the current task is this one, whatever others do meanwhile."
    note(name)
    found = set()
    while notes().count(name) < number:
        found.add(current_task().args[1])
        time.sleep(0.002)
    return current_task().id

@huey.task()
@huey.lock_task("lock")
def locked():
    note("locked")
    pass_gate("locked")

@huey.task(context=True)
def count_down(task=None):
    "A loop that looks at its time by itself."
    note("counting")
    while task.time_remaining:
        time.sleep(0.01)
    task.check_timeout()

@huey.task()
async def coroutine(seconds):
    import asyncio
    note("coroutine")
    await asyncio.sleep(seconds)
    return seconds
"""


@pytest.fixture
def app(declare):
    return declare(TASKS)


def fails(result, match):
    with pytest.raises(TaskException, match=match):
        get(result)


def log_of(consumer, text):
    return [line for line in consumer.log.splitlines() if text in line]


# One process


@shared_kinds
def test_tasks_run_at_the_same_time_in_one_process(app, consume):
    consumer = consume("-w", "8")
    assert len({get(result) for result in [app.meet("a", 8) for _ in range(8)]}) == 1
    assert len(consumer.workers(app, 8)) == 1
    assert consumer.stop() == 0


@shared_kinds
def test_each_worker_has_its_hooks_and_its_name(app, consume, kind):
    consumer = consume("-w", "3")
    names = [f"Worker-{number}" for number in (1, 2, 3)]
    assert sorted(app.notes()) == [f"startup {name}" for name in names]
    assert get(app.thread()) in names
    fails(app.fail(), "it went wrong")
    assert re.search(rf":huey:{get(app.pid())}:Worker-[123]:Unhandled exception", consumer.log)
    assert f"3 {kind} workers" in consumer.log
    assert consumer.stop() == 0
    assert sorted(app.notes())[:3] == [f"shutdown {name}" for name in names]


@shared_kinds
def test_each_knows_its_own_task(app, consume):
    consume("-w", "4")
    results = [app.mine("a", 4) for _ in range(4)]
    assert [get(result) for result in results] == [result.id for result in results]


def test_a_hundred_greenlets(app, launch):
    consumer = launch("-k", "greenlet", "-w", "100").wait_ready()
    assert len(consumer.workers(app, 100)) == 1
    assert get(app.work.map([(number,) for number in range(3000)])) == list(range(3000))
    assert consumer.stop() == 0


def test_more_workers_than_lines_fit_a_packet(app, launch):
    consumer = launch("-k", "thread", "-w", "260").wait_ready()
    assert len(consumer.workers(app, 260)) == 1
    kill(get(app.pid()))
    assert len(consumer.workers(app, 260)) == 1
    kill(consumer.dispatcher)
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


@shared_kinds
def test_locks_hold_between_workers_of_one_process(app, consume):
    consume("-w", "2")
    held = app.locked()
    started(app, "locked")
    fails(app.locked(), "is locked by process")
    app.open_gate("locked")
    get(held)
    get(app.locked())


@shared_kinds
def test_status_shows_all_that_they_run(app, consume):
    consumer = consume("-w", "3")
    for name in ("a", "b"):
        app.hold(name)
    worker = started(app, "a")
    wait_until(lambda: [it.worker for it in app.huey.running()] == [worker] * 2, "the notes of their starts")
    command = [sys.executable, "-m", "liteq", "status", str(app.HERE / "queue.db")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^  workers +{worker} +busy .* app.hold \S+ for", text, re.MULTILINE)
    assert text.count("app.hold") == 2
    seen = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=True).stdout
    processes = {it["role"]: it for it in json.loads(seen)[0]["consumers"][0]["processes"]}
    assert list(processes) == ["supervisor", "template", "dispatcher", "workers"]
    assert len(processes["workers"]["tasks"]) == 2
    app.open_gate("a")
    app.open_gate("b")
    assert consumer.stop() == 0


# The end of the process


@shared_kinds
def test_a_crash_is_that_of_all_that_ran(app, consume):
    consumer = consume("-w", "3", "--max-crashes", "2")
    results = [app.hold(name) for name in ("a", "b")]
    once = app.hold_once("c")
    for name in ("a", "b", "c"):
        worker = started(app, name)
    waiting = app.work.map([(number,) for number in range(30)])
    kill(worker)
    fails(once, "SIGKILL")
    for name in ("a", "b"):
        started(app, name, times=2)
    assert sorted(get(waiting)) == list(range(30))
    crashes = {attempt.id: attempt.status for attempt in app.huey.history() if attempt.name != "app.work"}
    assert crashes == {result.id: "crashed" for result in (*results, once)}
    kill(started(app, "a", times=2))
    for result in results:
        fails(result, "SIGKILL")
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


@shared_kinds
def test_receivers_hear_once_of_a_process_that_dies_idle(declare, consume):
    app = declare("""
@huey.signal("worker-died")
def hear(signal, task, error=None):
    note(f"{signal} {task}")
""")
    consume("-w", "4")
    kill(get(app.pid()))
    get(app.pid())
    wait_until(lambda: "worker-died None" in app.notes(), "the signal")
    get(app.pid())
    assert app.notes() == ["worker-died None"]


@shared_kinds
def test_an_interrupt_reaches_all(app, consume):
    consumer = consume("-w", "4", "--kill-after", "60")
    names = ["a", "b", "c"]
    for name in names:
        app.doze(name)
    for name in names:
        started(app, name)
    consumer.send(signal.SIGTERM)
    consumer.wait_log("stopping after")
    assert consumer.stop() == 5
    assert {f"{name} finally" for name in names} <= set(app.notes())
    assert "swallowed" not in app.notes()
    assert app.huey.pending_count() == 3
    assert app.huey.running_count() == 0
    assert len([note for note in app.notes() if note.startswith("shutdown")]) == 4


@shared_kinds
def test_idle_workers_that_are_told_to_end(app, consume):
    """By somebody else than the consumer, so that none of them has been told before."""
    consumer = consume("-w", "4")
    worker = get(app.pid())
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: not is_alive(worker), "the end of the process")
    assert get(app.pid()) != worker
    assert len([note for note in app.notes() if note.startswith("shutdown")]) == 4
    assert "exited with code" not in consumer.log
    assert consumer.stop() == 0


def test_a_call_into_c_is_killed_at_a_stop(app, launch):
    consumer = launch("-k", "thread", "-w", "2", "-t", "0", "--kill-after", "0.2").wait_ready()
    app.wait_in_c("a")
    app.doze("b")
    started(app, "a")
    started(app, "b")
    assert consumer.stop() == 5
    assert "a returned" not in app.notes()
    assert app.huey.pending_count() == 2
    assert app.huey.dead() == []


@shared_kinds
def test_max_tasks_is_for_the_process(app, consume):
    consumer = consume("-w", "4", "-M", "10")
    pids = get(app.pid.map([()] * 60))
    assert len(set(pids)) >= 6
    assert max(map(pids.count, pids)) <= 10
    wait_until_settled(app)
    assert "WARNING" not in consumer.log
    assert consumer.stop() == 0


@shared_kinds
def test_an_old_process_is_replaced_once_all_have_ended(app, consume):
    consumer = consume("-w", "3", "--max-age", "0.5")
    result = app.hold("a")
    worker = started(app, "a")
    consumer.wait_log("it is replaced")
    following = app.pid()
    assert is_alive(worker)
    app.open_gate("a")
    assert get(result) == worker
    assert get(following) != worker
    assert consumer.stop() == 0


@shared_kinds
def test_a_process_that_is_too_large_is_replaced(declare, consume):
    app = declare("""
kept = []

@huey.task()
def keep(megabytes):
    kept.append(bytearray(b"x") * (megabytes << 20))
    return os.getpid()
""")
    consumer = consume("-w", "3", "--max-memory", "300M")
    held = app.hold("a")
    worker = started(app, "a")
    assert get(app.keep(350)) == worker
    consumer.wait_log("more than --max-memory 300 MB")
    following = app.pid()
    app.open_gate("a")
    assert get(held) == worker
    assert get(following) != worker
    assert app.huey.dead() == []
    assert consumer.stop() == 0


# One task


@shared_kinds
def test_a_timeout_ends_one_task_and_no_other(app, consume):
    consumer = consume("-w", "2", "--timeout-grace", "60")
    other = app.hold("other")
    worker = started(app, "other")
    for times in (1, 2, 3):
        fails(app.doze("a", timeout=0.05), r"TaskTimeout\('timeout 0.05s'\)")
        assert app.notes().count("a finally") == times
    assert "swallowed" not in app.notes()
    app.open_gate("other")
    assert get(other) == worker
    assert consumer.stop() == 0


@pytest.mark.parametrize("kind", ["thread"])
def test_it_ends_code_that_computes(app, consume):
    consume("-w", "2", "--timeout-grace", "60")
    result = app.spin("a", timeout=0.2)
    worker = started(app, "a")
    fails(result, "TaskTimeout")
    assert get(app.pid()) == worker


@shared_kinds
def test_timeouts_of_all_sizes_at_once(app, consume):
    consume("-w", "6")
    results = [app.doze(f"t{number}", timeout=number / 20) for number in (6, 1, 4, 2, 5, 3)]
    for result in results:
        fails(result, "TaskTimeout")
    assert get(app.add(1, 2, timeout=30)) == 3


@shared_kinds
def test_a_task_that_looks_at_its_time(app, consume):
    consume("-w", "2")
    fails(app.count_down(timeout=0.2), r"TaskTimeout|TaskStopped")


@shared_kinds
def test_who_insists_goes_on_and_the_others_as_well(app, consume):
    consumer = consume("-w", "2", "--timeout-grace", "0.1", "--kill-after", "0.1")
    result = app.insist("a", timeout=0.1)
    worker = started(app, "a")
    wait_until(lambda: app.notes().count("TaskStopped") == 2, "the second exception")
    assert get(app.work.map([(number,) for number in range(50)])) == list(range(50))
    app.open_gate("a")
    assert get(result) == "at last"
    assert {get(app.pid()) for _ in range(10)} == {worker}
    assert len(consumer.workers(app, 2)) == 1
    assert consumer.stop() == 0


@pytest.mark.parametrize("kind", ["thread"])
def test_a_call_into_c_is_ended_when_it_returns(app, consume):
    consume("-w", "2", "--timeout-grace", "0.1", "--kill-after", "0.1")
    result = app.wait_in_c("a", timeout=0.1)
    worker = started(app, "a")
    assert get(app.add(1, 2)) == 3
    fails(result, "TaskTimeout")
    assert "a returned" not in app.notes()
    assert get(app.pid()) == worker


@shared_kinds
def test_a_running_task_is_terminated_and_no_other(app, consume):
    consumer = consume("-w", "3")
    other = app.hold("other")
    worker = started(app, "other")
    for times in (1, 2, 3):
        result = app.doze("a", retries=3)
        started(app, "a", times)
        result.revoke(terminate=True)
        fails(result, "TaskTerminated")
        assert app.notes().count("a finally") == times
    app.open_gate("other")
    assert get(other) == worker
    assert len(consumer.workers(app, 3)) == 1
    assert consumer.stop() == 0


@shared_kinds
def test_many_are_terminated_just_when_they_end(declare, consume):
    """A stop that comes too late hits nothing else."""
    app = declare("""
@huey.signal("executing")
def begin(signal, task):
    "Before the time of the task counts."
    note(f"{task.name} begun")

@huey.task()
def short(number):
    time.sleep(0.005)
    return number
""")
    consumer = consume("-w", "4")
    worker = get(app.pid())
    results = []
    for number in range(150):
        results.append(app.short(number, timeout=0.005 + number / 100_000))
        if number % 3 == 0:
            started(app, "short begun", times=number + 1)
            results[-1].revoke(terminate=True)
    for number, result in enumerate(results):
        try:
            assert get(result) == number
        except TaskException as error:
            assert re.search("TaskTimeout|TaskTerminated", str(error))  # noqa: PT017 -- either may come first
    wait_until_settled(app)
    assert [attempt.status for attempt in app.huey.history(limit=1000)].count("crashed") == 0
    assert get(app.pid()) == worker
    assert consumer.stop() == 0


# Coroutines


@pytest.mark.parametrize("kind", ["thread"])
def test_coroutines_run_side_by_side_in_threads(app, consume):
    consumer = consume("-w", "3")
    results = [app.coroutine(0.01), app.coroutine(600, timeout=0.3), app.coroutine(600)]
    assert get(results[0]) == 0.01
    fails(results[1], "TaskTimeout")
    results[2].revoke(terminate=True)
    fails(results[2], "TaskTerminated")
    app.coroutine(600)
    started(app, "coroutine", times=4)
    consumer.send(signal.SIGTERM)
    consumer.wait_log("stopping after")
    assert consumer.stop() == 5
    assert app.huey.pending_count() == 1


@pytest.mark.parametrize("kind", ["greenlet"])
def test_in_greenlets_they_are_refused(app, consume):
    consume("-w", "2")
    fails(app.coroutine(0.01), r"can't run in greenlets: use -k thread or -k process")


# gevent


@pytest.mark.parametrize("kind", ["process", "thread", "greenlet"])
def test_an_application_that_patches_itself(declare, consume, kind):
    app = declare("""
def patched():
    import gevent.monkey
    return gevent.monkey.is_module_patched("threading")

if __name__ == "app" and (HERE / "in-consumer").exists():
    from gevent import monkey
    monkey.patch_all()

@huey.task()
def look():
    return patched()
""")
    (app.HERE / "in-consumer").touch()
    consumer = consume("-w", "3")
    assert get(app.look())
    assert len(consumer.workers(app, 3)) == (3 if kind == "process" else 1)
    fails(app.work.schedule((1, 600), timeout=0.2, delay=0), "TaskTimeout")
    assert get(app.work.map([(number,) for number in range(300)])) == list(range(300))
    assert consumer.stop() == 0


@pytest.mark.parametrize("kind", ["greenlet"])
def test_it_is_patched_before_the_application_is_imported(declare, consume):
    app = declare("""
from time import sleep as early
import threading

@huey.task()
def nap():
    note("nap")
    early(0.5)
    return time.monotonic(), type(threading.Lock()).__module__
""")
    consume("-w", "10")
    begun = [get(result) for result in [app.nap() for _ in range(10)]]
    moments = [moment for moment, _ in begun]
    assert max(moments) - min(moments) < 0.4, "they slept one after the other"
    assert {module.split(".")[0] for _, module in begun} == {"gevent"}


# Processes that tasks start

STARTS = """
import multiprocessing
import subprocess
import sys

@huey.task()
def run_program():
    return subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout

def reply(pipe):
    pipe.send(os.getpid())

@huey.task()
def run_process():
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=reply, args=(theirs,))
    process.start()
    answer = ours.recv()
    process.join()
    return answer == process.pid, process.exitcode

@huey.task()
def fork_and_come_back():
    "The child waits, in which others might go on, and returns from the task as its parent does."
    pid = os.fork()
    if pid:
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
    else:
        pass_gate("child")
        time.sleep(0.1)
    note("came back")
    return os.getpid()
"""


@shared_kinds
def test_programs(declare, consume):
    app = declare(STARTS)
    consumer = consume("-w", "4")
    assert [get(result) for result in [app.run_program() for _ in range(8)]] == ["42\n"] * 8
    assert consumer.stop() == 0


@pytest.mark.parametrize("kind", ["thread"])
def test_processes_of_multiprocessing(declare, consume):
    app = declare(STARTS)
    consumer = consume("-w", "4")
    worker = get(app.pid())
    assert [get(result) for result in [app.run_process() for _ in range(4)]] == [(True, 0)] * 4
    assert get(app.pid()) == worker
    assert consumer.stop() == 0


@shared_kinds
def test_only_the_task_that_forks_goes_on_in_the_child(declare, consume):
    app = declare(STARTS)
    consumer = consume("-w", "4")
    held = [app.hold("child"), app.hold("child")]
    worker = started(app, "child", times=2)
    result = app.fork_and_come_back()
    many = app.work.map([(number, 0.001) for number in range(100)])
    assert get(many) == list(range(100))
    app.open_gate("child")
    assert [get(it) for it in held] == [worker] * 2
    assert get(result) == worker
    assert set(map(int, app.pids("came back"))) >= {worker}
    wait_until_settled(app)
    assert sorted(app.notes()) == sorted(["child", "child", "came back", "came back", *map(str, range(100))])
    assert get(app.pid()) == worker
    assert consumer.stop() == 0
