"""Any sequence of verbs does to a backend what it does to the model."""

from __future__ import annotations

import itertools
from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from liteq.messages import Claim, ClaimKey, Join, Message, Revocation
from liteq.storage.base import Holder, Instant, Storage, Taken
from liteq.testing.conformance.building import LEASE, NOW, SECOND, identity, message, settlement
from liteq.testing.conformance.drawing import (
    NAMES,
    RECENT,
    batches,
    ends,
    ids,
    keys,
    locks,
    outcomes,
    revocation,
)
from liteq.testing.conformance.fixtures import MakeStorage
from liteq.testing.conformance.model import CLAIMED, DEAD, READY, SCHEDULED, WAITING, Model, Row


class Comparison(RuleBasedStateMachine):
    """The model and a backend, given the same verbs."""

    make_storage: MakeStorage
    names = itertools.count()

    @initialize()
    def open(self) -> None:
        self.storage: Storage = self.make_storage(f"example-{next(self.names)}")  # none has been used before
        self.model = Model()
        self.owners = [self.storage.register(identity(pid)) for pid in (1, 2)]
        self.now, self.monotonic = NOW, LEASE
        self.used = 0
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            self.storage.close()

    def fresh(self, batch: list[dict[str, object]]) -> list[Message]:
        """Messages with ids of their own, some of which are those that everything else is about."""
        made = []
        ranked = self.storage.capabilities.priorities
        for values in batch:
            made.append(message(f"id{self.used}", **(values if ranked else {**values, "priority": 0})))
            self.used += 1
        return made

    def real(self, id: str) -> str:
        """An id that was used lately, for a drawn one."""
        return f"id{self.used - 1 - int(id.removeprefix('recent'))}"

    def key(self, key: str) -> str:
        """The key of a revocation, for a drawn one."""
        return key if key.startswith("rt:") else f"r:{self.real(key)}"

    # Verbs

    @rule(seconds=st.integers(0, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND
        self.monotonic += seconds * SECOND

    @rule(batch=batches)
    def put(self, batch: list[dict[str, object]]) -> None:
        messages = self.fresh(batch)
        self.storage.put(messages, self.now)
        self.model.put(messages, self.now)

    @rule(who=st.integers(0, 1), limit=st.integers(0, 4), startable=st.none() | st.integers(0, 2))
    def claim(self, who: int, limit: int, startable: int | None) -> None:
        lease = self.monotonic + 3 * SECOND
        claimed = self.storage.claim(self.owners[who], limit, now=self.now, lease=lease, startable=startable)
        expected = self.model.claim(self.owners[who], limit, self.now, lease, startable)
        assert [seen(claim) for claim in claimed] == [wanted(row) for row in expected]
        self.claims.extend(claimed)

    @rule(who=st.integers(0, 1), id=ids)
    def claim_one(self, who: int, id: str) -> None:
        lease = self.monotonic + 3 * SECOND
        only = self.real(id)
        claimed = self.storage.claim(self.owners[who], 4, now=self.now, lease=lease, only=only)
        expected = self.model.claim(self.owners[who], 4, self.now, lease, None, only)
        assert [seen(claim) for claim in claimed] == [wanted(row) for row in expected]
        self.claims.extend(claimed)

    @rule(some=st.lists(ids, max_size=3, unique=True))
    def withdraw(self, some: list[str]) -> None:
        wanted = {self.real(id) for id in some}
        rows = [
            row
            for row in self.model.of(READY, SCHEDULED)
            if row.message.id in wanted
            and not row.message.chain
            and row.message.joins is None
            and row.message.gathers is None
        ]
        assert self.storage.withdraw(sorted(wanted)) == {row.message.id for row in rows}
        self.model.rows = [row for row in self.model.rows if row not in rows]

    @rule(data=st.data(), batch=batches, outcome=outcomes)
    def settle(self, data: st.DataObject, batch: list[dict[str, object]], outcome: dict[str, object]) -> None:
        if not self.claims:
            return
        active = [claim for claim in self.claims if self.model.holder(claim, claim.key)]
        claim = data.draw(st.sampled_from([*active, *self.claims[-2:]]), "claim, perhaps one that has ended")
        later = data.draw(st.sampled_from([0, 0, 0, 1]), "attempts that nobody has had")
        key = ClaimKey(claim.seq, claim.attempt + later, claim.owner)
        places = {row.message.id: row.message.gathers or 0 for row in self.model.of(WAITING)}
        chords = st.lists(st.tuples(st.sampled_from([*places, self.real("recent0")]), ends), max_size=3)
        joins = tuple(
            Join(chord, *end)
            for chord, end in data.draw(chords, "ends of members")
            if end[0] < places.get(chord, 1)  # a place that the callback has
        )
        end = settlement(key, messages=tuple(self.fresh(batch)), joins=joins, **outcome)
        row = self.model.holder(claim, key)
        assert self.storage.settle([end], self.now) == [row is not None]
        if row is not None:
            self.model.settle(row, end, self.now)
            self.model.locks = [lock for lock in self.model.locks if lock.claim != key]

    @rule(who=st.integers(0, 1))
    def extend(self, who: int) -> None:
        lease = self.monotonic + 4 * SECOND
        held = [row for row in self.model.of(CLAIMED) if row.owner == self.owners[who]]
        assert self.storage.extend(self.owners[who], lease) == len(held)
        for row in held:
            row.lease = lease

    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        dead = [row.message.id for row in self.model.of(DEAD)]
        some = data.draw(st.lists(st.sampled_from([*dead, self.real("recent0")]), max_size=3), "dead and not")
        assert self.storage.revive(some) == self.model.revive(some)

    @rule(data=st.data())
    def delete_dead(self, data: st.DataObject) -> None:
        dead = [row.message.id for row in self.model.of(DEAD)]
        some = data.draw(st.lists(st.sampled_from([*dead, self.real("recent0")]), max_size=2), "dead and not")
        assert self.storage.delete_dead(some) == self.model.delete_dead(some)

    @rule(name=st.sampled_from([None, *NAMES]))
    def pause(self, name: str | None) -> None:
        assert self.storage.pause(name) == (name not in self.model.paused)
        self.model.paused.add(name)

    @rule(name=st.sampled_from([None, *NAMES]))
    def resume(self, name: str | None) -> None:
        assert self.storage.resume(name) == (name in self.model.paused)
        self.model.paused.discard(name)

    @rule(key=keys, value=revocation)
    def revoke(self, key: str, value: Revocation) -> None:
        key = self.key(key)
        self.storage.revoke(key, value)
        self.model.revocations[key] = value

    @rule(key=keys)
    def restore(self, key: str) -> None:
        key = self.key(key)
        assert self.storage.restore(key) == (self.model.revocations.pop(key, None) is not None)

    @rule(key=ids, value=st.binary(max_size=3))
    def put_result(self, key: str, value: bytes) -> None:
        self.storage.put_result(key, value)
        self.model.results[key] = value

    @rule(key=ids)
    def pop_result(self, key: str) -> None:
        assert self.storage.pop_result(key) == self.model.results.pop(key, None)

    @rule(data=st.data(), who=locks, limit=st.integers(1, 2), seconds=st.none() | st.integers(1, 6))
    def acquire(self, data: st.DataObject, who: Holder, limit: int, seconds: int | None) -> None:
        active = [claim for claim in self.claims if self.model.holder(claim, claim.key)]
        claim = data.draw(st.sampled_from([None, *active, *self.claims[-2:]]), "the process, or an attempt")
        expires = None if seconds is None else self.monotonic + seconds * SECOND
        holder = who._replace(claim=claim and claim.key, expires=expires)
        valid = claim is None or self.model.holder(claim, claim.key) is not None
        expected = valid and self.model.acquire(holder, limit, self.monotonic)
        assert self.storage.acquire_lock(holder, limit=limit, now=self.monotonic) is expected

    @rule(who=locks)
    def release(self, who: Holder) -> None:
        expected = self.model.release(who, self.monotonic)
        assert self.storage.release_lock(who, now=self.monotonic) is expected

    @rule(who=locks, seconds=st.none() | st.integers(1, 6))
    def renew(self, who: Holder, seconds: int | None) -> None:
        held = [lock for lock in self.model.held(self.monotonic) if lock[:3] == who[:3]]
        expires = None if seconds is None else self.monotonic + seconds * SECOND
        renewed = self.storage.renew_lock(who._replace(expires=expires), now=self.monotonic)
        assert renewed is bool(held)
        for lock in held:
            self.model.locks[self.model.locks.index(lock)] = lock._replace(expires=expires)

    @rule(names=st.none() | st.lists(st.sampled_from("ab"), max_size=2))
    def clear(self, names: list[str] | None) -> None:
        held = self.model.held(self.monotonic)
        self.model.locks = [lock for lock in held if names is not None and lock.name not in names]
        cleared = {lock.name for lock in held} - {lock.name for lock in self.model.locks}
        assert self.storage.clear_locks(names, now=self.monotonic) == cleared

    @rule()
    def prune(self) -> None:
        """It changes nothing that can be seen."""
        self.storage.prune(2, now=Instant("boot", self.monotonic, self.now), monotonic=self.monotonic)

    @rule()
    def take_due(self) -> None:
        due = [row for row in self.model.scheduled() if row.message.due <= self.now]
        assert self.storage.take_due(self.now) == [
            Taken(row.message.data, None if row.message.gathers is None else row.all_ends()) for row in due
        ]
        self.model.rows = [row for row in self.model.rows if row not in due]

    @rule()
    def fail_in_a_batch(self) -> None:
        """What a durable backend did in a batch that raised has not happened."""
        if not self.storage.capabilities.durable:
            return
        with suppress(ZeroDivisionError), self.storage.batch():
            self.storage.put([message("never")], self.now)
            self.storage.claim(self.owners[0], 2, now=self.now, lease=self.monotonic)
            1 / 0

    # What can be seen of it

    @invariant()
    def the_same_has_ended(self) -> None:
        for claim in getattr(self, "claims", []):
            row = self.model.holder(claim, claim.key)
            assert self.storage.ends_of(claim.key) == (None if row is None else row.all_ends())

    @invariant()
    def the_same_is_seen(self) -> None:
        if not hasattr(self, "storage"):
            return
        storage, model = self.storage, self.model
        assert storage.pending() == [row.message.data for row in model.ready()]
        assert storage.scheduled() == [row.message.data for row in model.scheduled()]
        assert storage.pending_count() == len(model.of(READY))
        assert storage.scheduled_count() == len(model.of(SCHEDULED))
        assert storage.waiting_count() == len(model.of(WAITING))
        assert storage.running_count() == len(model.of(CLAIMED))
        assert {(dead.id, dead.attempts, dead.crashes) for dead in storage.dead()} == {
            (row.message.id, row.attempt, row.crashes) for row in model.of(DEAD)
        }
        assert storage.next_due() == min((row.message.due for row in model.of(SCHEDULED)), default=None)
        top = max((row.message.priority for row in model.claimable()), default=None)
        paused = {row.message.priority for row in model.ready() if row.message.name in model.paused}
        assert storage.top_priority() in {top} | (paused if None not in model.paused else set())
        assert storage.paused() == model.paused
        assert storage.results() == model.results
        assert storage.revocations(sorted(model.revocations)) == model.revocations
        known = {f"id{number}" for number in range(self.used - RECENT, self.used)}
        known |= {f"recent{number}" for number in range(RECENT)}  # as they stand in chains
        assert {id for id in known if storage.is_live(id)} == {id for id in known if model.is_live(id)}

    @invariant()
    def the_same_became_of_it(self) -> None:
        if not hasattr(self, "storage"):
            return
        entries = [(entry.id, entry.attempt, entry.status) for entry in reversed(self.storage.history())]
        assert entries == self.model.history
        assert self.storage.counts() == tuple(
            len(self.model.of(state)) for state in (READY, SCHEDULED, CLAIMED, DEAD, WAITING)
        )
        for number in range(self.used - RECENT, self.used):
            state = self.storage.standing(f"id{number}").state
            assert ("" if state == "chained" else state) == self.model.state(f"id{number}")

    @invariant()
    def the_same_is_held(self) -> None:
        if not hasattr(self, "storage"):
            return
        for owner in self.owners:
            held = [seen(claim) for claim in self.storage.held(owner)]
            rows = [row for row in self.model.of(CLAIMED) if row.owner == owner]
            rows.sort(key=lambda row: (-row.message.priority, row.place))
            assert held == [wanted(row) for row in rows]
        expired = {row.message.id for row in self.model.of(CLAIMED) if row.lease <= self.monotonic}
        assert {claim.id for claim in self.storage.expired(self.monotonic)} == expired
        assert self.storage.locks(now=self.monotonic) == self.model.held(self.monotonic)


def seen(claim: Claim) -> tuple[object, ...]:
    return (
        claim.id, claim.attempt, claim.owner, claim.priority, claim.crashes, claim.revoked, claim.chain,
        claim.joins, claim.gathers,
    )  # fmt: skip


def wanted(row: Row) -> tuple[object, ...]:
    return (
        row.message.id, row.attempt, row.owner, row.message.priority, row.crashes, row.revoked,
        row.message.chain, row.message.joins, row.message.gathers,
    )  # fmt: skip


def test_a_backend_does_what_the_model_does(make_storage: MakeStorage) -> None:
    machine = type("ComparisonOfBackend", (Comparison,), {"make_storage": staticmethod(make_storage)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
