"""What a turn commits before it hands anything out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from liteq import SqliteHuey, StorageError, clock
from liteq.identity import identify
from liteq.messages import Claim, Message
from liteq.workers.beat import Beat
from liteq.workers.chores import Chores
from liteq.workers.ledger import Ledger
from liteq.workers.pool import Pool
from liteq.workers.rings import Rings


class OnePlace:
    """A pool with room for one task more."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def room(self) -> int:
        return 1

    def idle(self) -> int:
        return 1

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
        turn(ledger, OnePlace(events))
    huey.storage.put([Message("b", "task", b"b")], clock.now())
    ledger.look = True
    turn(ledger, OnePlace(events))
    assert events == ["sync", "sync", "a", "b"]


def test_any_other_task_does_not_wait(huey, ledger, events):
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    turn(ledger, OnePlace(events))
    assert events == ["a"]


def test_a_turn_that_stood_still_claims_from_now_on(huey, ledger):
    """It would claim for a time that is over, and another consumer take that at once."""
    huey.storage.put([Message("a", "task", b"a")], clock.now())
    ledger.turn(clock.now(), 0, cast("Pool", OnePlace([])), claiming=True)
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
