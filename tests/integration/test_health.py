"""Workers are replaced before they use too much or get too old; what hangs is told of."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from liteq import TaskException

from .consumer import get, is_alive, kill, started, wait_until, wait_until_settled

LEAKS = """
_kept = []

@huey.task()
def leak(number, megabytes):
    note(f"leak {number}")
    _kept.append(bytearray(b"x") * (megabytes << 20))
    return os.getpid()

def balloon(name, megabytes):
    note(name)
    kept = bytearray(b"x") * (megabytes << 20)
    pass_gate(name)
    if "kept" in name:
        _kept.append(kept)
    return os.getpid()

@huey.task(name="swell")
def swell(name, megabytes):
    return balloon(name, megabytes)

@huey.task(name="swell_once", at_most_once=True)
def swell_once(name, megabytes):
    return balloon(name, megabytes)
"""


# Memory


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_worker_that_leaks_is_replaced_between_its_tasks(declare, consume, workers):
    app = declare(LEAKS)
    consumer = consume("-w", workers, "--max-memory", "100M")
    pids = [get(result) for result in app.leak.map([(number, 15) for number in range(60)])]
    assert len(set(pids)) > int(workers)
    wait_until_settled(app)
    assert sorted(app.notes()) == sorted(f"leak {number}" for number in range(60))
    assert "more than --max-memory 100 MB: another one takes its place" in consumer.log
    assert not {"WARNING", "ERROR"} & set(re.findall(r"\] ([A-Z]+):", consumer.log))
    assert consumer.stop() == 0


def test_a_running_task_is_not_disturbed_when_its_worker_is_to_be_replaced(declare, consume):
    app = declare(LEAKS)
    consumer = consume("--max-memory", "100M")
    big = app.swell("kept", 150)
    first = started(app, "kept")
    time.sleep(0.3)  # it would have been stopped
    behind = app.pid()
    app.open_gate("kept")
    assert get(big) == first
    assert get(behind) != first
    wait_until(lambda: not is_alive(first), "the end of the large worker")
    assert app.notes() == ["kept"]
    assert consumer.stop() == 0


def test_what_a_task_has_given_back_does_not_count(declare, consume):
    app = declare(LEAKS)
    consume("--max-memory", "100M")
    app.open_gate("given back")
    pids = {get(app.swell("given back", 150)) for _ in range(3)}
    assert pids == {get(app.pid())}


def test_what_workers_share_does_not_count(declare, consume):
    app = declare("_shared = bytearray(b'x') * (300 << 20)")
    consumer = consume("-w", "2", "--max-memory", "100M")
    before = consumer.workers(app, 2)
    assert len({get(app.pid()) for _ in range(50)} | before) == 2
    app.hold("a")
    started(app, "a")
    time.sleep(0.3)  # it would have been noticed
    app.open_gate("a")
    assert consumer.workers(app, 2) == before
    assert "max-memory" not in consumer.log


def test_a_task_far_beyond_the_limit_is_a_crash_that_names_the_cause(declare, consume):
    app = declare(LEAKS)
    consumer = consume("-w", "2", "--max-memory", "60M", "--max-crashes", "2")
    huge = app.swell("huge", 200)
    with pytest.raises(TaskException, match=r"its worker used \d+ MB, more than --max-memory allows"):
        get(huge)
    (dead,) = app.huey.dead()
    assert (dead.id, dead.crashes, dead.exit_code) == (huge.id, 2, -signal.SIGKILL)
    assert app.notes() == ["huge"] * 2
    assert not any(is_alive(pid) for pid in app.pids("huge"))
    assert re.search(rf"Task {huge.id} \(app.swell\): used \d+ MB", consumer.log)
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_what_waits_behind_a_task_that_is_stopped_for_its_memory_is_not_charged(declare, consume):
    app = declare(LEAKS)
    consume("--max-memory", "60M", "--max-crashes", "1")
    results = list(app.add.map([(i, 1) for i in range(200)]))
    huge = app.swell("huge", 200)
    results += app.add.map([(i, 1) for i in range(200)])
    with pytest.raises(TaskException, match="more than --max-memory allows"):
        get(huge)
    assert [get(result) for result in results] == [i + 1 for i in range(200)] * 2
    assert [dead.id for dead in app.huey.dead()] == [huge.id]


def test_a_task_that_must_not_repeat_is_dead_when_it_uses_too_much(declare, consume):
    app = declare(LEAKS)
    consume("--max-memory", "60M")
    with pytest.raises(TaskException, match="more than --max-memory allows"):
        get(app.swell_once("huge", 200))
    assert app.notes() == ["huge"]


def test_dispatchers_die_while_tasks_are_stopped_for_their_memory(declare, consume):
    app = declare(LEAKS)
    consumer = consume("-w", "2", "--max-memory", "60M", "--max-crashes", "1")
    results = [app.swell(f"huge {number}", 200) for number in range(6)]
    for number in range(4):
        started(app, f"huge {number}")
        time.sleep(0.02 * number)  # another moment of it each time
        kill(consumer.dispatcher)
    for result in results:
        with pytest.raises(TaskException, match="more than --max-memory allows"):
            get(result)
    assert sorted(app.notes()) == [f"huge {number}" for number in range(6)]
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0


def test_a_limit_below_what_a_worker_needs_is_told_of_and_works(declare, consume):
    app = declare("""
