"""What a worker does with an assignment that it came to late."""

import signal
import sys

import pytest

from liteq import clock
from liteq.exceptions import StorageUnreachable
from liteq.identity import identify
from liteq.messages import BACK, Disposition, Outcome, Settlement
from liteq.workers import leftovers
from liteq.workers.rings import Rings
from liteq.workers.shared import Board
from liteq.workers.timer import Timer
from liteq.workers.wire import STOP_PACKET, Report, pack_report, pack_tasks, packet_pair, unpack_report
from liteq.workers.worker import Worker

LEASE = 60 * clock.SECOND
WENT_WELL = Outcome(Disposition.DONE, "complete")


@pytest.fixture
def line():
    ours, theirs = packet_pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def claim_one(huey):
    """Claim what was just called, as a consumer does."""
    owner = huey.storage.register(identify())
    (claim,) = huey.storage.claim(owner, 1, now=clock.now(), lease=clock.monotonic() + LEASE)
    return claim


def work(huey, line, packet, board=None):
    """A worker gets one packet, and then the order to stop; its report."""
    ours, theirs = line
    ours.send(packet)
    ours.send(STOP_PACKET)
    board, rings = board or Board(1), Rings(1)
    timer = Timer(board, 0)
    timer.install()
    Worker(huey, 0, theirs, board, rings, LEASE, timer).work()
    (packet,) = rings.read(0)
    return unpack_report(packet)


@pytest.fixture
def ran(sqlite):
    """The calls of a task that have been run, and the claim of one."""
    calls = []
    sqlite.task(name="note")(calls.append)("a")
    return calls, claim_one(sqlite)


@pytest.mark.parametrize("age", [0, LEASE // 2])
def test_it_runs_what_it_was_just_given_without_a_look_at_storage(sqlite, line, ran, monkeypatch, age):
    calls, claim = ran
    monkeypatch.setattr(sqlite.storage, "data_of", None)
    report = work(sqlite, line, pack_tasks([claim], now=clock.monotonic() - age))
    assert calls == ["a"]
    assert report.outcome.status == "complete"


def test_it_runs_what_it_was_given_long_ago_if_the_claim_still_holds(sqlite, line, ran):
    calls, claim = ran
    report = work(sqlite, line, pack_tasks([claim], now=clock.monotonic() - LEASE))
    assert calls == ["a"]
    assert report.outcome.status == "complete"


def test_it_waits_for_a_storage_that_cannot_be_read_at_the_moment(sqlite, line, ran, monkeypatch):
    calls, claim = ran
    tries, data_of = [], sqlite.storage.data_of

    def data_of_in_the_end(key):
        tries.append(key)
        if len(tries) == 1:
            raise StorageUnreachable("not yet")
        return data_of(key)

    monkeypatch.setattr(sqlite.storage, "data_of", data_of_in_the_end)
    report = work(sqlite, line, pack_tasks([claim], now=clock.monotonic() - 2 * LEASE))
    assert (calls, report.outcome.status, len(tries)) == (["a"], "complete", 2)


def test_an_orphan_begins_no_other_task_of_its_packet(sqlite, line):
    """Supervisor and dispatcher die while it runs the first one, and nobody slept who would be rung."""
    ours, theirs = line
    calls = []

    @sqlite.task()
    def note(value):
        calls.append(value)
        ours.close()

    note("a")
    note("b")
    owner = sqlite.storage.register(identify())
    claims = sqlite.storage.claim(owner, 2, now=clock.now(), lease=clock.monotonic() + LEASE)
    ours.send(pack_tasks(claims, now=clock.monotonic()))
    timer = Timer(Board(1), 0)
    timer.install()
    rings = Rings(1)
    rings.owner = owner
    Worker(sqlite, 0, theirs, Board(1), rings, LEASE, timer).work()
    assert calls == ["a"]
    assert [claim.key for claim in sqlite.storage.held(owner)] == [claims[1].key]  # the report is settled


def test_an_orphan_settles_what_the_worker_before_it_has_reported(sqlite, line, ran):
    """That died in its place, and so did supervisor and dispatcher before they committed its report."""
    ours, theirs = line
    _, claim = ran
    rings = Rings(1)
    rings.owner = claim.owner
    assert rings.write(0, pack_report(Report(claim.seq, claim.attempt, 1, WENT_WELL, clock.now())))
    ours.close()
    timer = Timer(Board(1), 0)
    timer.install()
    Worker(sqlite, 0, theirs, Board(1), rings, LEASE, timer).work()
    assert sqlite.storage.running_count() == 0
    assert sqlite.storage.pending_count() == 0


def test_it_does_not_begin_what_another_has_taken_over(sqlite, line, ran):
    calls, claim = ran
    sqlite.storage.settle([Settlement(claim.key, BACK)], clock.now())
    report = work(sqlite, line, pack_tasks([claim], now=clock.monotonic() - LEASE))
    assert calls == []
    assert report.outcome == BACK


def test_it_gives_back_what_it_was_handed_in_an_epoch_that_is_over(sqlite, line, ran):
    calls, claim = ran
    board = Board(1)
    epoch = board.begin_epoch(0)
    packet = pack_tasks([claim], now=clock.monotonic(), epoch=epoch)
    board.begin_epoch(0)
    report = work(sqlite, line, packet, board)
    assert calls == []
    assert report.is_return
    assert (report.seq, report.attempt) == (claim.seq, claim.attempt)
    assert board.read(0) == (0, 0)


def test_it_runs_what_it_was_handed_in_this_epoch(sqlite, line, ran):
    calls, claim = ran
    board = Board(1)
    report = work(sqlite, line, pack_tasks([claim], now=clock.monotonic(), epoch=board.begin_epoch(0)), board)
    assert calls == ["a"]
    assert not report.is_return


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="another interpreter may have no such function"
)
def test_handlers_are_looked_up_without_the_conversion_to_an_enum():
    """It takes several microseconds of every task."""
    assert leftovers._handler_of is not signal.getsignal
    assert leftovers._handler_of(signal.SIGINT) is signal.getsignal(signal.SIGINT)
