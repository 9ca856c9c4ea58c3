"""What a real consumer records: states, attempts, progress, and how much of it is kept."""

from __future__ import annotations

import os
import signal

from liteq import TaskException

from .consumer import get, kill, started, wait_until, wait_until_settled

MORE = """
from liteq import RetryTask


@huey.task()
def die():
    note("die")
    os.kill(os.getpid(), 9)


@huey.task(retries=1)
def stumble(name):
    note(name)
    pass_gate(f"{name}-{notes().count(name)}")
    raise ValueError("it stumbled")


@huey.task(retries=1, retry_delay=3600)
def later():
    raise ValueError("not now")


@huey.task()
def count(name, total):
    for number in range(total + 1):
        huey.set_progress(number, total, f"number {number}")
    note(name)
    pass_gate(name)


@huey.task(timeout=0.2)
def deaf():
    note("deaf")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


@huey.task(expires=0.001)
def in_time():
    pass
"""


def statuses(app, id):
    """The ends of a task's attempts, the first one first."""
    return [attempt.status for attempt in reversed(app.huey.history(id=id))]


def test_a_task_s_life(declare, consume):
    app = declare(MORE)
    result = app.stumble("s")
    assert result.status() == "queued"
    consume("-w", "1")
    started(app, "s")
    assert result.status() == "running"
    app.open_gate("s-1")
    started(app, "s", 2)
    (row,) = wait_until(lambda: [row for row in app.huey.running() if row.started], "a note of its start")
    assert (row.id, row.attempt, row.worker) == (result.id, 2, app.pids("s")[1])
    app.open_gate("s-2")
    wait_until_settled(app)
    assert result.status() == "failed"
    first, second = reversed(app.huey.history(id=result.id))
    assert (first.status, second.status, first.attempt, second.attempt) == ("retrying", "error", 1, 2)
    assert first.reason == "ValueError('it stumbled')"
    assert first.started <= first.ended <= second.started
    assert 0 < first.duration < 60
    assert (first.worker, first.consumer) == (app.pids("s")[0], row.consumer)


def test_the_states_of_tasks(declare, consume):
    app = declare(MORE)
    huey = app.huey
    consume("-w", "2")
    complete, failed = app.add(1, 2), app.fail()
    waits, revoked = app.later(), app.add.schedule((1, 2), delay=0.2)
    later, expired = app.add.schedule((1, 2), delay=3600), app.in_time.schedule(delay=0)
    revoked.revoke()
    pipeline = huey.enqueue(app.hold.s("first").then(app.echo))
    started(app, "first")
    assert [stage.status() for stage in pipeline] == ["running", "waiting"]
    app.open_gate("first")
    wait_until(lambda: revoked.status() == "revoked", "the revoked one to be met")
    wait_until(lambda: huey.counts().running == huey.counts().pending == 0)
    assert [result.status() for result in (complete, failed, waits, later)] == [
        "complete", "failed", "retrying", "scheduled",
    ]  # fmt: skip
    assert expired.status() in {"expired", "complete"}
    assert [stage.status() for stage in pipeline] == ["complete", "complete"]
    assert huey.status("nobody") == "unknown"
    assert huey.counts() == (0, 2, 0, 0, 0)


def test_a_task_that_goes_on_crashing_tells_of_each_attempt(declare, consume):
    app = declare(MORE)
    consume("-w", "1", "--max-crashes", "3")
    result = app.die()
    (dead,) = wait_until(app.huey.dead, "its death")
    assert (result.status(), dead.attempts, dead.crashes, dead.exit_code) == ("dead", 3, 3, -signal.SIGKILL)
    assert dead.peak_memory > 1_000_000
    attempts = app.huey.history(id=result.id)
    assert [attempt.attempt for attempt in attempts] == [3, 2, 1]
    assert {(attempt.status, attempt.exit_code) for attempt in attempts} == {("crashed", -signal.SIGKILL)}
    assert [attempt.worker for attempt in reversed(attempts)] == app.pids("die")
    assert all(attempt.started and attempt.duration < 60 for attempt in attempts)
    assert app.huey.revive(result.id) == 1
    wait_until(lambda: len(app.huey.history(id=result.id)) == 6, "three more attempts")
    wait_until(app.huey.dead, "its second death")
    assert app.huey.delete_dead(result.id) == 1
    assert (app.huey.dead(), app.huey.delete_dead(older_than=0)) == ([], 0)


