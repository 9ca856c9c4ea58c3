"""Floors: liteq beside the bare SQL in the same moment. They are broken by a collapse, not by a busy machine.

Each is about a quarter of what was measured, and the best of three tries counts. CPU time hardly depends on
what else the machine does; rates do, and have the lower floors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from liteq import SqliteHuey, clock
from liteq.identity import identify
from liteq.messages import Disposition, Message, Outcome, Settlement, new_id
from stress.bench import bare, system
from stress.bench.context import Context
from stress.bench.measures.drain import noops

TRIES = 3
NEVER = 10**15


def cpu_of(call: Callable[[], object]) -> float:
    """Seconds of this process's CPU time that a call takes."""
    before = time.process_time()
    call()
    return time.process_time() - before


def test_a_drain_is_worth_its_bare_loop(tmp_path: Path):
    """Measured: 0.5 of the rate; the dispatcher's CPU time is 2.3 times that of the loop."""
    context = Context(tmp_path)
    seen = []
    for _ in range(TRIES):
        limit = bare.loop(context.new_folder(), "normal", 10_000)
        ours = noops(context, system.liteq("normal"), 5_000)
        seen.append((ours["rate"] / limit.rate, limit.cpu / ours["dispatcher"]))
        if seen[-1][0] > 0.04 and seen[-1][1] > 0.1:
            return
    pytest.fail(f"rate and CPU time, as parts of the bare loop's: {seen}")


def test_a_call_is_worth_its_bare_insert(tmp_path: Path):
    """Measured, in CPU time: 0.3."""
    huey = SqliteHuey(filename=tmp_path / "queue.db", durability="normal")
    task = huey.task()(str)
    task()
    seen = []
    for number in range(TRIES):
        folder = tmp_path / str(number)
        limit = cpu_of(lambda: bare.inserts(folder, "normal", 1_000))  # noqa: B023 -- called at once
        ours = cpu_of(lambda: [task() for _ in range(1_000)])
        seen.append(limit / ours)
    huey.storage.close()
    assert max(seen) > 0.08


def test_many_at_once_cost_less_than_one_by_one(tmp_path: Path):
    """Measured, in CPU time: a quarter."""
    huey = SqliteHuey(filename=tmp_path / "queue.db", durability="normal")
    task = huey.task()(str)
    task()
    seen = []
    for _ in range(TRIES):
        alone = cpu_of(lambda: [task() for _ in range(500)])
        seen.append(alone / cpu_of(lambda: task.map([()] * 500)))
    huey.storage.close()
    assert max(seen) > 1.5


def test_what_waits_costs_nothing(tmp_path: Path):
    """CPU time to claim and settle, with 300 and with 60,000 tasks behind those. Measured: the same."""
    seen = []
    for number in range(TRIES):
        few, many = (claim_and_settle(tmp_path / f"{number}.{depth}", depth) for depth in (300, 60_000))
        seen.append(few / many)
        if seen[-1] > 0.4:
            return
    pytest.fail(f"{seen}")


def claim_and_settle(filename: Path, depth: int) -> float:
    """Seconds of CPU time for 640 of them."""
    storage = SqliteHuey(filename=filename, durability="off").storage
    now = clock.now()
    storage.put([Message(new_id(), "app.task", b"x" * 80) for _ in range(640 + depth)], now)
    later = now + 10**12
    storage.put([Message(new_id(), "app.task", b"x" * 80, due=later) for _ in range(depth)], now)
    owner = storage.register(identify())
    done = Outcome(Disposition.DONE, "complete")

    def turns() -> None:
        for _ in range(10):
            claims = storage.claim(owner, 64, now=now, lease=NEVER)
            storage.settle([Settlement(claim.key, done) for claim in claims], now)
            storage.next_due()

    took = cpu_of(turns)
    storage.close()
    return took
