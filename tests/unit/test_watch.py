"""When the dispatcher looks at storage."""

import select

import pytest

from liteq import SqliteHuey
from liteq.storage import bell
from liteq.workers.options import ConsumerOptions
from liteq.workers.watch import Watch

from .running import PATIENCE


@pytest.fixture
def open_watch(sqlite):
    opened = []

    def make(**options):
        opened.append(Watch(sqlite.storage, ConsumerOptions(**options)))
        return opened[-1]

    yield make
    for watch in opened:
        watch.close()


@pytest.fixture
def unwatchable(monkeypatch):
    def refuse(_path):
        raise OSError("no more watches")

    monkeypatch.setattr(bell, "FileWatch", refuse)


@pytest.fixture
def elsewhere(filename):
    """Another process, so to speak."""
    huey = SqliteHuey(filename=filename, durability="off")
    huey.task(name="add")(max)
    yield huey
    huey.storage.close()


def test_a_call_elsewhere_wakes(open_watch, elsewhere):
    watch = open_watch()
    assert select.select([watch.source], [], [], 0)[0] == []
    elsewhere.enqueue(elsewhere.registry.string_to_task("builtins.add")((1, 2)))
    assert select.select([watch.source], [], [], PATIENCE)[0] == [watch.source]
    watch.rang()
    assert select.select([watch.source], [], [], 0)[0] == []


def test_a_result_elsewhere_does_not_wake(open_watch, elsewhere):
    """Consumers wait for work, not for results."""
    watch = open_watch()
    elsewhere.put("k", 1)
    assert select.select([watch.source], [], [], 0.01)[0] == []


def test_with_a_watch_it_looks_for_itself_now_and_then(open_watch):
    watch = open_watch(delay=0.001, max_delay=0.002)
    assert watch.timeout() == 1.0
    for _ in range(5):
        watch.has_changed()
    assert watch.timeout() == 1.0


def test_where_nothing_can_be_watched_it_looks_at_growing_intervals(
    unwatchable, open_watch, sqlite, elsewhere
):
    watch = open_watch(delay=0.01, max_delay=0.05, backoff=2)
    assert watch.source is None
    watch.rang()
    assert watch.timeout() == 0.01
    assert watch.has_changed(), "everything is new at first"
    assert watch.timeout() == 0.01
    intervals = []
    for _ in range(4):
        assert not watch.has_changed()
        intervals.append(watch.timeout())
    assert intervals == pytest.approx([0.02, 0.04, 0.05, 0.05])
    elsewhere.put("k", 1)
    assert watch.has_changed()
    assert watch.timeout() == 0.01


def test_the_intervals_by_default(unwatchable, open_watch):
    watch = open_watch()
    first = watch.timeout()
    for _ in range(200):
        watch.has_changed()
    assert 0 < first <= 0.01
    assert first < watch.timeout() <= 0.1


def test_the_first_interval_is_never_longer_than_the_longest(unwatchable, open_watch):
    watch = open_watch(delay=5, max_delay=0.5)
    assert watch.timeout() == 0.5


def test_changes_of_others_are_seen(open_watch, elsewhere):
    watch = open_watch()
    watch.has_changed()
    assert not watch.has_changed()
    elsewhere.put("k", 1)
    assert watch.has_changed()
    assert not watch.has_changed()
