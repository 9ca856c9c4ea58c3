"""Times, as applications convert them by hand."""
# ruff: noqa: DTZ001 -- naive datetimes are what it is about

from datetime import UTC, datetime, timedelta, timezone

import pytest

from liteq import utils
from liteq.clock import to_us

NOON = datetime(2026, 7, 1, 12)
IN_BERLIN = NOON.replace(tzinfo=timezone(timedelta(hours=2)))


def test_is_naive():
    assert utils.is_naive(NOON)
    assert not utils.is_naive(IN_BERLIN)


def test_to_utc(new_york):
    assert utils.local_to_utc(NOON) == datetime(2026, 7, 1, 16)
    assert utils.aware_to_utc(IN_BERLIN) == datetime(2026, 7, 1, 10)
    assert utils.normalize_time(eta=IN_BERLIN) == datetime(2026, 7, 1, 10)


def test_to_local(new_york):
    assert utils.make_naive(NOON) == datetime(2026, 7, 1, 8)
    assert utils.make_naive(IN_BERLIN) == datetime(2026, 7, 1, 6)


def test_now(clock):
    assert to_us(utils.utcnow()) == clock.now
    assert utils.normalize_expire_time(60) == utils.utcnow() + timedelta(minutes=1)
    assert utils.normalize_expire_time(IN_BERLIN) == datetime(2026, 7, 1, 10)
    assert utils.normalize_expire_time(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1)
    assert utils.normalize_expire_time(None) is None


@pytest.mark.parametrize("name", utils.__all__)
def test_the_names_are_there(name):
    assert hasattr(utils, name)
