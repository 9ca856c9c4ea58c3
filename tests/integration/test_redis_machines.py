"""Consumers on machines that can't look at each other's processes: one that dies, one that is only frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers import RedisServer, need_redis

from .consumer import Consumer, get, kill, started, wait_until

MACHINE = """
import os

if machine := os.environ.get("LITEQ_TEST_MACHINE"):
    from liteq import identity
    from liteq.workers import chores, options

    identity._host = lambda: f"{machine}/pid:[1]"
    *others, _ = options.ConsumerOptions.__init__.__defaults__
    options.ConsumerOptions.__init__.__defaults__ = (*others, 2)  # the lease
    chores._LEASES_OF_SILENCE = 3
"""
"""What Python runs first, in each process of a consumer: it is on another machine, and needs no minutes to learn
that one is dead."""

On = Callable[[str], Consumer]


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    need_redis()
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder).start()
    monkeypatch.setenv("LITEQ_TEST_REDIS", server.url)
    yield server
    server.remove()


@pytest.fixture
def on(launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> On:
    """Starts a consumer on a machine of its own, and waits until it is ready."""
    (tmp_path / "sitecustomize.py").write_text(MACHINE)

    def start(machine: str) -> Consumer:
        monkeypatch.setenv("LITEQ_TEST_MACHINE", machine)
        return launch().wait_ready()

    return start


def hosts(app) -> list[str]:
    """The machines that have a consumer."""
    return sorted(
        supervisor.host.partition("/")[0] for supervisor, _ in app.huey.storage.consumers().values()
    )


def send(consumer: Consumer, number: signal.Signals) -> None:
    """To all its processes."""
    for pid in consumer.members():
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def test_a_machine_that_dies_leaves_no_consumer_behind(app, on):
    first = on("first")
    result = app.hold("a")
    victim = started(app, "a")
    second = on("second")
    assert hosts(app) == ["first", "second"]
    kill(*first.members())
    survivor = started(app, "a", times=2)
    app.open_gate("a")
    assert get(result) == survivor != victim
    wait_until(lambda: hosts(app) == ["second"], "the dead one to be struck off")
    second.wait_log("was silent for too long: it counts as dead")
    assert get(app.add(1, 2)) == 3
    assert second.stop() == 0
    assert hosts(app) == []


def test_a_machine_that_was_only_frozen_is_there_again_and_holds_nothing(app, on):
    first = on("first")
    result = app.hold("a")
    frozen = started(app, "a")
    second = on("second")
    send(first, signal.SIGSTOP)
    other = started(app, "a", times=2)
    wait_until(lambda: hosts(app) == ["second"], "the frozen one to be struck off")
    send(first, signal.SIGCONT)
    wait_until(lambda: hosts(app) == ["first", "second"], "the one that goes on to be there again")
    app.open_gate("a", frozen)
    first.wait_log("an outcome has no effect")
    assert not result.is_ready()
    app.open_gate("a")
    assert get(result) == other
    assert first.dispatcher
    assert [first.stop(), second.stop()] == [0, 0]
    assert hosts(app) == []
