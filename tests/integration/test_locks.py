"""Locks and rate limits among real processes, those that are killed included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liteq import SqliteHuey, TaskLockedException, clock
from liteq.identity import identify
from liteq.limits import instant
from liteq.messages import BACK, Settlement

from .consumer import PATIENCE, ROOT, every_kind, get, kill, started, wait_until, wait_until_settled

LOCKED = """
@huey.task(retries=1000, retry_delay=0.01)
@huey.lock_task("lock")
def locked(name):
    note(name)
    pass_gate(name)
    note(f"{name} ends")
    return os.getpid()

@huey.task()
def zombie(name):
    lock = huey.lock_task("lock")
    lock.acquire()
    note(name)
    pass_gate(name)
    released = lock.release()
    try:
        huey.lock_task("other").acquire()
        acquired = True
    except TaskLockedException:
        acquired = False
    note(f"{name} {released} {acquired}")

from liteq import TaskLockedException
"""


def holders(app):
    return [(it.name, it.process.pid) for it in app.huey.storage.locks(now=clock.monotonic())]


# Tasks


@every_kind
def test_a_locked_task_waits_for_the_other_and_runs_then(declare, consume):
    app = declare(LOCKED)
    consume("-w", "2")
    first, second = app.locked("a"), app.locked("b")
    running = started(app, wait_until(app.notes)[0])
    assert holders(app) == [("lock", running)]
    app.open_gate("a")
    app.open_gate("b")
    get(first), get(second)
    one, two = app.notes()[0], app.notes()[2]
    assert app.notes() == [one, f"{one} ends", two, f"{two} ends"]
    wait_until_settled(app)
    assert holders(app) == []


@every_kind
def test_the_lock_of_a_killed_worker_is_free_for_its_task(declare, consume):
    app = declare(LOCKED)
    consume()
    result = app.locked("a")
    victim = started(app, "a")
    assert holders(app) == [("lock", victim)]
    kill(victim)
    survivor = started(app, "a", times=2)
    assert holders(app) == [("lock", survivor)]
    app.open_gate("a")
    assert get(result) == survivor
    # At once: not after a refusal, for which there would have been a retry of another number.
    assert app.notes() == ["a", "a", "a ends"]
    assert app.huey.running_count() == app.huey.scheduled_count() == 0


def test_a_task_that_goes_on_ending_workers_leaves_no_lock(declare, consume):
    app = declare(LOCKED)
    consume("--max-crashes", "2")
    app.locked("a")
    for times in (1, 2):
        kill(started(app, "a", times))
    wait_until(app.huey.dead)
    assert holders(app) == []
    app.open_gate("b")
    get(app.locked("b"))


@every_kind
def test_an_interrupted_task_leaves_no_lock(declare, consume):
    app = declare(LOCKED)
    consumer = consume()
    app.locked("a")
    started(app, "a")
    consumer.send(signal.SIGTERM)
    consumer.wait_log("stopping after the running tasks")
    consumer.send(signal.SIGTERM)
    assert consumer.wait() == 5
    assert holders(app) == []
    assert len(app.huey) == 1


def test_the_lock_of_a_killed_consumer_can_be_had_before_there_is_another(declare, consume):
    app = declare(LOCKED)
    consumer = consume()
    app.locked("a")
    started(app, "a")
    kill(*consumer.members())
    assert app.huey.running_count() == 1
    assert not app.huey.is_locked("lock")
    with app.huey.lock_task("lock"):
        assert holders(app) == [("lock", os.getpid())]


def test_a_zombie_neither_keeps_nor_gets_nor_frees_a_lock(declare, consume):
    app = declare(LOCKED)
    consumer = consume("-w", "2")
    app.zombie("z")
    zombie = started(app, "z")
    os.kill(zombie, signal.SIGSTOP)
    storage = app.huey.storage
    # As another consumer does, for which this one has stood still for too long.
    [(owner, _)] = storage.consumers().items()
    [claim] = storage.held(owner)
    assert storage.settle([Settlement(claim.key, BACK)], clock.now()) == [True]
    second = started(app, "z", times=2)  # it is claimed and run once more, by the other worker
    assert second != zombie
    assert holders(app) == [("lock", second)]
    app.open_gate("z", zombie)
    os.kill(zombie, signal.SIGCONT)
    wait_until(lambda: "z False False" in app.notes())
    assert holders(app) == [("lock", second)]
    app.open_gate("z")
    wait_until(lambda: "z True True" in app.notes())
    wait_until_settled(app)
    assert holders(app) == []
    assert consumer.stop() == 0


# The consumer's options


def leave_locks(app, *names):
    for name in names:
        app.huey.lock_task(name).acquire()


@pytest.mark.parametrize(
    ("options", "left"),
    [(["-f"], []), (["-L", "b, x"], ["a", "c"]), (["-f", "-L", "b"], []), ([], ["a", "b", "c"])],
)
def test_a_consumer_flushes_locks_before_its_first_task(app, consume, options, left):
    leave_locks(app, "a", "b", "c")
    consumer = consume(*options)
    assert [name for name, _ in holders(app)] == left
    assert ("Locks flushed: " in consumer.log) is bool(options)


@pytest.mark.parametrize("how", ["killed", "reloaded"])
def test_a_new_dispatcher_does_not_flush_them_again(app, consume, how):
    leave_locks(app, "a")
    consumer = consume("-f")
    leave_locks(app, "b")
    first = consumer.dispatcher
    kill(first) if how == "killed" else consumer.send(signal.SIGHUP)
    wait_until(lambda: consumer.find_dispatcher() not in {None, first}, "another dispatcher")
    get(app.pid())
    assert [name for name, _ in holders(app)] == ["b"]


@pytest.mark.parametrize("names", ["", ",", "a,,b"])
def test_a_missing_name_is_refused(app, launch, names):
    consumer = launch("-L", names)
    assert consumer.wait() == 2
    assert "a name is missing" in consumer.log


# Housekeeping


def test_a_consumer_deletes_what_is_over(app, consume):
    storage = app.huey.storage
    for number in range(1200):
        with storage.batch():
            storage.put_result(str(number), b"value", expires=1)
    app.huey.lock_task("over", ttl=0.001).acquire()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        dead = identify(process.pid)
        process.kill()
    living = app.huey.lock_task("living")
    living.acquire()
    (mine,) = storage.locks("living", now=clock.monotonic())
    storage.acquire_lock(mine._replace(name="dead", process=dead), limit=1, now=clock.monotonic())
    storage.hit("limit", limit=5, per=1, clock=instant)
    consume()
    rows = "SELECT (SELECT count(*) FROM result), (SELECT count(*) FROM lock), (SELECT count(*) FROM hit)"

    def left():
        with storage.database.read() as connection:
            return connection.execute(rows).get

    wait_until(lambda: left() == (0, 1, 0), "the contents to be pruned")
    assert holders(app) == [("living", os.getpid())]


def test_results_expire_in_the_dispatcher_s_hands(declare, consume):
    app = declare("huey.storage.expire_time = 300_000")
    consume()
    read, unread = app.echo("read"), app.echo("unread")
    assert get(read) == "read"
    wait_until_settled(app)
    wait_until(lambda: app.huey.result_count() == 0, "the result to expire")
    assert not unread.get()
    with app.huey.storage.database.read() as connection:
        wait_until(lambda: connection.execute("SELECT count(*) FROM result").get == 0, "its deletion")


# Other processes


def contend(
    tmp_path: Path, what: str, processes: int, each: int, seconds: float = 0.0005
) -> subprocess.Popen:
    script = Path(__file__).with_name("contenders.py")
    arguments = [tmp_path / "queue.db", what, processes, each, seconds]
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def lines(tmp_path: Path) -> list[list[str]]:
    notes = tmp_path / "queue.db-notes"
    return [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []


def most_inside(history: list[list[str]]) -> int:
    """The largest number that were inside at the same time; who entered and never left was killed there."""
    last = {pid: number for number, (_, pid) in enumerate(history)}
    inside, most = set(), 0
    for number, (event, pid) in enumerate(history):
        # Those whose last word was that they entered have died some time after it.
        inside = {one for one in inside if last[one] >= number}
        if event == "in":
            assert pid not in inside
            inside.add(pid)
        elif event == "out":
            inside.remove(pid)
        most = max(most, len(inside))
    return most


@pytest.mark.parametrize(("what", "limit"), [("lock", 1), ("semaphore", 3)])
def test_never_too_many_are_inside_and_everybody_gets_there(tmp_path, what, limit):
    process = contend(tmp_path, what, processes=64, each=5)
    assert process.wait(5 * PATIENCE) == 0
    history = lines(tmp_path)
    assert len(history) == 64 * (2 * 5 + 1)
    assert most_inside([line for line in history if line[0] != "done"]) == limit
    assert SqliteHuey(filename=tmp_path / "queue.db").flush_locks() == set()


@pytest.mark.parametrize(("what", "limit"), [("lock", 1), ("semaphore", 3)])
def test_nor_when_those_inside_are_killed(tmp_path, what, limit):
    process = contend(tmp_path, what, processes=16, each=25, seconds=0.01)
    victims = set()
    while process.poll() is None:
        history = lines(tmp_path)
        if len(victims) < 8 and len(history) > 30 * (len(victims) + 1) and history[-1][0] == "in":
            victims.add(history[-1][1])
            os.kill(int(history[-1][1]), signal.SIGKILL)
    history = [line for line in lines(tmp_path) if line[0] != "done"]
    finished = [pid for event, pid in lines(tmp_path) if event == "done"]
    assert len(victims) == 8 == process.returncode
    assert len(finished) == 8
    assert most_inside(history) == limit
    last = {pid: event for event, pid in history}
    assert any(last[pid] == "in" for pid in victims), "none was killed inside"


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    huey = SqliteHuey(filename=tmp_path / "queue.db")
    code = f"""
