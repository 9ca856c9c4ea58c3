"""What several queues, several connections and several verbs at once see of each other."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable

import pytest

from liteq.messages import Disposition, Revocation
from liteq.storage.base import Storage, WakeSource
from liteq.testing.conformance.building import (
    LEASE,
    NOW,
    PATIENCE,
    claim,
    claim_one,
    counts,
    identity,
    ids,
    message,
    put,
    settle,
    settlement,
)


class Boom(Exception):
    """Raised to end a batch."""


def fill(storage: Storage, owner: int) -> None:
    """Put something into every corner of a queue."""
    put(storage, "dead", "claimed")
    dead, _ = claim(storage, owner)
    settle(storage, dead.key, Disposition.DEAD)
    put(storage, message("ready", chain=("next",)), message("scheduled", due=NOW + 1))
    storage.put_result("key", b"value")
    storage.revoke("r:ready", Revocation())
    storage.take_slot("app.tick", 60)


def contents(storage: Storage, owner: int) -> object:
    """Everything that can be seen of a queue."""
    return (
        counts(storage), storage.pending(), storage.scheduled(), storage.dead(), storage.held(owner),
        storage.results(), storage.revocations(["r:ready"]), storage.next_due(),
        [storage.is_live(id) for id in ("ready", "next", "scheduled", "claimed", "dead")],
    )  # fmt: skip


# Queues


def test_a_flush_empties_the_queue(storage: Storage, owner: int) -> None:
    empty = contents(storage, owner)
    fill(storage, owner)
    assert contents(storage, owner) != empty
    storage.flush()
    assert contents(storage, owner) == empty
    put(storage, "ready")
    assert [(c.id, c.attempt, c.revoked) for c in claim(storage, owner)] == [("ready", 1, False)]


def test_a_flush_leaves_other_queues_alone(storage: Storage, neighbour: Storage) -> None:
    theirs = neighbour.register(identity(1))
    fill(neighbour, theirs)
    before = contents(neighbour, theirs)
    fill(storage, storage.register(identity(2)))
    storage.flush()
    assert contents(neighbour, theirs) == before
    assert not neighbour.take_slot("app.tick", 60)


def test_queues_do_not_see_each_other(storage: Storage, neighbour: Storage, owner: int) -> None:
    empty = contents(neighbour, owner)
    fill(storage, owner)
    assert contents(neighbour, owner) == empty
    assert claim(neighbour, owner, now=NOW + 1) == []
    assert neighbour.expired(LEASE) == []
    assert neighbour.extend(owner, LEASE) == 0
    assert neighbour.revive(["dead"]) == 0
    assert neighbour.take_due(NOW + 1) == []
    assert neighbour.consumers() == {}
    assert neighbour.take_slot("app.tick", 60)
    assert neighbour.pop_result("key") is None
    assert neighbour.restore("r:ready") is False
    assert counts(storage) == {"ready": 1, "scheduled": 1, "claimed": 1, "dead": 1}


def test_a_claim_is_settled_in_its_own_queue(storage: Storage, neighbour: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert neighbour.data_of(key) is None
    assert settle(neighbour, key, results=(("key", b"value"),)) is False
    assert neighbour.results() == {}
    assert settle(storage, key)


def test_the_same_ids_and_keys_in_two_queues(storage: Storage, neighbour: Storage, owner: int) -> None:
    theirs = neighbour.register(identity(9))
    put(storage, message("a", data=b"ours"))
    put(neighbour, message("a", data=b"theirs"))
    storage.put_result("a", b"ours")
    neighbour.put_result("a", b"theirs")
    storage.revoke("rt:app.task", Revocation(once=True))
    assert not claim_one(neighbour, theirs).revoked
    ours = claim_one(storage, owner)
    assert (ours.data, ours.revoked) == (b"ours", True)
    settle(storage, ours.key)
    assert neighbour.is_live("a")
    assert not storage.is_live("a")
    assert neighbour.pop_result("a") == b"theirs"
    assert storage.pop_result("a") == b"ours"


# Connections


def test_connections_share_one_queue(storage: Storage, second: Storage, owner: int) -> None:
    other = second.register(identity(2))
    assert other != owner
    assert storage.consumers() == second.consumers()
    fill(storage, owner)
    assert contents(second, owner) == contents(storage, owner)
    second.restore("r:ready")
    assert not claim_one(second, other).revoked
    (claimed,) = storage.held(owner)
    assert settle(second, claimed.key, results=(("from second", b"x"),))
    assert not settle(storage, claimed.key)
    assert storage.pop_result("from second") == b"x"
    assert second.pop_result("from second") is None
    assert not second.take_slot("app.tick", 60)
    assert not second.put_if_empty("key", b"other", now=NOW)


def test_a_revocation_reaches_the_claims_of_another_connection(
    storage: Storage, second: Storage, owner: int
) -> None:
    put(storage, "a", "b")
    second.revoke("rt:app.task", Revocation(once=True))
    assert [claimed.revoked for claimed in claim(storage, owner)] == [True, False]


def test_a_flush_takes_the_claims_of_another_connection(
    storage: Storage, second: Storage, owner: int
) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    second.flush()
    assert not settle(storage, key, results=(("key", b"value"),))
    assert second.results() == {}


def test_the_version_changes_when_another_connection_writes(storage: Storage, second: Storage) -> None:
    seen = [storage.version()]
    assert storage.version() == seen[0]
    for number in range(3):
        put(second, str(number))
        seen.append(storage.version())
    assert len(set(seen)) == 4


def test_the_version_notices_what_was_written_while_it_was_closed(storage: Storage, second: Storage) -> None:
    before = storage.version()
    storage.close()
    put(second, "a")
    assert storage.version() != before


def test_what_is_durable_outlives_its_connections(
    storage: Storage, open_queue: Callable[[], Storage], owner: int
) -> None:
    if not storage.capabilities.durable:
        pytest.skip("this backend keeps nothing")
    fill(storage, owner)
    before = contents(storage, owner)
    storage.close()
    reopened = open_queue()
    assert contents(reopened, owner) == before
    assert list(reopened.consumers()) == [owner]
    assert not reopened.take_slot("app.tick", 60)


# Waking consumers


def is_readable(source: WakeSource, timeout: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(source.fileno(), selectors.EVENT_READ)
        return bool(selector.select(timeout))


@pytest.mark.parametrize("through", ["storage", "second"])
def test_the_source_is_readable_when_there_is_work(
    request: pytest.FixtureRequest, second: Storage, source: WakeSource, through: str
) -> None:
    writer: Storage = request.getfixturevalue(through)
    assert not is_readable(source, 0)
    for id in ("a", "b"):
        put(writer, id)
        assert is_readable(source, PATIENCE)
        assert second.pending_count() > 0
        source.drain()
        assert not is_readable(source, 0)


def test_the_source_is_readable_when_work_comes_back(
    storage: Storage, second: Storage, source: WakeSource, owner: int
) -> None:
    put(storage, "back", "dead", "follow-up", message("later", due=NOW + 1))
    back, dead, done = claim(storage, owner)
    settle(storage, dead.key, Disposition.DEAD)
    for bring in (
        lambda: settle(second, back.key, Disposition.BACK),
        lambda: settle(second, done.key, messages=(message("b", due=NOW + 1),)),
        lambda: second.apply(settlement(done.key, messages=(message("c"),)), NOW),
        lambda: second.revive(["dead"]),
    ):
        source.drain()
        assert not is_readable(source, 0)
        bring()
        assert is_readable(source, PATIENCE)


# Batches


@pytest.mark.parametrize("durable", [True, False])
def test_a_batch_takes_effect_as_a_whole(storage: Storage, owner: int, durable: bool) -> None:
    put(storage, "a")
    with storage.batch(durable=durable):
        claimed = claim_one(storage, owner)
        assert settle(storage, claimed.key, messages=(message("b"),))
        again = claim_one(storage, owner)
        assert again.id == "b"
        storage.put_result("key", b"value")
        assert storage.peek_result("key") == b"value"
    assert storage.held(owner) == [again]
    assert storage.results() == {"key": b"value"}


def test_nobody_sees_half_a_batch(storage: Storage, owner: int) -> None:
    seen: list[list[str]] = []
    with storage.batch():
        put(storage, "a")
        other = threading.Thread(target=lambda: seen.append(ids(claim(storage, owner))))
        other.start()
        put(storage, "b")
    other.join(PATIENCE)
    assert seen in ([[]], [["a", "b"]])


def test_another_connection_sees_a_batch_when_it_is_over(storage: Storage, second: Storage) -> None:
    with storage.batch():
        put(storage, "a")
        storage.put_result("key", b"value")
        put(storage, "b")
        assert second.pending_count() == 0
        assert second.results() == {}
    assert second.pending() == [b"a", b"b"]
    assert second.results() == {"key": b"value"}


def test_sync_changes_nothing_that_can_be_seen(storage: Storage, owner: int) -> None:
    storage.sync()
    with storage.batch(durable=False):
        fill(storage, owner)
    before = contents(storage, owner)
    storage.sync()
    assert contents(storage, owner) == before


@pytest.mark.parametrize("durable", [True, False])
def test_a_batch_that_raises_has_no_effect(storage: Storage, owner: int, durable: bool) -> None:
    if not storage.capabilities.durable:
        pytest.skip("this backend undoes nothing")
    fill(storage, owner)
    before = contents(storage, owner)
    (claimed,) = storage.held(owner)

    def change_everything() -> None:
        with storage.batch(durable=durable):
            put(storage, "new", message("later", due=NOW + 2))
            assert settle(storage, claimed.key, results=(("done", b"x"),), messages=(message("next"),))
            assert len(claim(storage, owner, now=NOW + 1)) == 4
            assert storage.pop_result("key") == b"value"
            assert storage.restore("r:ready")
            assert storage.revive(["dead"]) == 1
            assert storage.take_slot("app.tick", 61)
            storage.register(identity(3))
            raise Boom

    with pytest.raises(Boom):
        change_everything()
    assert contents(storage, owner) == before
    assert storage.take_slot("app.tick", 61)
    assert list(storage.consumers()) == [owner]
    assert settle(storage, claimed.key)


def test_the_queue_works_on_after_a_batch_that_raised(storage: Storage, owner: int) -> None:
    for _ in range(3):
        with pytest.raises(Boom), storage.batch():
            raise Boom
    put(storage, "a")
    with storage.batch():
        assert settle(storage, claim_one(storage, owner).key)
    assert counts(storage) == {}


# Threads that were stopped at a step of a batch


def test_a_batch_that_was_stopped_before_its_end_is_undone(storage: Storage) -> None:
    if not storage.capabilities.durable:
        pytest.skip("there is nothing to undo in memory")
    put(storage, "before")
    batch = storage.batch()
    batch.__enter__()
    put(storage, "within")
    del batch  # its end never comes
    storage.abandon()
    storage.abandon()
    put(storage, "after")
    assert storage.pending() == [b"before", b"after"]


def test_nothing_is_undone_that_has_ended(storage: Storage) -> None:
    with storage.batch():
        put(storage, "within")
    storage.abandon()
    assert storage.pending() == [b"within"]
