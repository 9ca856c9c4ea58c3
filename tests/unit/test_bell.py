"""The bell: every wait ends with a ring, and none with silence."""

import os
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from liteq.storage import bell as bell_module
from liteq.storage.bell import Bell
from liteq.storage.inotify import FileWatch

from .running import PATIENCE, Background, wait_for

# From Python 3.12 on a fork beside threads warns; that it is safe, or refused, is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "queue.db-bell")


@pytest.fixture
def bell(path):
    bell = Bell(path)
    yield bell
    bell.close()


@pytest.fixture
def elsewhere(path):
    """The same bell in another process, so to speak."""
    bell = Bell(path)
    yield bell
    bell.close()


@pytest.fixture
def unwatchable(monkeypatch):
    def refuse(_path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(bell_module, "FileWatch", refuse)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def is_read(bell):
    """Whether a thread waits on the bell's watch."""
    return bell.wakeup._being_read


def test_making_one_opens_nothing(bell, path):
    assert not Path(path).exists()


def test_a_ring_makes_the_file_for_its_owner_alone(bell, path):
    before = os.umask(0)
    try:
        bell.ring()
    finally:
        os.umask(before)
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).stat().st_size <= 1


def test_rings_do_not_let_the_file_grow(bell, path):
    for _ in range(100):
        bell.ring()
    assert Path(path).stat().st_size == 1


def test_a_ring_after_the_ticket_ends_the_wait_at_once(bell, elsewhere):
    ticket = bell.wakeup.ticket()
    elsewhere.ring()
    assert bell.wakeup.wait(ticket, PATIENCE)


def test_a_ring_before_the_ticket_does_not(bell, elsewhere):
    elsewhere.ring()
    ticket = bell.wakeup.ticket()
    assert not bell.wakeup.wait(ticket, 0.01)


def test_a_ring_during_the_wait_ends_it(bell, elsewhere):
    ticket = bell.wakeup.ticket()
    waiting = Background(bell.wakeup.wait, ticket, PATIENCE)
    wait_for(lambda: is_read(bell))
    elsewhere.ring()
    assert waiting.result() is True


def test_a_bell_hears_its_own_ring(bell):
    ticket = bell.wakeup.ticket()
    bell.ring()
    assert bell.wakeup.wait(ticket, PATIENCE)


def test_the_time_runs_out(bell):
    ticket = bell.wakeup.ticket()
    before = time.monotonic()
    assert bell.wakeup.wait(ticket, 0.05) is False
    assert time.monotonic() - before >= 0.05
    assert bell.wakeup.wait(ticket, 0) is False


def test_rings_are_seen_by_each_ticket_once(bell):
    for _ in range(3):
        ticket = bell.wakeup.ticket()
        bell.ring()
        assert bell.wakeup.wait(ticket, PATIENCE)
    assert not bell.wakeup.wait(bell.wakeup.ticket(), 0.01)


def test_an_old_ticket_is_answered_at_once(bell):
    ticket = bell.wakeup.ticket()
    bell.ring()
    assert bell.wakeup.wait(ticket, PATIENCE)
    assert bell.wakeup.wait(ticket, 0)
    assert bell.wakeup.wait(ticket, PATIENCE)


def test_a_ticket_from_before_a_watch_is_answered_at_once(bell, elsewhere):
    ticket = bell.wakeup.ticket()
    bell.close()
    elsewhere.ring()  # which nobody sees
    assert bell.wakeup.ticket() != ticket
    assert bell.wakeup.wait(ticket, PATIENCE)


@pytest.mark.parametrize("number", [2, 30])
def test_many_threads_that_wait_all_wake(bell, elsewhere, number):
    tickets = [bell.wakeup.ticket() for _ in range(number)]
    waiting = [Background(bell.wakeup.wait, ticket, PATIENCE) for ticket in tickets]
    wait_for(lambda: is_read(bell))
    elsewhere.ring()
    assert [one.result(PATIENCE / 2) for one in waiting] == [True] * number


