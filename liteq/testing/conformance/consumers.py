"""The register of consumers."""

from __future__ import annotations

from liteq.storage.base import Storage
from liteq.testing.conformance.building import identity


def test_a_registered_consumer_is_listed_until_it_is_struck_off(storage: Storage) -> None:
    assert storage.consumers() == {}
    first, second = storage.register(identity(1)), storage.register(identity(2))
    assert storage.consumers() == {first: (identity(1), None), second: (identity(2), None)}
    storage.unregister(first)
    storage.unregister(first)
    assert storage.consumers() == {second: (identity(2), None)}


def test_one_process_may_register_twice(storage: Storage) -> None:
    first, second = storage.register(identity(1)), storage.register(identity(1))
    assert first != second
    assert storage.consumers() == {first: (identity(1), None), second: (identity(1), None)}


def test_the_last_process_that_attends_is_noted(storage: Storage) -> None:
    first, second = storage.register(identity(1)), storage.register(identity(2))
    storage.attend(first, identity(11))
    storage.attend(first, identity(12))
    assert storage.consumers() == {first: (identity(1), identity(12)), second: (identity(2), None)}


def test_an_owner_that_is_not_registered_is_not_attended(storage: Storage) -> None:
    owner = storage.register(identity(1))
    storage.unregister(owner)
    storage.attend(owner, identity(11))
    assert storage.consumers() == {}


def test_the_id_of_an_owner_is_never_used_again(storage: Storage) -> None:
    seen = set()
    for pid in range(5):
        owner = storage.register(identity(pid))
        assert owner not in seen
        seen.add(owner)
        storage.unregister(owner)
        storage.flush()
        storage.close()


def test_a_flush_leaves_the_consumers_that_live_on(storage: Storage) -> None:
    owner = storage.register(identity(1))
    storage.flush()
    assert storage.consumers() == {owner: (identity(1), None)}
