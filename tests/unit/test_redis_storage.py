"""What the backend on a Redis server does by itself: batches, turns, several hosts, processes, threads."""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import pytest
import redis

from liteq import (
    RedisHuey,
    clock,
)
from liteq.contrib.helpers import RedisSemaphore
from liteq.exceptions import StorageBusy, StorageFull, StorageUnreachable
from liteq.identity import Identity, own_identity
from liteq.locks import TaskLock
from liteq.messages import Disposition, Message, Outcome, Settlement
from liteq.storage.base import ClaimOrder, Holder, Instant
from liteq.storage.redis import RedisStorage
from liteq.workers.overview import look_at
from liteq.workers.recovery import recover

from .running import wait_for

ELSEWHERE = Identity("another-boot/pid:[1]", 1, "1")


def message(id: str, **columns: Any) -> Message:
    return Message(**{"id": id, "name": "task", "data": id.encode(), **columns})


def done(claim: Any) -> Settlement:
    return Settlement(claim.key, Outcome(Disposition.DONE, "complete"))


# Many at once


def test_many_that_wait_are_taken_in_by_steps(make_redis):
    storage = make_redis().storage
    number = 5_500
    storage.put([message(f"{index}", priority=index % 2) for index in range(number)], clock.now())
    assert storage.pending_count() == number
    owner = storage.register(own_identity())
    claims = storage.claim(owner, 3, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    assert [claim.id for claim in claims] == ["1", "3", "5"]


def test_whoever_puts_does_not_wait_for_the_batch_of_another(make_redis):
    first, second = make_redis().storage, make_redis().storage
    with first.batch():
        first.put([message("a")], clock.now())
        assert first.pending_count() == 1
        second.put([message("b")], clock.now())
        third = threading.Thread(target=second.pending_count)
        third.start()
    third.join(30)
    assert second.pending() == [b"a", b"b"]


def test_many_results_are_read_in_one_batch(make_redis):
    storage = make_redis().storage
    for index in range(300):
        storage.put_result(str(index), b"%d" % index)
    with storage.batch():
        assert [storage.pop_result(str(index)) for index in range(300)] == [b"%d" % i for i in range(300)]
        assert storage.pop_result("7") is None
        assert storage.result_count() == 0
    assert storage.results() == {}


def test_a_batch_that_was_given_up_holds_nobody_up_for_long(make_redis):
    first, second = make_redis().storage, make_redis().storage
    batch = first.batch()
    batch.__enter__()
    assert first.take_slot("tick", 1)
    assert second.take_slot("tick", 1), "the first one's time is over"
    with pytest.raises(StorageBusy, match="the batch took too long"):
        batch.__exit__(None, None, None)


# Turns


def turn(storage: RedisStorage, owner: int, *settled: Any) -> Any:
    order = ClaimOrder(1, clock.MINUTE, 1, None)
    return storage.turn(owner, [done(claim) for claim in settled], order, clock.now())


def test_what_nobody_was_told_of_is_claimed_again(make_redis):
    storage = make_redis().storage
    owner = storage.register(own_identity())
    storage.put([message("a", at_most_once=True), message("b")], clock.now())
    heard = storage._turns.of_this_process()
    (lost,) = turn(storage, owner).claims
    heard.heard -= 1  # as if its reply had not arrived
    (again,) = turn(storage, owner).claims
    assert (again.id, again.attempt) == (lost.id, lost.attempt)
    (second,) = turn(storage, owner).claims
    assert [second.id, storage.running_count()] == ["b", 2]


def test_what_was_settled_without_an_answer_has_held(make_redis):
    storage = make_redis().storage
    owner = storage.register(own_identity())
    storage.put([message("a"), message("b")], clock.now())
    (a,) = turn(storage, owner).claims
    turns = storage._turns.of_this_process()
    (lost,) = turn(storage, owner, a).claims
    turns.heard, turns.unsure = turns.heard - 1, {a.key}  # as if its reply had not arrived
    again = turn(storage, owner, a)
    assert (again.held, [claim.id for claim in again.claims]) == ([True], [lost.id])
    assert turn(storage, owner, a).held == [False]


def test_a_turn_that_was_overtaken_has_no_effect(make_redis):
    storage = make_redis().storage
    owner = storage.register(own_identity())
    storage.put([message("a"), message("b")], clock.now())
    turn(storage, owner)
    turn(storage, owner)
    storage._turns.numbers = itertools.count(1)
    with pytest.raises(StorageBusy):
        turn(storage, owner)
    assert storage.running_count() == 2


def test_a_turn_tells_whether_anybody_listens(make_redis):
    storage = make_redis().storage
    owner = storage.register(own_identity())
    assert turn(storage, owner).listened is False
    listener = storage.subscribe()
    assert turn(storage, owner).listened is True
    listener.close()
    wait_for(lambda: turn(storage, owner).listened is False)


# Several hosts


def test_claims_of_another_host_are_recovered_when_their_lease_is_over_and_not_before(make_redis):
    huey = make_redis()
    storage = huey.storage
    there, here = storage.register(ELSEWHERE), storage.register(own_identity())
    storage.attend(there, ELSEWHERE)
    storage.put([message("a"), message("b")], clock.now())
    storage.claim(there, 1, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    assert recover(huey, here) == 0
    assert there in storage.consumers()
    storage.claim(there, 1, now=clock.now(), lease=clock.monotonic())
    assert recover(huey, here) == 1
    assert storage.pending() == [b"b"]


def test_leases_are_compared_by_the_server_s_clock_between_hosts(make_redis, monkeypatch):
    storage = make_redis().storage
    owner = storage.register(ELSEWHERE)
    storage.put([message("a"), message("b")], clock.now())
    monkeypatch.setattr("liteq.storage.redis.messages.boot", lambda: "another-boot")
    storage.claim(owner, 1, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    storage.claim(owner, 1, now=clock.now(), lease=clock.monotonic() - 1)
    monkeypatch.undo()
    for monotonic in (0, 10**15):  # what another host's clock says means nothing here
        assert [claim.id for claim in storage.expired(monotonic)] == ["b"]


def test_locks_of_another_host_are_held_until_their_time_is_over(make_redis, monkeypatch):
    huey = make_redis()
    lock = TaskLock(huey, "lock", ttl=60)
    monkeypatch.setattr("liteq.storage.redis.locks.boot", lambda: "another-boot")
    monkeypatch.setattr("liteq.locks.own_identity", lambda: ELSEWHERE)
    monkeypatch.setattr("liteq.slots.own_identity", lambda: ELSEWHERE)
    lock.acquire()
    monkeypatch.undo()
    assert huey.is_locked("lock")
    (holder,) = huey.storage.locks("lock", now=clock.monotonic())
    assert 50 * clock.SECOND < holder.expires - clock.monotonic() <= 60 * clock.SECOND


def test_hosts_whose_clocks_differ_a_little_share_a_rate_limit(make_redis):
    storage = make_redis().storage
    ahead = Instant("another-boot", 10**12, clock.now() + clock.SECOND)
    mine = Instant("boot", 10**12, clock.now())
    per = 10 * clock.SECOND
    assert storage.hit("limit", limit=1, per=per, clock=lambda: ahead) == 0
    assert storage.hit("limit", limit=1, per=per, clock=lambda: mine) == per


class Machine:
    """A handle on the queue as another machine has it, whose clock nobody else can read."""

    def __init__(self, make_redis: Any, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        self.storage = make_redis().storage
        self.supervisor, self.dispatcher = (Identity(f"{host}/pid:[1]", pid, "1") for pid in (1, 2))
        self._patch = monkeypatch

    def __enter__(self) -> RedisStorage:
        """Be on it."""
        self._patch.setattr("liteq.storage.redis.consumers.own_identity", lambda: self.supervisor)
        for module in ("messages", "locks"):
            boot = self.supervisor.host.partition("/")[0]
            self._patch.setattr(f"liteq.storage.redis.{module}.boot", lambda: boot)
        return self.storage

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def start(self) -> int:
        """A consumer that works."""
        with self as storage:
            owner = storage.register(self.supervisor)
            storage.attend(owner, self.dispatcher)
            storage.renew(owner, clock.MINUTE)
        return owner

    def fall_silent(self, owner: int) -> None:
        """As if it had told nothing for long."""
        with self as storage:
            storage.renew(owner, 0)


@pytest.fixture
def there(make_redis, monkeypatch):
    return Machine(make_redis, monkeypatch, "another-boot")


def test_a_consumer_of_another_host_that_is_silent_for_too_long_is_struck_off(make_redis, there):
    huey = make_redis()
    storage = huey.storage
    lost, here = there.start(), storage.register(own_identity())
    storage.renew(here, 0)
    recover(huey, here)
    assert set(storage.consumers()) == {lost, here}, (
        "one has time left, the other's processes can be looked at"
    )
    assert {one.number: one.state for one in look_at(storage).consumers} == {
        lost: "elsewhere",
        here: "running",
    }
    there.fall_silent(lost)
    assert storage.lapsed() == {lost}
    assert {one.number: one.state for one in look_at(storage).consumers} == {lost: "silent", here: "running"}
    storage.unregister(here)
    assert not look_at(storage).is_served
    here = storage.register(own_identity())
    storage.renew(here, 0)
    with there as theirs:
        assert theirs.lapsed() == {here}
    recover(huey, here)
    assert set(storage.consumers()) == {here}
    assert storage.lapsed() == set()


def test_one_that_has_never_told_is_not_taken_for_dead(make_redis, there):
    huey = make_redis()
    with there as theirs:
        owner = theirs.register(there.supervisor)
    recover(huey, huey.storage.register(own_identity()))
    assert owner in huey.storage.consumers()


def test_one_that_has_claims_is_not_struck_off_before_they_are_taken_over(make_redis, there):
    huey = make_redis()
    storage = huey.storage
    lost, here = there.start(), storage.register(own_identity())
    storage.put([message("a")], clock.now())
    with there as theirs:
        theirs.claim(lost, 1, now=clock.now(), lease=clock.monotonic() + clock.MINUTE)
    there.fall_silent(lost)
    assert recover(huey, here) == 0
    assert lost in storage.consumers()
    with there as theirs:
        theirs.extend(lost, clock.monotonic() - 1)
    assert recover(huey, here) == 1
    assert lost not in storage.consumers()
    assert storage.pending() == [b"a"]


def test_one_that_was_only_frozen_is_there_again_and_what_it_held_is_not_its_own_any_more(make_redis, there):
    huey = make_redis()
    storage = huey.storage
    frozen, here = there.start(), storage.register(own_identity())
    storage.put([message("a", at_most_once=True), message("b")], clock.now())
    with there as theirs:
        before = theirs.claim(frozen, 2, now=clock.now(), lease=clock.monotonic() - 1)
        lock = Holder("lock", "token", there.supervisor, before[1].key, None)
        assert theirs.acquire_lock(lock, limit=1, now=clock.monotonic())
    there.fall_silent(frozen)
    assert recover(huey, here) == 2
    with there as theirs:
        theirs.renew(frozen, clock.MINUTE)
        assert theirs.extend(frozen, clock.monotonic() + clock.MINUTE) == 0
        assert theirs.settle([done(claim) for claim in before], clock.now()) == [False, False]
        assert not theirs.acquire_lock(lock, limit=1, now=clock.monotonic())
        assert theirs.locks(now=clock.monotonic()) == []
    assert storage.consumers()[frozen] == (there.supervisor, there.dispatcher)
    assert [dead.id for dead in storage.dead()] == ["a"]
    assert storage.pending() == [b"b"]


def test_a_dispatcher_that_takes_over_enters_its_consumer_again(make_redis, there, monkeypatch):
    frozen, storage = there.start(), make_redis().storage
    successor = Machine(make_redis, monkeypatch, "another-boot")
    with successor as theirs:
        theirs.renew(frozen, 0)
    assert list(storage.unregister_lapsed()) == [frozen]
    with successor as theirs:
        theirs.renew(frozen, clock.MINUTE)
    assert storage.consumers() == {frozen: (there.supervisor, there.dispatcher)}


def test_no_number_comes_again_though_the_server_forgets_all(own_redis, caplog):
    client = redis.Redis(unix_socket_path=str(own_redis.socket), password="secret")
    storage = RedisStorage("q", url=own_redis.url, password="secret")
    owner = storage.register(own_identity())
    storage.put([message("a"), message("b")], clock.now())
    (lost,) = turn(storage, owner).claims
    client.flushall()
    storage.put([message("c")], clock.now())
    assert turn(storage, owner, lost).held == [False]
    assert caplog.text.count("has forgotten what it had confirmed") == 1
    assert list(storage.consumers()) == [owner]
    storage.put([message("d")], clock.now())
    assert turn(storage, owner).claims[0].seq > lost.seq
    assert storage.register(own_identity()) > owner
    assert turn(storage, owner).held == []
    assert caplog.text.count("has forgotten what it had confirmed") == 1
    client.close()


def test_who_is_struck_off_is_known_by_its_turns_if_it_goes_on(make_redis, there):
    storage = make_redis().storage
    frozen = there.start()
    with there as theirs:
        turn(theirs, frozen)
    there.fall_silent(frozen)
    assert list(storage.unregister_lapsed()) == [frozen]
    with there as theirs:
        theirs._turns.numbers = itertools.count(1)
        with pytest.raises(StorageBusy):
            turn(theirs, frozen)


def test_consumers_tell_that_they_work_though_the_memory_is_used_up(own_redis):
    client = redis.Redis(unix_socket_path=str(own_redis.socket), password="secret")
    storage = RedisStorage("q", url=own_redis.url, password="secret")
    owner = storage.register(own_identity())
    storage.put([message("a")], clock.now())
    storage.claim(owner, 1, now=clock.now(), lease=0)
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    with pytest.raises(StorageFull):
        storage.put([message("b")], clock.now())
    storage.renew(owner, clock.MINUTE)
    assert storage.extend(owner, clock.monotonic() + clock.MINUTE) == 1
    client.close()


# Processes and threads


def test_a_forked_child_has_connections_of_its_own(make_redis):
    huey = make_redis()
    task = huey.task()(max)
    task(1, 2)
    wakeup = huey.storage.results_wakeup()
    ticket = wakeup.ticket()
    pid = os.fork()
    if pid == 0:
        try:
            task(3, 4)
            huey.put("key", "of the child")
            os._exit(len(huey))
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert wakeup.wait(ticket, 30)
    assert len(huey) == 2
    assert huey.get("key") == "of the child"


def test_threads_have_connections_of_their_own(make_redis):
    huey = make_redis()
    task = huey.task()(max)
    threads = [threading.Thread(target=lambda: [task(1, 2) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(huey) == 400


def test_a_connection_that_the_server_has_closed_is_replaced(shared_redis, make_redis):

    huey = make_redis()
    task = huey.task()(max)
    client = redis.Redis.from_url(shared_redis.url)
    for number in range(10):
        task(1, 2)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert len(huey) == number + 1
    client.close()


def test_an_unknown_end_is_an_error_and_not_tried_again(own_redis):
    huey = RedisHuey("q", url=own_redis.url, password="secret", socket_timeout=0.2)
    task = huey.task()(max)
    task(1, 2)
    os.kill(own_redis.process.pid, 19)
    try:
        with pytest.raises(StorageUnreachable, match="whether the call had an effect is not known"):
            task(1, 2)
    finally:
        os.kill(own_redis.process.pid, 18)


# Semaphores


def test_a_semaphore_by_huey_s_name(make_redis):
    semaphore = RedisSemaphore(make_redis(), "s", 2)
    first, second = semaphore.acquire(), semaphore.acquire()
    assert semaphore.acquire() is None
    assert sorted(semaphore.holders()) == sorted([first, second])
    assert RedisSemaphore(make_redis(), "s", 2).release(first)
    assert semaphore.acquire() is not None
