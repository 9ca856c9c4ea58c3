"""The line at the write lock: who has waited longest asks most often, and nobody can hold it up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw
import pytest

from liteq.storage.sqlite import line
from liteq.storage.sqlite.line import ALIKE, FRONT, Waiter

MS = 1_000_000


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the waiters sleep; they do not."""
    slept: list[float] = []
    monkeypatch.setattr(line.time, "sleep", slept.append)
    return slept


def test_each_waiter_asks_the_more_seldom_the_more_are_before_it(tmp_path: Path, pauses: list[float]):
    waiters = [Waiter(str(tmp_path / "line"), 60) for _ in range(FRONT + 2)]
    for _ in range(2):
        for waiter in waiters:
            waiter(0)
    once, again = pauses[: FRONT + 2], pauses[FRONT + 2 :]
    assert once == again == sorted(once)
    assert once[FRONT - 1] == once[0]
    assert len(set(once)) == 3


def test_who_does_not_come_back_does_not_count(tmp_path: Path, pauses: list[float]):
    *killed, other = (Waiter(str(tmp_path / "line"), 60) for _ in range(FRONT + 2))
    for waiter in (*killed, other):
        waiter(0)
    assert pauses[-1] != pauses[0]
    deadline = time.monotonic() + 10
    while pauses[-1] != pauses[0] and time.monotonic() < deadline:
        other(1)
    assert pauses[-1] == pauses[0]


def test_who_has_the_lock_leaves_the_line(tmp_path: Path, pauses: list[float]):
    *winners, other = (Waiter(str(tmp_path / "line"), 60) for _ in range(FRONT + 2))
    for winner in winners:
        winner(0)
        winner.begin(apsw.Connection(":memory:"))
    other(0)
    assert pauses == [pauses[0]] * (FRONT + 2)


def test_who_has_had_its_turn_steps_behind_those_who_wait(tmp_path: Path, pauses: list[float]):
    waiting, writer = (Waiter(str(tmp_path / "line"), 60) for _ in range(2))
    connection = apsw.Connection(":memory:")
    deadline = time.monotonic() + 10
    while len(pauses) < 2 and time.monotonic() < deadline:
        pauses.clear()
        waiting(0)
        writer.begin(connection)
        connection.execute("COMMIT")
    assert len(pauses) == 2


def test_a_writer_alone_waits_for_nobody(tmp_path: Path, pauses: list[float]):
    writer = Waiter(str(tmp_path / "line"), 60)
    connection = apsw.Connection(":memory:")
    for _ in range(10_000):
        writer.begin(connection)
        connection.execute("COMMIT")
    assert pauses == []


def test_it_gives_up_in_time(tmp_path: Path):
    waiter = Waiter(str(tmp_path / "line"), 0.01)
    assert waiter(0)
    deadline = time.monotonic() + 10
    while waiter(1) and time.monotonic() < deadline:
        pass
    assert time.monotonic() < deadline


@pytest.mark.parametrize("kind", ["link", "second name", "folder", "pipe", "long file", "no folder"])
def test_a_file_that_is_no_line_is_left_alone(tmp_path: Path, pauses: list[float], kind: str):
    other, path = tmp_path / "other", tmp_path / "line"
    other.write_bytes(b"precious")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "second name":
        os.link(other, path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "long file":
        path.write_bytes(bytes(10_000))
    else:
        path = tmp_path / "none" / "line"
    waiter = Waiter(str(path), 60)
    waiter(0)
    waiter.close()
    assert pauses == [ALIKE / 1e9]
    assert other.read_bytes() == b"precious"


def test_rubbish_in_the_line_keeps_nobody_for_long(tmp_path: Path, pauses: list[float]):
    path = tmp_path / "line"
    for content in (os.urandom(4096), os.urandom(17), b"\x7f", b"\x01" * 4096):
        path.write_bytes(content)
        Waiter(str(path), 60)(0)
    assert max(pauses) < 0.3
