"""A slot of a periodic task fires once: at its start, or late, but never twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from liteq import SqliteHuey, clock
from liteq.workers.beat import Beat

from .consumer import get, wait_until

MINUTE = clock.MINUTE
NOON = clock.to_us(datetime(2030, 1, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def new_huey(tmp_path):
    """Makes further queues on one file, as further processes would."""
    hueys = []

    def new():
        huey = SqliteHuey(filename=tmp_path / "queue.db")
        huey.periodic_task(lambda moment: True, name="tick")(lambda: None)
        hueys.append(huey)
        return huey

    yield new
    for huey in hueys:
        huey.storage.close()


class Ticker:
    """A consumer's beat at times of the test's choice."""

    def __init__(self, huey, now):
        self.huey = huey
        self.beat = Beat(huey, enabled=True)
        self.beat.start(now)

    def look(self, now) -> int:
        """How many tasks it enqueues."""
        before = self.huey.pending_count()
        with self.huey.storage.batch():
            self.beat.fire(now)
        self.beat.fired(now)
        return self.huey.pending_count() - before


def seconds(number):
    return NOON + int(number * clock.SECOND)


def test_the_first_start_ever_waits_for_the_next_slot(new_huey):
    ticker = Ticker(new_huey(), seconds(30))
    assert [ticker.look(seconds(at)) for at in (30, 31, 59.9, 60, 61)] == [0, 0, 0, 1, 0]


def test_a_slot_fires_once_however_often_it_is_looked_at(new_huey):
    ticker = Ticker(new_huey(), seconds(0))
    assert sum(ticker.look(seconds(60 + at / 10)) for at in range(600)) == 1
    assert ticker.beat.next_due() == NOON + 2 * MINUTE


def test_a_slot_fires_once_in_all_consumers_together(new_huey):
    tickers = [Ticker(new_huey(), seconds(0)) for _ in range(3)]
    assert sum(ticker.look(seconds(at)) for at in (60, 60.1, 61, 119) for ticker in tickers) == 1
    assert sum(ticker.look(seconds(at)) for at in (120, 121) for ticker in reversed(tickers)) == 1


def test_a_restart_within_the_slot_does_not_repeat_it(new_huey):
    assert [Ticker(new_huey(), seconds(0)).look(seconds(at)) for at in (60,)] == [1]
    assert [Ticker(new_huey(), seconds(at)).look(seconds(at)) for at in (61, 90, 119)] == [0, 0, 0]


def test_a_restart_across_the_boundary_fires_late_and_once(new_huey):
    Ticker(new_huey(), seconds(30))
    ticker = Ticker(new_huey(), seconds(75))
    assert [ticker.look(seconds(at)) for at in (75, 76, 100)] == [1, 0, 0]


def test_a_long_pause_fires_once(new_huey):
    ticker = Ticker(new_huey(), seconds(0))
    assert [ticker.look(seconds(at)) for at in (60, 3600, 3601, 3660)] == [1, 1, 0, 1]


def test_a_clock_that_is_set_back_repeats_nothing(new_huey):
    ticker = Ticker(new_huey(), seconds(0))
    assert ticker.look(seconds(300)) == 1
    assert [ticker.look(seconds(at)) for at in (299, 240, 180, 0, 299, 300, 359)] == [0] * 7
    assert Ticker(new_huey(), seconds(120)).look(seconds(120)) == 0
    assert [ticker.look(seconds(at)) for at in (360, 361)] == [1, 0]


def test_the_moment_is_the_start_of_the_slot(new_huey):
    huey = new_huey()
    moments = []
    huey.periodic_task(moments.append, name="watched")(lambda: None)
    Ticker(huey, seconds(0)).look(seconds(65))
    assert moments == [clock.from_us(NOON + MINUTE)]


def test_one_that_raises_does_not_keep_the_others(new_huey):
    huey = new_huey()
    huey.periodic_task(lambda moment: 1 / 0, name="broken")(lambda: None)
    huey.periodic_task(lambda moment: True, name="tock")(lambda: None)
    assert Ticker(huey, seconds(0)).look(seconds(60)) == 2


def test_a_batch_that_fails_leaves_the_slot(new_huey):
    ticker = Ticker(new_huey(), seconds(0))
    with pytest.raises(TypeError), ticker.huey.storage.batch():
        ticker.beat.fire(seconds(60)) + None
    assert ticker.look(seconds(60.3)) == 1


def test_without_periodic_tasks_there_is_nothing_to_wait_for(tmp_path):
    huey = SqliteHuey(filename=tmp_path / "queue.db")
    beat = Beat(huey, enabled=True)
    beat.start(NOON)
    assert beat.next_due() is None
    huey.storage.close()


# With real consumers: the slot before this one is noted as fired, so the present one is due at the start.

TICK = """
@huey.periodic_task(lambda moment: True)
def tick():
    note("tick")
    return 1
"""


def this_slot():
    return clock.now() // MINUTE


def test_consumers_fire_a_slot_once_between_them(declare, consume):
    app = declare(TICK)
    first = this_slot()
    app.huey.storage.know_slot("app.tick", first - 1)
    consumers = [consume(), consume()]
    wait_until(lambda: "tick" in app.notes())
    assert consumers.pop().stop() == 0
    consume()
    assert get(app.add(1, 2)) == 3
    assert 1 <= len(app.notes()) <= 1 + this_slot() - first
    assert app.huey.result_count() == 0


def test_none_by_option(declare, consume):
    app = declare(TICK)
    app.huey.storage.know_slot("app.tick", this_slot() - 1)
    consumer = consume("-n")
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0
    assert app.notes() == []
    assert app.huey.pending_count() == 0