@huey.on_startup()
def fill():
    global kept
    kept = bytearray(b"x") * (60 << 20)
""")
    consumer = consume("--max-memory", "50M")
    pids = [get(app.work(number, 0.15)) for number in range(3)]
    assert len(set(pids)) <= 3
    wait_until_settled(app)
    assert app.notes() == ["0", "1", "2"]
    assert consumer.log.count("before its first task, more than --max-memory 50 MB") == 1
    assert consumer.stop() == 0


# Age and number of tasks


def test_workers_get_old(app, consume):
    consumer = consume("-w", "2", "--max-age", "1.5")
    held = app.hold("a")
    old = started(app, "a")
    consumer.wait_log("s old: it is replaced after its task")
    app.open_gate("a")
    assert get(held) == old
    wait_until(lambda: not is_alive(old), "the end of the old worker")
    wait_until(lambda: consumer.log.count("s old: it is replaced") >= 3, "another worker's end, idle")
    assert len(consumer.workers(app, 2)) == 2
    assert consumer.stop() == 0
    assert app.notes()[0] == "a"


def test_age_counts_from_the_worker_s_start_whatever_dispatcher_there_is(app, consume):
    consumer = consume("--max-age", "4")
    begun = time.monotonic()
    (worker,) = consumer.workers(app, 1)
    wait_until(lambda: time.monotonic() > begun + 2)
    os.kill(consumer.dispatcher, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker), "the end of the worker")
    assert time.monotonic() - begun < 10
    assert re.search(r"is [45] s old", consumer.log)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_is_replaced_after_so_many_tasks_without_a_gap(declare, consume, workers):
    app = declare("""
@huey.task()
def stamp(number):
    note(f"{number} {time.monotonic()}")
    return os.getpid()
""")
    consumer = consume("-w", str(workers), "-M", "3")
    pids = [get(result) for result in app.stamp.map([(number,) for number in range(120)])]
    assert max(pids.count(pid) for pid in pids) <= 3
    moments = sorted(float(line.split()[1]) for line in app.notes())
    pauses = [after - before for before, after in zip(moments, moments[1:], strict=False)]
    assert sorted(int(line.split()[0]) for line in app.notes()) == list(range(120))
    assert max(pauses) < 2, "the peer's was ten seconds"
    assert consumer.stop() == 0


# What hangs


def test_a_task_that_runs_for_long_is_told_of_once(app, consume):
    consumer = consume("--warn-after", "1")
    result = app.hold("a")
    worker = started(app, "a")
    consumer.wait_log("has been running for")
    time.sleep(2.5)  # for a second line, which must not come
    app.open_gate("a")
    get(result)
    lines = [line for line in consumer.log.splitlines() if "has been running" in line]
    assert len(lines) == 1
    assert re.search(
        rf"Task {result.id} \(app.hold\) has been running for [1-9] s, .*pid {worker}\)", lines[0]
    )


def test_a_task_that_has_a_timeout_or_ends_in_time_is_not_told_of(declare, consume):
    app = declare("""
