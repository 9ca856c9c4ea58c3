"""What a turn commits before it hands anything out."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from liteq import SqliteHuey, StorageError, clock
from liteq.identity import identify
from liteq.messages import Claim, Disposition, Message, Outcome, Settlement
from liteq.workers.beat import Beat
from liteq.workers.chores import Chores
from liteq.workers.ledger import Ledger
from liteq.workers.pool import Pool
from liteq.workers.rings import Rings

WENT_WELL = Outcome(Disposition.DONE, "complete")


class Places:
    """A pool with so much room, and so many idle workers."""

    def __init__(self, events: list[str], room: int = 1, idle: int = 1) -> None:
        self.events = events
        self._room = room
        self._idle = idle

    def room(self) -> int:
        return self._room

    def idle(self) -> int:
        return self._idle

    def hand_out(self, claims: list[Claim], _now: int) -> list[Claim]:
        self.events.extend(claim.id for claim in claims)
        return []


@pytest.fixture
def huey(filename):
    huey = SqliteHuey(filename=filename)
    yield huey
    huey.storage.close()


@pytest.fixture
def ledger(huey) -> Ledger:
    owner = huey.storage.register(identify())
    return Ledger(huey, owner, clock.MINUTE, Beat(huey, enabled=False), Rings(1))


def turn(ledger: Ledger, pool: Any) -> None:
    ledger.turn(clock.now(), clock.monotonic(), cast("Pool", pool), claiming=True)


@pytest.fixture
def events(huey, monkeypatch) -> list[str]:
    """What happens: syncs, of which the first fails, and the tasks that are handed out."""
    events: list[str] = []

    def sync() -> None:
        events.append("sync")
        if events.count("sync") == 1:
            raise StorageError("the disk fails")

    monkeypatch.setattr(huey.storage, "sync", sync)
    return events


def test_a_task_that_runs_at_most_once_waits_until_its_claim_is_on_the_disk(huey, ledger, events):
    """Even if the disk failed the first time, and the next turn has other things to commit."""
    huey.storage.put([Message("a", "task", b"a", at_most_once=True)], clock.now())
    with pytest.raises(StorageError):
        turn(ledger, Places(events))
    huey.storage.put([Message("b", "task", b"b")], clock.now())
    ledger.look = True
    turn(ledger, Places(events))
    assert events == ["sync", "sync", "a", "b"]


def test_any_other_task_does_not_wait(huey, ledger, events):
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    turn(ledger, Places(events))
    assert events == ["a"]


def ended(huey: SqliteHuey, id: str) -> Settlement:
    """The end of a task that was handed out and went well."""
    owner = next(iter(huey.storage.consumers()))
    return Settlement(next(claim.key for claim in huey.storage.held(owner) if claim.id == id), WENT_WELL)


def test_what_comes_due_while_there_is_no_room_is_claimed_once_there_is(huey, ledger):
    handed_out: list[str] = []
    now = clock.now()
    huey.storage.put([Message("a", "task", b"a"), Message("b", "task", b"b", due=now + 20_000)], now)
    turn(ledger, Places(handed_out, room=2))
    assert handed_out == ["a"]  # and the other is not due yet
    while clock.now() < now + 20_000:
        time.sleep(0.001)
    turn(ledger, Places(handed_out, room=0, idle=0))  # it made ready what is due
    ledger.settle(ended(huey, "a"))
    turn(ledger, Places(handed_out))
    assert handed_out == ["a", "b"]


def test_what_runs_at_most_once_is_claimed_once_a_worker_is_idle(huey, ledger):
    """Until then there may be room for others, but it would wait inside a worker."""
    handed_out: list[str] = []
    once = Message("b", "task", b"b", at_most_once=True)
    huey.storage.put([Message("a", "task", b"a"), once, Message("c", "task", b"c")], clock.now())
    turn(ledger, Places(handed_out, room=5))
    assert handed_out == ["a"]
    ledger.settle(ended(huey, "a"))
    turn(ledger, Places(handed_out, room=5))
    assert handed_out == ["a", "b", "c"]


def test_nothing_is_looked_for_once_all_is_claimed(huey, ledger):
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    turn(ledger, Places([], room=5))
    assert not ledger.look


def test_a_turn_that_stood_still_claims_from_now_on(huey, ledger):
    """It would claim for a time that is over, and another consumer take that at once."""
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    ledger.turn(clock.now(), 0, cast("Pool", Places([])), claiming=True)
    assert huey.storage.running_count() == 1
    assert huey.storage.expired(clock.monotonic()) == []


def test_a_turn_that_stood_still_extends_from_now_on(huey):
    owner = huey.storage.register(identify())
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    huey.storage.claim(owner, 1, now=clock.now(), lease=0)
    Chores(huey, owner, clock.MINUTE).extend(0, claims_held=True)
    assert huey.storage.expired(clock.monotonic()) == []


def test_after_an_outage_others_have_time_to_extend_their_leases(huey):
    """They could not meanwhile; it is not they who stood still."""
    stranger, owner = (huey.storage.register(identify()) for _ in range(2))
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    now = clock.monotonic()
    huey.storage.claim(stranger, 1, now=clock.now(), lease=now - 1)
    chores = Chores(huey, owner, clock.MINUTE)
    chores.storage_failed(now)
    assert not chores.visit_neighbours(now + clock.SECOND)
    assert huey.storage.running_count() == 1
    assert chores.visit_neighbours(now + 10 * clock.SECOND)
    assert huey.storage.running_count() == 0
