"""What the log says while storage fails, and when storage is tried again."""

from __future__ import annotations

import logging

import pytest

from liteq.clock import SECOND
from liteq.exceptions import ForeignFile, StorageBusy, StorageDamaged, StorageError, StorageFull
from liteq.workers.outage import Outage

FULL, BUSY, FAILS = StorageFull("q: full"), StorageBusy("q: busy"), StorageError("q: fails")


class Disk:
    """A storage that can give back room, or not."""

    def __init__(self) -> None:
        self.has_room = False
        self.asked = 0

    def maintain(self, *, full: bool = False) -> None:
        assert full
        self.asked += 1
        if not self.has_room:
            raise FULL


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def outage(disk, caplog) -> Outage:
    caplog.set_level(logging.DEBUG, "huey.consumer")
    return Outage(disk)


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_it_is_told_of_once_and_so_is_its_end(outage, caplog):
    for turn in range(1000):
        outage.goes_on(FULL, turn * SECOND // 4)
    outage.is_over(250 * SECOND)
    outage.is_over(251 * SECOND)
    assert [text.split(":")[0] for text in said(caplog)] == [
        "Storage fails; trying again until it works",
        "Storage works again, after 250.0 s",
    ]
    assert "q: full" in said(caplog)[0]


def test_another_kind_of_failure_is_told_of(outage, caplog):
    for error in (FAILS, FAILS, BUSY, BUSY):
        outage.goes_on(error, 0)
    assert [text.rpartition(": ")[2] for text in said(caplog)] == ["fails", "busy"]


def test_the_next_outage_is_told_of(outage, caplog):
    outage.goes_on(FAILS, 0)
    outage.is_over(SECOND)
    outage.goes_on(FAILS, 2 * SECOND)
    assert len(said(caplog)) == 3


def test_nothing_is_said_while_all_is_well(outage, caplog):
    outage.is_over(0)
    assert said(caplog) == []
    assert outage.retry_at is None
    assert not outage.holds(0)


def test_it_is_tried_again_after_a_pause(outage):
    outage.goes_on(FAILS, 100 * SECOND)
    assert outage.holds(100 * SECOND)
    assert not outage.holds(101 * SECOND)
    outage.is_over(101 * SECOND)
    assert outage.retry_at is None


def test_a_full_disk_from_which_storage_can_give_back_room_is_none(outage, disk, caplog):
    disk.has_room = True
    outage.goes_on(FULL, 100 * SECOND)
    assert not outage.holds(100 * SECOND)
    outage.is_over(100 * SECOND)
    assert said(caplog) == []


def test_room_that_was_not_enough_is_no_reason_to_try_without_pause(outage, disk, caplog):
    disk.has_room = True
    for microsecond in range(100):
        outage.goes_on(FULL, 100 * SECOND + microsecond)
    assert disk.asked == 1
    assert len(said(caplog)) == 1


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [(StorageDamaged("q"), True), (ForeignFile("q"), True), (FAILS, False), (FULL, False), (BUSY, False)],
)
def test_what_is_hopeless(outage, error, hopeless):
    outage.goes_on(error, 0)
    assert outage.is_hopeless is hopeless