@huey.task(timeout=60)
def bounded(name):
    note(name)
    pass_gate(name)
""")
    consumer = consume("-w", "2", "--warn-after", "1")
    bounded = app.bounded("b")
    for number in range(5):
        get(app.work(number, 0.5))
    app.open_gate("b")
    get(bounded)
    assert "has been running" not in consumer.log
    assert consumer.stop() == 0


def test_a_worker_that_stands_still_is_told_of_and_gets_nothing(app, consume):
    consumer = consume("-w", "2")
    halted = get(app.pid())
    os.kill(halted, signal.SIGSTOP)
    results = app.work.map([(number, 0.05) for number in range(60)])
    assert [get(result) for result in results] == list(range(60))
    consumer.wait_log(f"(pid {halted}) is stopped: what it was given goes to others")
    assert {get(app.pid()) for _ in range(20)}.isdisjoint({halted})
    os.kill(halted, signal.SIGCONT)
    consumer.wait_log(f"(pid {halted}) goes on")
    assert halted in consumer.workers(app, 2)
    assert sorted(app.notes()[:60]) == sorted(str(number) for number in range(60))
    assert consumer.stop() == 0


def test_a_worker_that_stands_still_within_a_task_is_told_of(app, consume):
    consumer = consume()
    held = app.hold("a")
    worker = started(app, "a")
    os.kill(worker, signal.SIGSTOP)
    consumer.wait_log(f"is stopped: task {held.id} (app.hold) does not go on")
    os.kill(worker, signal.SIGCONT)
    consumer.wait_log("goes on")
    app.open_gate("a")
    assert get(held) == worker
    assert app.notes() == ["a"]


# What never gets ready

HANGS = """
@huey.on_startup()
def hang():
    note("hang")
    while not (HERE / "gate-start").exists():
        time.sleep(0.01)
"""


def test_a_worker_that_is_never_ready_is_killed_and_another_one_is_tried(declare, launch):
    app = declare(HANGS)
    consumer = launch("--start-timeout", "1")
    consumer.wait_log("is not ready in time: killing it")
    app.open_gate("start")
    consumer.wait_ready()
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0


def test_a_consumer_whose_workers_are_never_ready_ends(declare, launch):
    declare(HANGS)
    consumer = launch("--start-timeout", "0.3")
    assert consumer.wait() == 4
    assert consumer.log.count("is not ready in time: killing it") == 5
    assert "worker 1 can't be kept running" in consumer.log


def test_a_worker_that_is_never_ready_does_not_hold_up_a_stop(declare, launch):
    app = declare(HANGS)
    consumer = launch("--start-timeout", "1", "--kill-after", "0.2")
    started(app, "hang")
    assert consumer.stop() == 0
    consumer.wait_all_dead()


def test_an_import_that_hangs_is_told_of_and_a_stop_ends_it(declare, launch):
    declare("import sys\nwhile 'pytest' not in sys.modules: time.sleep(0.01)")
    consumer = launch("--start-timeout", "0.5")
    consumer.wait_log("has been loading for")
    assert consumer.stop() == 0
    consumer.wait_all_dead()


# Signals


def test_a_worker_that_is_replaced_has_not_died(declare, consume):
    app = declare("""
@huey.signal("worker-died", "crashed")
def hear(signal, task):
    note(f"signal {signal}")
""")
    consumer = consume("-w", "2", "-M", "1")
    assert [get(app.add(number, 1)) for number in range(20)] == list(range(1, 21))
    assert len(consumer.workers(app, 2)) == 2
    assert not [text for text in app.notes() if text.startswith("signal")]
    assert consumer.stop() == 0
