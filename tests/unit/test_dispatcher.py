"""When the dispatcher looks at the rings of workers that have not rung."""

from __future__ import annotations

import os

import pytest

from liteq import SqliteHuey, clock
from liteq.identity import identify
from liteq.workers import notices
from liteq.workers.control import Control
from liteq.workers.dispatcher import Dispatcher
from liteq.workers.options import ConsumerOptions
from liteq.workers.rings import QUIET, Rings
from liteq.workers.shared import Board
from liteq.workers.wire import Report, pack_report, packet_pair


@pytest.fixture
def rings() -> Rings:
    return Rings(1)


@pytest.fixture
def dispatcher(filename, rings):
    """One with a worker, which has nothing else to do."""
    huey = SqliteHuey(filename=filename)
    ours, theirs = packet_pair()
    dispatcher = Dispatcher(
        huey, ConsumerOptions(workers=1), huey.storage.register(identify()), Control(ours), Board(1), rings
    )
    dispatcher._crew.attach(notices.Attach(1, 0, os.getpid()), *packet_pair())
    dispatcher._turn()
    yield dispatcher
    for worker in dispatcher._pool:
        worker.close()
    dispatcher._watch.close()
    dispatcher._selector.close()
    huey.storage.close()
    ours.close()
    theirs.close()


def test_it_looks_once_more_after_a_report_whatever_else_arrives_meanwhile(dispatcher, rings):
    """For what a worker with more in hand reports next, it does not ring."""
    assert rings.write(0, pack_report(Report(7, 1, 0, None)))
    heard = clock.monotonic()
    dispatcher._collect([])
    while dispatcher._look_again_at is not None:
        dispatcher._collect([])  # something else wakes it
    assert clock.monotonic() >= heard + QUIET