def test_many_threads_share_one_watch(bell):
    bell.ring()
    before = descriptors()
    ticket = bell.wakeup.ticket()
    waiting = [Background(bell.wakeup.wait, ticket, PATIENCE) for _ in range(10)]
    wait_for(lambda: is_read(bell))
    assert descriptors() == before + 1
    bell.ring()
    assert all(one.result() for one in waiting)


def test_when_the_one_who_reads_gives_up_another_takes_its_place(bell, elsewhere):
    ticket = bell.wakeup.ticket()
    first = Background(bell.wakeup.wait, ticket, 0.2)
    wait_for(lambda: is_read(bell) or not first.is_waiting())
    others = [Background(bell.wakeup.wait, ticket, PATIENCE) for _ in range(3)]
    assert first.result() is False
    wait_for(lambda: is_read(bell))
    elsewhere.ring()
    assert [one.result(PATIENCE / 2) for one in others] == [True] * 3


def test_those_behind_the_reader_keep_to_their_own_time(bell):
    ticket = bell.wakeup.ticket()
    reader = Background(bell.wakeup.wait, ticket, PATIENCE)
    wait_for(lambda: is_read(bell))
    assert Background(bell.wakeup.wait, ticket, 0.01).result(PATIENCE / 2) is False
    bell.ring()
    assert reader.result()


def test_waits_from_many_threads_over_and_over(bell, elsewhere):
    """No wake-up is lost, whoever reads the watch at the moment."""
    rounds, threads = 50, 4
    seen = [0] * threads

    def work(number):
        for _ in range(rounds):
            ticket = bell.wakeup.ticket()
            seen[number] += 1  # whoever rings, does so after the ticket
            assert bell.wakeup.wait(ticket, PATIENCE)

    waiting = [Background(work, number) for number in range(threads)]
    while any(one.is_waiting() for one in waiting):
        elsewhere.ring()
        time.sleep(0.0005)
    for one in waiting:
        one.result()
    assert seen == [rounds] * threads


def test_close_gives_everything_back(bell):
    before = descriptors()
    bell.ring()
    bell.wakeup.ticket()
    assert bell.wakeup.watching
    assert descriptors() == before + 2
    bell.close()
    assert descriptors() == before
    assert not bell.wakeup.watching
    bell.close()


def test_after_close_it_can_be_used_again(bell, elsewhere):
    bell.ring()
    bell.close()
    ticket = bell.wakeup.ticket()
    elsewhere.ring()
    assert bell.wakeup.wait(ticket, PATIENCE)
    bell.ring()


def test_close_leaves_the_watch_to_one_who_waits_on_it(bell, elsewhere):
    ticket = bell.wakeup.ticket()
    waiting = Background(bell.wakeup.wait, ticket, PATIENCE)
    wait_for(lambda: is_read(bell))
    bell.close()
    elsewhere.ring()
    assert waiting.result() is True


# Where files can't be watched


def test_without_a_watch_the_waiter_is_told_to_look_for_itself(unwatchable, bell):
    ticket = bell.wakeup.ticket()
    assert bell.wakeup.watching is False
    before = time.monotonic()
    assert bell.wakeup.wait(ticket, 0.02) is False
    assert time.monotonic() - before >= 0.02
    bell.ring()


def test_with_a_watch_it_is_not(bell):
    assert bell.wakeup.watching is False
    bell.wakeup.ticket()
    assert bell.wakeup.watching is True


def test_a_watch_that_was_refused_is_not_asked_for_again_and_again(bell, monkeypatch):
    asked = []

    def refuse(path):
        asked.append(path)
        raise OSError("no more watches")

    monkeypatch.setattr(bell_module, "FileWatch", refuse)
    for _ in range(5):
        bell.wakeup.ticket()
    assert len(asked) == 1


def test_a_watch_is_refused_to_the_caller_who_asks_for_it(unwatchable, bell):
    with pytest.raises(OSError, match="Too many"):
        bell.watch()


def test_a_bell_in_a_folder_that_is_missing(tmp_path):
    bell = Bell(str(tmp_path / "none" / "bell"))
    bell.ring()
    assert bell.wakeup.wait(bell.wakeup.ticket(), 0.01) is False
    assert not bell.wakeup.watching
    with pytest.raises(FileNotFoundError):
        bell.watch()


