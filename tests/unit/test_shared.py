"""Memory that processes share: written by one, read by another after its death."""

import os
import signal

import pytest

from liteq.messages import Disposition, Outcome
from liteq.workers import shared
from liteq.workers.shared import Board, Journal
from liteq.workers.wire import Report, pack_report, packet_pair, unpack_report


def in_child(work):
    """Run it in a child, which is then killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        work()
        os.write(writer, b"x")
        signal.pause()
    assert os.read(reader, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)


def test_a_board_begins_empty():
    board = Board(3)
    assert [board.read(index) for index in range(3)] == [(0, 0)] * 3


@pytest.mark.parametrize("workers", [1, 2, 100, 5000])
def test_each_worker_has_its_own_line(workers):
    board = Board(workers)
    for index in range(workers):
        board.write(index, index + 1, index + 2)
    assert [board.read(index) for index in range(workers)] == [(i + 1, i + 2) for i in range(workers)]


def test_nothing_begins_in_an_epoch_that_is_over():
    board = Board(2)
    first = board.epoch(1)
    assert board.begin(1, 7, 1, 5, first)
    second = board.begin_epoch(1)
    assert not board.begin(1, 8, 1, 5, first)
    assert board.read(1) == (8, 1), "it is told before the epoch is looked at"
    board.clear(1)
    assert board.begin(1, 8, 2, 5, second)
    assert board.epoch(0) == 0


def test_an_epoch_is_seen_by_all_who_share_the_board():
    board = Board(1)
    in_child(lambda: board.begin_epoch(0))
    assert board.epoch(0) == 1


def test_a_line_holds_the_last():
    board = Board(2)
    board.write(0, 7, 1)
    board.write(0, 2**63, 2**32)
    assert board.read(0) == (2**63, 2**32)
    assert board.read(1) == (0, 0)


def test_what_a_process_wrote_outlives_it():
    board = Board(2)
    in_child(lambda: board.write(1, 42, 3))
    assert board.read(1) == (42, 3)


def test_a_line_is_cleared():
    board = Board(2)
    board.write(0, 7, 1)
    board.write(1, 8, 1)
    board.clear(0)
    assert (board.read(0), board.read(1)) == ((0, 0), (8, 1))


# The journal: reports go from a worker's line straight into it


def report(seq, size=0):
    return pack_report(Report(seq, 1, 10, Outcome(Disposition.DONE, "complete", (("k", b"x" * size),))))


def seqs(packets):
    return [unpack_report(packet).seq for packet in packets]


@pytest.fixture
def line():
    """The dispatcher's end of a line, and the worker's."""
    ours, theirs = packet_pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def hear(journal, line, *packets):
    """The worker sends these, the dispatcher receives them."""
    ours, theirs = line
    got = []
    for packet in packets:
        theirs.send(packet)
        got.append(journal.receive(ours))
    return got


def test_a_journal_begins_empty():
    assert Journal().take_over() == []


def test_what_is_received_is_given_to_the_caller_and_kept_for_the_next(line):
    journal = Journal()
    packets = [report(1), report(2, 50_000), report(3)]
    assert hear(journal, line, *packets) == packets
    assert journal.take_over() == packets


def test_there_is_nothing_to_receive_or_never_will_be(line):
    journal, (ours, theirs) = Journal(), line
    with pytest.raises(BlockingIOError):
        journal.receive(ours)
    assert ours.getblocking()
    theirs.close()
    assert journal.receive(ours) == b""
    assert journal.take_over() == []


def test_what_was_committed_is_forgotten(line):
    journal = Journal()
    hear(journal, line, report(1, 1000), report(2))
    journal.clear()
    assert journal.take_over() == []
    hear(journal, line, report(3))
    assert seqs(journal.take_over()) == [3]


def test_a_shorter_report_in_the_place_of_a_longer_one(line):
    journal = Journal()
    hear(journal, line, report(1, 30_000))
    journal.clear()
    hear(journal, line, report(2), report(3))
    assert journal.take_over() == [report(2), report(3)]


def test_a_journal_outlives_its_writer(line):
    journal = Journal()

    def work():
        hear(journal, line, report(1))
        journal.clear()
        hear(journal, line, report(2), report(3))

    in_child(work)
    assert seqs(journal.take_over()) == [2, 3]


def test_the_next_writer_goes_on_behind_what_was_left(line):
    journal = Journal()
    in_child(lambda: hear(journal, line, report(1), report(2)))
    assert seqs(journal.take_over()) == [1, 2]
    hear(journal, line, report(3))
    assert seqs(journal.take_over()) == [1, 2, 3]
    journal.clear()
    assert journal.take_over() == []


def killed_before_the_length_is_written(journal, line, packet):
    """The dispatcher dies in the instant after the kernel has copied a report."""

    class Killed:
        size = shared._LENGTH.size

        @staticmethod
        def pack_into(*_):
            os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if not pid:
        shared._LENGTH = Killed
        hear(journal, line, packet)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("size", [0, 50_000])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_report_is_never_lost_between_the_line_and_the_journal(line, before, size):
    journal = Journal()
    hear(journal, line, *(report(seq, 100) for seq in range(before)))
    killed_before_the_length_is_written(journal, line, report(99, size))
    left = journal.take_over()
    assert seqs(left) == [*range(before), 99]
    hear(journal, line, report(100))
    assert seqs(journal.take_over()) == [*range(before), 99, 100]


def test_nothing_is_taken_for_a_report_that_was_not_there(line):
    """What lies behind the end, from before the last commit, is not read again."""
    journal = Journal()
    hear(journal, line, report(1), report(2), report(3))
    journal.clear()
    assert journal.take_over() == []
    hear(journal, line, report(4))
    assert seqs(journal.take_over()) == [4]


def test_a_journal_that_is_full_keeps_what_it_has_and_goes_on(line):
    journal = Journal()
    packet = report(1, 50_000)
    number = shared._JOURNAL_SIZE // len(packet) + 20
    for _ in range(number):
        assert hear(journal, line, packet) == [packet]
    kept = journal.take_over()
    assert 100 < len(kept) < number
    assert set(kept) == {packet}
    journal.clear()
    hear(journal, line, report(2))
    assert seqs(journal.take_over()) == [2]


def test_two_journals_are_two(line):
    one, two = Journal(), Journal()
    hear(one, line, report(1))
    assert two.take_over() == []
