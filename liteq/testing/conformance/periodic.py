"""What is known of periodic tasks: the slots that have fired, and the timetable."""

from __future__ import annotations

import selectors

import pytest

from liteq.storage.base import Storage
from liteq.testing.conformance.building import NOW, SECOND, at_once, put

DAY = 86_400 * SECOND
THREADS = 8


def test_a_slot_is_taken_once_and_in_order(storage: Storage) -> None:
    assert storage.take_slot("app.tick", NOW)
    assert not storage.take_slot("app.tick", NOW)
    assert not storage.take_slot("app.tick", NOW - 1)
    assert storage.take_slot("app.tick", NOW + 1)
    assert storage.take_slot("app.tick", NOW + 1000 * SECOND)
    assert not storage.take_slot("app.tick", NOW + 999 * SECOND)


def test_a_slot_later_by_more_than_a_day_does_not_count(storage: Storage) -> None:
    assert storage.take_slot("app.tick", NOW + DAY)
    assert not storage.take_slot("app.tick", NOW)
    assert storage.take_slot("app.tick", NOW - 1)
    assert not storage.take_slot("app.tick", NOW - 1)
    assert storage.take_slot("app.tick", NOW)


def test_each_name_has_its_own_slots(storage: Storage) -> None:
    assert storage.take_slot("app.tick", 60)
    assert storage.take_slot("app.tock", 0)
    assert not storage.take_slot("app.tock", 0)
    assert storage.take_slot("app.tock", 60)


def test_a_known_slot_counts_as_taken(storage: Storage) -> None:
    assert storage.know_slot("app.tick", 60) == 60
    assert not storage.take_slot("app.tick", 60)
    assert storage.take_slot("app.tick", 61)
    assert storage.take_slot("app.tock", 0)


def test_a_slot_is_known_only_where_nothing_was_noted(storage: Storage) -> None:
    assert storage.take_slot("app.tick", 60)
    assert storage.know_slot("app.tick", 100) == 60
    assert storage.know_slot("app.tick", 0) == 60
    assert not storage.take_slot("app.tick", 60)
    assert storage.take_slot("app.tick", 61)


def test_a_forgotten_slot_can_be_taken_again(storage: Storage) -> None:
    storage.forget_slot("app.tick")
    assert storage.take_slot("app.tick", 60)
    assert storage.take_slot("app.tock", 60)
    storage.forget_slot("app.tick")
    assert storage.take_slot("app.tick", 60)
    assert not storage.take_slot("app.tock", 60)


def test_a_taken_slot_stays_taken(storage: Storage) -> None:
    assert storage.take_slot("app.tick", 60)
    storage.flush()
    storage.close()
    assert not storage.take_slot("app.tick", 60)


# The timetable


def test_an_entry_takes_the_place_of_the_one_that_is_named(storage: Storage) -> None:
    assert storage.entry("a") is None
    assert not storage.replace_entry("a", "old", "new")
    assert storage.replace_entry("a", None, "one")
    assert storage.entry("a") == "one"
    assert not storage.replace_entry("a", None, "two")
    assert storage.replace_entry("a", "one", "two")
    assert not storage.replace_entry("a", "one", None)
    assert storage.entries() == {"a": "two"}
    assert storage.replace_entry("a", "two", None)
    assert storage.entry("a") is None
    assert storage.entries() == {}
    assert not storage.replace_entry("a", "two", "three")


def test_entries_are_in_the_order_of_their_names(storage: Storage) -> None:
    for name in ("b", "ä", "a", "entry with spaces", "B"):
        assert storage.replace_entry(name, None, name * 2)
    assert list(storage.entries()) == ["B", "a", "b", "entry with spaces", "ä"]
    assert storage.entries()["ä"] == "ää"


def test_the_version_grows_with_each_change_and_with_nothing_else(storage: Storage) -> None:
    versions = [storage.timetable_version()]
    for old, new in ((None, "one"), ("one", "two"), ("two", None), (None, "one")):
        assert storage.replace_entry("a", old, new)
        versions.append(storage.timetable_version())
    assert versions == sorted(set(versions))
    storage.replace_entry("a", "x", "y")
    put(storage, "task")
    storage.take_slot("a", 1)
    storage.flush()
    assert storage.timetable_version() == versions[-1]


def test_a_flush_leaves_the_timetable(storage: Storage) -> None:
    storage.replace_entry("a", None, "one")
    storage.flush()
    storage.close()
    assert storage.entries() == {"a": "one"}


def test_each_queue_has_its_own_timetable(storage: Storage, neighbour: Storage) -> None:
    assert storage.replace_entry("a", None, "one")
    assert neighbour.entries() == {}
    assert neighbour.timetable_version() == 0
    assert neighbour.replace_entry("a", None, "two")
    assert storage.entry("a") == "one"


def test_other_connections_see_it(storage: Storage, second: Storage) -> None:
    before = second.timetable_version()
    storage.replace_entry("a", None, "one")
    assert second.entry("a") == "one"
    assert second.timetable_version() > before


def test_a_change_wakes_consumers(storage: Storage, second: Storage) -> None:
    source = second.work_source()
    if source is None:
        pytest.skip("this backend is polled")
    source.drain()
    storage.replace_entry("a", None, "one")
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        assert selector.select(30)
    source.close()


def test_of_several_that_replace_an_entry_at_once_one_does(storage: Storage) -> None:
    assert storage.replace_entry("count", None, "0")
    for number in range(10):
        done = at_once(
            THREADS, lambda _, number=number: storage.replace_entry("count", str(number), str(number + 1))
        )
        assert sum(done) == 1
    assert storage.entry("count") == "10"
