"""The black hole: calls are checked, and then they are gone."""

from __future__ import annotations

import time

import pytest

from liteq import BlackHoleHuey, EmptyData
from liteq.exceptions import ConfigurationError
from liteq.identity import identify
from liteq.messages import ClaimKey, Disposition, Message, Outcome, Revocation, Settlement
from liteq.storage import BlackHoleStorage
from liteq.storage.contract.records import Counts


@pytest.fixture
def huey():
    return BlackHoleHuey("void")


@pytest.fixture
def add(huey):
    return huey.task()(lambda a, b: a + b)


def test_what_is_enqueued_vanishes(huey, add):
    result = add(1, 2)
    huey.enqueue_many([add.s(1, 2), add.s(3, 4).then(add, 5)])
    add.schedule((1, 2), delay=60)
    assert (len(huey), huey.pending(), huey.scheduled(), huey.dequeue()) == (0, [], [], None)
    assert not any(huey.counts())
    assert result() is None


def test_nobody_waits_for_a_result_that_will_not_come(add):
    began = time.monotonic()
    assert add(1, 2).get(blocking=True, timeout=60) is None
    assert time.monotonic() - began < 30


def test_what_is_stored_vanishes(huey, add):
    huey.put("key", "value")
    assert huey.put_if_empty("key", "value")
    assert huey.put_if_empty("key", "value")
    assert huey.get_raw("key") is EmptyData
    assert (huey.result_count(), huey.all_results(), huey.delete("key")) == (0, {}, False)
    add.revoke()
    assert not add.is_revoked()
    assert huey.incr("counter", 2) == huey.incr("counter", 2) == 2
    assert huey.pause()
    assert not huey.is_paused()


def test_no_lock_is_held_and_no_limit_reached(huey):
    with huey.lock_task("a"), huey.lock_task("a"):
        assert not huey.is_locked("a")
    for _ in range(3):
        with huey.rate_limit("b", limit=1, per=60):
            pass


def test_faulty_calls_are_refused_all_the_same(huey, add):
    with pytest.raises(TypeError, match="missing"):
        add(1)
    with pytest.raises(ConfigurationError, match="BlackHoleStorage has no option path"):
        BlackHoleHuey(path="x").storage


def test_no_consumer_can_serve_it(huey):
    assert not huey.storage.capabilities.shared
    assert "black hole" in huey.storage.describe()


def test_every_verb_leaves_nothing():
    storage = BlackHoleStorage()
    me = identify()
    assert storage.register(me) < storage.register(me)
    assert storage.consumers() == {}
    storage.put([Message("a", "app.task", b"a", due=1)], 0)
    outcome = Outcome(Disposition.DONE, "complete", (("a", b"x"),), (Message("b", "app.task", b"b"),))
    storage.apply(Settlement(ClaimKey(0, 0, 0), outcome), 0)
    assert storage.settle([Settlement(ClaimKey(1, 1, 1), outcome)], 0) == [False]
    storage.revoke("r:a", Revocation())
    assert storage.take_slot("app.tick", 60)
    assert storage.take_slot("app.tick", 60)
    assert storage.replace_entry("entry", None, "text")
    assert storage.entries() == {}
    with storage.batch():
        storage.put([Message("a", "app.task", b"a")], 0)
        assert storage.claim(1, 1, now=0, lease=1) == []
    assert storage.counts() == Counts(0, 0, 0, 0)
    assert storage.results() == {}
