"""Forks: connections never cross one, and a child that can't be safe says so."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from liteq import SqliteHuey, StorageError

from .running import PATIENCE, python

# From Python 3.12 on a fork beside threads warns; that it is safe, or refused, is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def in_child(work):
    """What `work` says in a forked child; its exception's text if it raises."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            try:
                said = f"{work()}"
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            os.write(writer, said.encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return os.read(reader, 65_536).decode()
    finally:
        os.close(reader)
        os.waitpid(pid, 0)


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b):
        return a + b

    return add


def test_parent_and_child_use_the_file_after_a_fork(sqlite, add):
    first = add(1, 2)
    assert first.huey is sqlite
    said = in_child(lambda: add(3, 4).id)
    assert [task.id for task in sqlite.pending()] == [first.id, said]
    add(5, 6)
    assert len(sqlite) == 3


def test_a_child_of_a_child(sqlite, add):
    add(1, 2)
    said = in_child(lambda: (add(3, 4), in_child(lambda: add(5, 6).id), add(7, 8))[1])
    assert [task.args for task in sqlite.pending()] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert sqlite.pending()[2].id == said


def test_many_children_write_at_once(sqlite, add):
    add(0, 0)
    pids = []
    for number in range(8):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                for i in range(25):
                    add(number, i)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    for i in range(25):
        add("parent", i)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 8
    assert len(sqlite) == 1 + 25 + 8 * 25


def test_no_connection_is_open_at_the_moment_of_a_fork(sqlite, add, filename):
    """Neither the file, nor its WAL, nor its shared memory is open in the child."""
    add(1, 2)

    def files():
        names = []
        for fd in list(Path("/proc/self/fd").iterdir()):
            with suppress(FileNotFoundError):  # the one through which they are listed
                names.append(fd.readlink().name)
        return sorted(name for name in names if name in {"queue.db", "queue.db-wal", "queue.db-shm"})

    assert files() != []
    assert in_child(files) == "[]"
    add(3, 4)
    assert len(sqlite) == 2


def test_a_child_reads_results_and_waits_for_them(sqlite, add):
    result = add(1, 2)
    result.huey.storage.results_wakeup().ticket()  # the parent watches the bell
    reader, writer = os.pipe()

    def wait_in_child():
        os.write(writer, b".")
        return result.get(blocking=True, timeout=PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(in_child, wait_in_child)
        os.read(reader, 1)  # no call of this thread may be under way when the other one forks
        sqlite.execute(sqlite.dequeue())
        assert child.result(PATIENCE) == "3"
    os.close(reader)
    os.close(writer)
    assert result() is None


def test_after_a_fork_the_parents_waits_still_wake(sqlite, add):
    result = add(1, 2)
    wakeup = sqlite.storage.results_wakeup()
    ticket = wakeup.ticket()
    assert in_child(lambda: wakeup.watching) == "False"  # it has to have a watch of its own
    assert wakeup.watching
    sqlite.execute(sqlite.dequeue())
    assert wakeup.wait(ticket, PATIENCE)
    assert result() == 3


def test_what_the_child_runs_the_parent_sees(sqlite, add):
    result = add(1, 2)
    assert in_child(lambda: sqlite.execute(sqlite.dequeue())) == "3"
    assert result.get(blocking=True, timeout=PATIENCE) == 3
    assert sqlite.running_count() == 0


def test_what_the_child_takes_out_is_its_own_and_not_the_parents(sqlite, add):
    """So that it is recovered when the child dies, although the parent lives."""
    add(1, 2)
    add(3, 4)
    sqlite.dequeue()

    def take():
        sqlite.dequeue()
        return sorted(identity.pid for identity, _ in sqlite.storage.consumers().values())

    said = in_child(take)
    assert said.count(",") == 1, "the child has registered itself"
    assert str(os.getpid()) in said


@pytest.fixture
def busy(sqlite, add):
    """Another thread is inside a call, and stays there until the test has ended."""
    add(0, 0)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with sqlite.storage.batch():
            inside.set()
            leave.wait(PATIENCE)
            sqlite.put("k", 1)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(PATIENCE)
    yield thread
    leave.set()
    thread.join()


def test_a_child_forked_while_another_thread_is_inside_a_call_is_told(busy, sqlite, add, filename):
    for use in (
        lambda: add(1, 2),
        lambda: len(sqlite),
        lambda: sqlite.get("k"),
        sqlite.dequeue,
        lambda: add(1, 2).get(True),
    ):
        said = in_child(use)
        assert said.startswith("StorageError"), said
        assert "forked while another thread" in said
        assert "spawn" in said
        assert str(filename) in said


def test_the_parent_of_such_a_child_goes_on(sqlite, add):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with sqlite.storage.batch():
            inside.set()
            leave.wait(PATIENCE)
            sqlite.put("k", 1)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(PATIENCE)
    assert in_child(lambda: "child") == "child"
    assert len(sqlite) == 0  # another thread's read, meanwhile
    leave.set()
    thread.join()
    assert sqlite.get("k") == 1
    add(1, 2)
    assert len(sqlite) == 1


def test_such_a_child_may_use_a_queue_of_its_own(busy, sqlite, tmp_path):
    def work():
        huey = SqliteHuey(filename=tmp_path / "other.db")
        huey.put("k", 7)
        return huey.get("k")

    assert in_child(work) == "7"


def test_such_a_child_may_end_in_peace(busy, sqlite):
    assert in_child(sqlite.storage.close) == "None"


def test_a_child_of_one_that_was_closed_before_it_forked(sqlite, add):
    add(1, 2)
    sqlite.storage.close()
    assert in_child(lambda: len(sqlite)) == "1"


def test_threads_call_tasks_while_the_process_forks(sqlite, add):
    """Children are safe or told; the parent never notices."""
    stop = threading.Event()
    calls = []

    def work():
        while not stop.is_set():
            calls.append(add(1, 2).id)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        said = [in_child(lambda: add("child", 1).id) for _ in range(30)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    safe = [one for one in said if not one.startswith("StorageError")]
    assert all(len(one) == 36 for one in safe), said
    assert sorted(task.id for task in sqlite.pending()) == sorted([*calls, *safe])


def test_queues_that_were_dropped_do_not_disturb_a_fork(filename):
    for number in range(20):
        SqliteHuey(filename=filename.with_name(f"{number}.db")).put("k", 1)
    assert in_child(lambda: "child") == "child"


def test_a_pool_of_forked_processes_calls_tasks(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "from liteq import SqliteHuey\n"
        "huey = SqliteHuey(filename=sys.argv[1])\n"
        "@huey.task()\n"
        "def add(a, b): return a + b\n"
        "def work(n): return add(n, 1).id\n"
        "if __name__ == '__main__':\n"
        "    add(0, 0)\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "        ids = pool.map(work, range(50))\n"
        "    print(len(set(ids)), len(huey))\n"
    )
    assert python(script, tmp_path / "queue.db") == "50 51\n"


def test_a_fork_inside_ones_own_transaction(sqlite, add):
    """The child must not commit what the parent has begun."""
    add(0, 0)

    def child():
        try:
            add(1, 2)
        except StorageError as error:
            return f"told: {error}"
        return "not told"

    with sqlite.storage.batch():
        sqlite.put("k", 1)
        said = in_child(child)
    assert said.startswith("told")
    assert sqlite.get("k") == 1
    assert len(sqlite) == 1
