"""What a task or an application does to its process reaches no other process, and no later task."""

from __future__ import annotations

import os
import signal
import time

import pytest

from liteq import TaskException

from .consumer import get, is_alive, kill, processor_time, started, wait_until

TASKS = """
import signal
import stat
import sys

@huey.task()
def write_rubbish():
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.write(int(name), b"rubbish")
        except OSError:
            pass
    return os.getpid()

@huey.task()
def set_alarm():
    signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    signal.setitimer(signal.ITIMER_REAL, 0.05)

@huey.task()
def close_streams():
    sys.stderr.close()

@huey.task()
def close_everything():
    os.closerange(0, 1000)
    return "closed"

@huey.task()
def signal_group(number):
    os.killpg(0, number)

@huey.task()
def fork_a_sleeper():
    child = os.fork()
    if not child:
        time.sleep(3600)
    return child
"""


def test_rubbish_is_ignored_by_this_dispatcher_and_the_next(declare, consume):
    app = declare(TASKS)
    consumer = consume()
    worker = get(app.write_rubbish())
    kill(consumer.dispatcher)
    assert get(app.write_rubbish()) == get(app.pid()) == worker
    assert consumer.stop() == 0


def test_what_closes_all_files_has_an_end_and_no_task_after_it_notices(declare, consume):
    app = declare(TASKS)
    consumer = consume("-w", "1")
    handles = [app.close_everything()] + [app.work(str(number)) for number in range(20)]
    assert [get(handle) for handle in handles] == ["closed", *map(str, range(20))]
    assert app.huey.dead() == []
    assert consumer.stop() == 0


def test_a_process_group_of_its_own(declare, consume):
    app = declare(TASKS)
    consumer = consume("-w", "2", "--max-crashes", "1")
    held = app.hold("a")
    other, dispatcher = started(app, "a"), consumer.dispatcher
    with pytest.raises(TaskException, match="SIGKILL"):
        get(app.signal_group(signal.SIGKILL))
    assert is_alive(dispatcher)
    app.open_gate("a")
    assert get(held) == other
    assert consumer.stop() == 0


def test_a_forgotten_alarm_reaches_no_other_task(declare, consume):
    app = declare(TASKS)
    consume()
    worker = get(app.pid())
    app.set_alarm()
    assert get(app.work("a", 0.2)) == "a"
    assert get(app.pid()) == worker


def test_an_error_is_logged_and_stored_though_standard_error_was_closed(declare, consume):
    app = declare(TASKS)
    consumer = consume()
    worker = get(app.pid())
    app.close_streams()
    with pytest.raises(TaskException, match="it went wrong"):
        get(app.fail())
    assert "it went wrong" in consumer.log
    assert get(app.pid()) == worker


def test_a_default_timeout_of_the_application_is_not_the_workers(declare, consume):
    app = declare("import socket\nsocket.setdefaulttimeout(0.05)")
    consumer = consume()
    worker = get(app.pid())
    time.sleep(0.3)  # far longer than a socket with that timeout would wait
    assert get(app.pid()) == worker
    assert consumer.stop() == 0


def test_what_a_task_forks_ends_by_term(declare, consume):
    app = declare(TASKS)
    consume()
    child = get(app.fork_a_sleeper())
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not is_alive(child), "the child's end")


# Applications


@pytest.mark.parametrize(
    ("source", "processes"),
    [
        ("time.sleep(3600) if 'LITEQ_TEST' in os.environ else None", 2),
        ("huey.on_startup()(lambda: time.sleep(3600))", 4),
    ],
    ids=["import", "start"],
)
def test_an_application_that_hangs_can_be_stopped(declare, launch, source, processes):
    declare(source)
    consumer = launch("--kill-after", "0.2")
    wait_until(lambda: len(consumer.members()) == processes)
    before = processor_time(*consumer.members())
    time.sleep(0.2)
    assert processor_time(*consumer.members()) - before < 0.3
    consumer.stop()
    consumer.wait_all_dead()


def test_an_import_that_ends_the_process_is_tried_a_few_times(declare, launch):
    declare("os._exit(7) if 'LITEQ_TEST' in os.environ else None")
    consumer = launch()
    assert consumer.wait() == 4
    assert "imports the application can't be kept running: it exited with code 7" in consumer.log


def test_new_code_that_hangs_is_replaced_by_mended_code(declare, consume):
    app = declare("")
    consumer = consume()
    worker = get(app.pid())
    declare("time.sleep(3600) if 'LITEQ_TEST' in os.environ else None")
    consumer.send(signal.SIGHUP)
    wait_until(lambda: len(consumer.members()) == 5, "the import of the new code")
    assert get(app.pid()) == worker
    declare("")
    consumer.send(signal.SIGHUP)
    consumer.wait_log("new code is in force")
    assert get(app.pid()) != worker
    assert consumer.stop() == 0


def test_workers_that_cannot_start_with_new_code_leave_the_others_with_the_old(declare, consume):
    app = declare("")
    consumer = consume("-w", "2")
    old = consumer.workers(app, 2)
    declare("huey.on_startup()(lambda: os._exit(3))")
    consumer.send(signal.SIGHUP)
    wait_until(lambda: consumer.log.count("exited with code 3") >= 6, "more starts than the budget")
    assert get(app.pid()) in old
    declare("")
    consumer.send(signal.SIGHUP)
    consumer.wait_log("new code is in force")
    assert old.isdisjoint(consumer.workers(app, 2))
    assert consumer.stop() == 0