def test_attempts_that_a_stop_or_a_death_cut_off_are_told(declare, consume):
    app = declare(MORE)
    first = consume("-w", "1")
    result = app.hold("cut")
    started(app, "cut")
    first.send(signal.SIGTERM)
    first.wait_log("SIGTERM")
    first.send(signal.SIGTERM)
    assert first.wait() == 5
    assert (result.status(), statuses(app, result.id)) == ("retrying", ["interrupted"])
    second = consume("-w", "1")
    started(app, "cut", 2)
    kill(*second.members())
    second.wait()
    consume("-w", "1")
    started(app, "cut", 3)
    app.open_gate("cut")
    get(result)
    assert statuses(app, result.id) == ["interrupted", "interrupted", "complete"]
    assert app.huey.history(id=result.id)[1].reason == "its consumer died"


def test_an_attempt_that_was_killed_for_its_timeout_is_told_as_it_was(declare, consume):
    app = declare(MORE)
    consume("-w", "1", "--timeout-grace", "0.1", "--kill-after", "0.2")
    result = app.deaf()
    wait_until_settled(app)
    (attempt,) = app.huey.history(id=result.id)
    assert (attempt.status, attempt.exit_code) == ("timeout", -signal.SIGKILL)
    assert (result.status(), [attempt.worker]) == ("failed", app.pids("deaf"))
    assert attempt.duration > 0.2


def test_a_result_too_large_for_a_packet_is_in_the_history_too(app, consume):
    consume("-w", "1")
    result = app.echo("x" * 200_000)
    get(result)
    (attempt,) = app.huey.history(id=result.id)
    assert (attempt.status, attempt.worker is not None, attempt.started is not None) == (
        "complete", True, True,
    )  # fmt: skip


def test_progress_is_read_while_the_task_runs_and_gone_after(declare, consume):
    app = declare(MORE)
    result = app.count("counted", 20_000)
    assert app.huey.progress_of(result) is None
    consume("-w", "1")
    wait_until(lambda: app.huey.progress_of(result.id), "some progress")
    started(app, "counted")
    progress = app.huey.progress_of(result)
    assert (progress.done, progress.total, progress.note) == (20_000, 20_000, "number 20000")
    (row,) = wait_until(lambda: [row for row in app.huey.running() if row.started], "a note of its start")
    assert row.progress == progress
    app.open_gate("counted")
    wait_until_settled(app)
    assert app.huey.progress_of(result) is None


def test_progress_goes_with_the_attempt_that_told_it(declare, consume):
    app = declare(MORE)
    consume("-w", "1")
    result = app.count("killed", 5)
    os.kill(started(app, "killed"), signal.SIGKILL)
    started(app, "killed", 2)
    assert statuses(app, result.id) == ["crashed"]
    app.open_gate("killed")
    wait_until_settled(app)
    with app.huey.storage.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM progress").get == 0


def test_the_history_stays_bounded_under_load(declare, consume):
    app = declare("")
    path = app.HERE / "app.py"
    path.write_text(path.read_text().replace('"queue.db")', '"queue.db", history=500)'))
    consume("-w", "2")
    sizes = []
    for _ in range(4):
        app.add.map([(1, 1)] * 2_000)
        app.fail.map([()] * 300)
        wait_until_settled(app)
        sizes.append(wait_until(lambda: 0 < len(app.huey.history(None)) <= 500, "pruning"))
    assert all(sizes)
    assert {attempt.status for attempt in app.huey.history(None)} == {"complete", "error"}


def test_a_failure_is_in_the_history_though_the_result_was_read(app, consume):
    consume("-w", "1")
    result = app.fail()
    try:
        get(result)
    except TaskException:
        assert (result.status(), statuses(app, result.id)) == ("failed", ["error"])