def test_a_link_is_not_followed(bell, path, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    Path(path).symlink_to(target)
    bell.ring()
    assert target.read_bytes() == b"precious"
    with pytest.raises(OSError):
        bell.watch()
    assert bell.wakeup.wait(bell.wakeup.ticket(), 0.01) is False
    assert not bell.wakeup.watching


# The watch of a consumer


def test_a_watch_is_readable_after_a_ring_and_quiet_after_a_drain(bell, elsewhere):
    watch = bell.watch()
    assert select.select([watch], [], [], 0)[0] == []
    elsewhere.ring()
    elsewhere.ring()
    assert select.select([watch], [], [], PATIENCE)[0] == [watch]
    watch.drain()
    assert select.select([watch], [], [], 0)[0] == []
    watch.drain()
    elsewhere.ring()
    assert select.select([watch], [], [], PATIENCE)[0] == [watch]
    watch.close()


def test_two_watches_each_see_every_ring(bell):
    one, two = bell.watch(), bell.watch()
    bell.ring()
    assert select.select([one], [], [], PATIENCE)[0]
    assert select.select([two], [], [], PATIENCE)[0]
    one.close()
    two.close()


def test_reading_the_file_is_no_ring(bell, path):
    watch = bell.watch()
    Path(path).read_bytes()
    Path(path).stat()
    assert select.select([watch], [], [], 0.01)[0] == []
    watch.close()


def test_a_watch_of_a_file_that_is_not_there(tmp_path):
    before = descriptors()
    with pytest.raises(FileNotFoundError, match="inotify_add_watch"):
        FileWatch(str(tmp_path / "none"))
    assert descriptors() == before


def test_removing_the_file_wakes_so_that_nobody_waits_for_a_ring_that_cannot_come(bell, path):
    watch = bell.watch()
    bell.close()
    Path(path).unlink()
    assert select.select([watch], [], [], PATIENCE)[0] == [watch]
    watch.close()


# Forks


def in_child(work):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_rings_for_the_parent(bell):
    bell.ring()
    ticket = bell.wakeup.ticket()
    assert in_child(lambda: bell.ring() is None) == 0
    assert bell.wakeup.wait(ticket, PATIENCE)


def test_the_parent_rings_for_a_child(bell, elsewhere):
    bell.wakeup.ticket()
    reader, writer = os.pipe()

    def child():
        ticket = bell.wakeup.ticket()
        os.write(writer, b"x")
        return bell.wakeup.wait(ticket, PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(in_child, child)
        assert os.read(reader, 1) == b"x"
        elsewhere.ring()
        assert code.result(PATIENCE) == 0
    os.close(reader)
    os.close(writer)


def test_a_child_does_not_steal_the_rings_of_the_parent(bell):
    """Both read from the same queue of events if the child kept the watch."""
    ticket = bell.wakeup.ticket()

    def child():
        own = bell.wakeup.ticket()
        bell.ring()
        return bell.wakeup.wait(own, PATIENCE)

    assert in_child(child) == 0
    assert bell.wakeup.wait(ticket, PATIENCE)


def test_a_child_of_a_process_in_which_a_thread_waits(bell):
    ticket = bell.wakeup.ticket()
    waiting = Background(bell.wakeup.wait, ticket, PATIENCE)
    wait_for(lambda: is_read(bell))

    def child():
        own = bell.wakeup.ticket()
        bell.ring()
        return bell.wakeup.wait(own, PATIENCE)

    assert in_child(child) == 0
    assert waiting.result() is True


def test_a_child_forked_while_the_lock_is_held(bell):
    """A thread of the parent is just opening the bell; the child must not wait for it."""
    held, leave = threading.Event(), threading.Event()

    def hold():
        with bell._lock, bell.wakeup._changed:
            held.set()
            leave.wait(PATIENCE)

    holder = Background(hold)
    assert held.wait(PATIENCE)
    try:
        with ThreadPoolExecutor(1) as pool:
            child = pool.submit(in_child, lambda: bell.ring() is None and bell.wakeup.ticket() >= 0)
            assert child.result(PATIENCE) == 0
    finally:
        leave.set()
    holder.result()