import time, liteq
huey = liteq.SqliteHuey(filename={str(tmp_path / "queue.db")!r})
huey.lock_task("lock").acquire()
print("mine", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "mine\n"
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(TaskLockedException, match=f"locked by process {process.pid}"):
            huey.lock_task("lock").acquire()  # it only stands still
        process.kill()
        wait_until(lambda: not huey.is_locked("lock"))  # before its parent has buried it
        assert huey.lock_task("lock").acquire()
    huey.storage.close()


# Rate limits


def test_sixteen_processes_never_exceed_a_limit(tmp_path):
    process = contend(tmp_path, "limit", processes=16, each=625)
    assert process.wait(3 * PATIENCE) == 0
    hits = [
        (int(before), int(after)) for what, before, after in (h for h in lines(tmp_path) if h[0] == "hit")
    ]
    limit, per = 20, 250_000
    assert len(hits) > limit
    # The moment of a hit lies between the two. Even if each was as far as can be from the one `limit` places
    # before it, there is a span of `per` between them.
    for (first, _), (_, last) in zip(
        sorted(hits), sorted(hits, key=lambda hit: hit[1])[limit:], strict=False
    ):
        assert last - first >= per


LIMITED = """
from liteq import clock

@huey.task()
@huey.rate_limit("limit", 10, 0.2)
def limited(number):
    note(f"hit {clock.since_boot()}")
    return number
"""


def test_tasks_wait_for_room_and_none_is_lost(declare, consume):
    app = declare(LIMITED)
    consumer = consume("-w", "4")
    results = app.limited.map(range(60))
    assert sorted(get(results)) == list(range(60))
    wait_until_settled(app)
    hits = [text for text in app.notes() if text.startswith("hit")]
    assert len(hits) == 60
    moments = sorted(int(text.split()[1]) for text in hits)
    assert (
        moments[-1] - moments[0] >= 0.5 * 5 * 200_000
    )  # six times ten: five spans, less what a note may be late
    assert app.huey.dead() == []
    assert consumer.stop() == 0
