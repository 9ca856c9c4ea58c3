"""Taking back what dead consumers held, and what becomes of a task whose worker died."""

import os
import subprocess
import sys

import pytest

from liteq import Error
from liteq import clock as liteq_clock
from liteq.identity import identify
from liteq.messages import Disposition
from liteq.workers.recovery import crashed, recover, returned

NEVER = 10**15


@pytest.fixture
def add(sqlite):
    @sqlite.task()
    def add(a, b):
        return a + b

    return add


@pytest.fixture
def pay(sqlite):
    @sqlite.task(at_most_once=True)
    def pay():
        pass

    return pay


def process():
    """The identity of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(child.pid)
    child.communicate(b"\n")
    return identity


@pytest.fixture(scope="module")
def dead():
    return process()


def take(huey, owner, *, lease=NEVER):
    """Claim all that is ready."""
    return huey.storage.claim(owner, 100, now=liteq_clock.now(), lease=lease)


@pytest.fixture
def us(sqlite):
    """The consumer that does the recovering."""
    return sqlite.storage.register(identify())


def test_the_tasks_of_a_dead_consumer_are_ready_again(sqlite, add, us, dead):
    other = sqlite.storage.register(dead)
    result = add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 1
    assert [task.id for task in sqlite.pending()] == [result.id]
    assert sqlite.running_count() == 0
    assert list(sqlite.storage.consumers()) == [us]


def test_its_death_is_not_their_crash(sqlite, add, us, dead):
    other = sqlite.storage.register(dead)
    add(1, 2)
    take(sqlite, other)
    recover(sqlite, us)
    (claim,) = take(sqlite, us)
    assert (claim.attempt, claim.crashes) == (2, 0)


def test_a_consumer_that_lives_keeps_what_it_has(sqlite, add, us):
    other = sqlite.storage.register(identify(os.getppid()))
    add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 0
    assert sqlite.running_count() == 1
    assert set(sqlite.storage.consumers()) == {us, other}


def test_ones_own_claims_are_not_recovered(sqlite, add, dead):
    us = sqlite.storage.register(dead)  # as it looks after its supervisor was killed
    add(1, 2)
    take(sqlite, us, lease=0)
    assert recover(sqlite, us) == 0
    assert sqlite.running_count() == 1


def test_a_dispatcher_that_lives_keeps_a_consumer_alive(sqlite, add, us, dead):
    other = sqlite.storage.register(dead)
    sqlite.storage.attend(other, identify())
    add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 0
    sqlite.storage.attend(other, dead)
    assert recover(sqlite, us) == 1


def test_a_supervisor_that_lives_keeps_a_consumer_alive_whose_dispatcher_died(sqlite, add, us, dead):
    other = sqlite.storage.register(identify())
    sqlite.storage.attend(other, dead)
    add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 0


def test_a_consumer_of_another_boot_is_dead(sqlite, add, us):
    other = sqlite.storage.register(identify()._replace(host=f"x{identify().host}"))
    add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 1


def test_a_consumer_of_which_nothing_can_be_told_has_its_lease(sqlite, add, us):
    """It is in another container, on the same machine."""
    other = sqlite.storage.register(identify()._replace(host=f"{identify().host}x"))
    add(1, 2)
    take(sqlite, other)
    assert recover(sqlite, us) == 0
    sqlite.storage.extend(other, liteq_clock.monotonic() - 1)
    assert recover(sqlite, us) == 1
    assert other in sqlite.storage.consumers()
    assert sqlite.pending_count() == 1


def test_a_consumer_that_stands_still_loses_its_claims(sqlite, add, us):
    other = sqlite.storage.register(identify(os.getppid()))
    add(1, 2)
    (claim,) = take(sqlite, other, lease=liteq_clock.monotonic() - 1)
    assert recover(sqlite, us) == 1
    assert sqlite.storage.data_of(claim.key) is None


def test_a_consumer_that_extends_its_claims_in_time_keeps_them(sqlite, add, us, monkeypatch):
    """It goes on in the very moment in which another one has found that its lease is over."""
    other = sqlite.storage.register(identify(os.getppid()))
    add(1, 2)
    (claim,) = take(sqlite, other, lease=liteq_clock.monotonic() - 1)
    look = sqlite.storage.expired

    def look_and_extend(now):
        found = look(now)
        sqlite.storage.extend(other, now + liteq_clock.MINUTE)
        return found

    monkeypatch.setattr(sqlite.storage, "expired", look_and_extend)
    assert recover(sqlite, us) == 0
    assert sqlite.storage.data_of(claim.key) is not None


def test_what_runs_at_most_once_is_dead_and_not_ready_again(sqlite, pay, us, dead):
    other = sqlite.storage.register(dead)
    result = pay()
    take(sqlite, other)
    assert recover(sqlite, us) == 1
    assert sqlite.pending_count() == 0
    (task,) = sqlite.dead()
    assert "its consumer died" in task.reason
    assert "at most once" in task.reason
    assert isinstance(result.get_raw_result(), Error)


def test_whoever_waits_for_a_later_stage_is_told_too(sqlite, add, pay, us, dead):
    other = sqlite.storage.register(dead)
    _, last = sqlite.enqueue(pay.s().then(add, 1, 2))
    take(sqlite, other)
    recover(sqlite, us)
    assert isinstance(last.get_raw_result(), Error)


def test_without_results_nobody_is_told(sqlite, pay, us, dead):
    sqlite.results = False
    other = sqlite.storage.register(dead)
    pay()
    take(sqlite, other)
    recover(sqlite, us)
    assert sqlite.result_count() == 0
    assert len(sqlite.dead()) == 1


def test_nothing_to_recover(sqlite, us):
    assert recover(sqlite, us) == 0


def test_several_recover_at_once_and_each_task_comes_back_once(sqlite, add, us, dead):
    other = sqlite.storage.register(dead)
    for number in range(10):
        add(number, 0)
    take(sqlite, other)
    neighbour = sqlite.storage.register(identify())
    assert recover(sqlite, us) + recover(sqlite, neighbour) == 10
    assert sqlite.pending_count() == 10


# A worker's death


def claim_of(huey, **changes):
    owner = huey.storage.register(identify())
    (claim,) = take(huey, owner)
    return claim._replace(**changes)


def test_a_task_whose_worker_died_runs_again(sqlite, add):
    add(1, 2)
    outcome = crashed(sqlite, claim_of(sqlite), "was killed by SIGKILL", 3)
    assert outcome.disposition is Disposition.CRASHED
    assert outcome.results == ()


@pytest.mark.parametrize(
    ("before", "allowed", "lives"), [(0, 3, True), (1, 3, True), (2, 3, False), (0, 1, False)]
)
def test_a_task_has_so_many_chances(sqlite, add, before, allowed, lives):
    add(1, 2)
    claim = claim_of(sqlite, crashes=before, attempt=7)
    outcome = crashed(sqlite, claim, "was killed by SIGSEGV", allowed)
    assert (outcome.disposition is Disposition.CRASHED) is lives
    if not lives:
        assert outcome.disposition is Disposition.DEAD
        assert f"was killed by SIGSEGV (attempt 7, crash {before + 1})" in outcome.reason
        ((key, value),) = outcome.results
        assert key == claim.id
        assert "SIGSEGV" in sqlite.serializer.deserialize(value).metadata["error"]


def test_what_runs_at_most_once_has_one_chance(sqlite, pay):
    pay()
    assert crashed(sqlite, claim_of(sqlite), "exited", 3).disposition is Disposition.DEAD


def test_what_was_not_started_goes_back(sqlite, add, pay):
    add(1, 2)
    claim = claim_of(sqlite)
    settlement = returned(sqlite, claim, "interrupted")
    assert settlement.key == claim.key
    assert settlement.outcome.disposition is Disposition.BACK
    pay()
    once = returned(sqlite, claim_of(sqlite), "interrupted").outcome
    assert once.disposition is Disposition.DEAD
    assert "interrupted, and it runs at most once" in once.reason
