"""Memory that processes share: written by one, read by another after its death."""

import pytest

from liteq.workers.shared import Board

from .running import in_child


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
