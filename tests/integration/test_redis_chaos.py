"""A queue on Redis under all faults in turn, in any order: the promises hold whatever dies, the server included."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from liteq import StorageError
from tests.servers import RedisServer, need_redis

from .consumer import Consumer, is_settled, kill, wait_until

FAULTS = 14


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server that writes all to the disk before it answers."""
    need_redis()
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always").start()
    monkeypatch.setenv("LITEQ_TEST_REDIS", server.url)
    yield server
    server.remove()


class Producer:
    """Calls tasks until it is stopped, and knows which calls were acknowledged."""

    def __init__(self, app: Any) -> None:
        self.acknowledged: list[str] = []
        self._app = app
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(0.001):
            number += 1
            task, kind = (self._app.once, "once") if number % 3 == 0 else (self._app.often, "often")
            with suppress(StorageError):  # it may have been stored or not
                task(number)
                self.acknowledged.append(f"{kind} {number}")

    def stop(self) -> list[str]:
        self._stopped.set()
        self._thread.join()
        return self.acknowledged


class Faults:
    """What can happen to two consumers and their server."""

    def __init__(self, chance: random.Random, server: RedisServer, consume: Callable[[], Consumer]) -> None:
        self._chance = chance
        self._server = server
        self._consume = consume
        self._consumers = [consume(), consume()]

    def make_one(self) -> None:
        kinds = (self.cut, self.cut, self.kill_some, self.kill_all, self.kill_server, self.stop_server)
        self._chance.choice(kinds)()
        for index, consumer in enumerate(self._consumers):
            if consumer.process.poll() is not None:
                kill(*consumer.members())
                self._consumers[index] = self._consume()

    def cut(self) -> None:
        client = redis.Redis(unix_socket_path=str(self._server.socket))
        kind = self._chance.choice(["normal", "pubsub"])
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        client.close()

    def kill_some(self) -> None:
        members = self._chance.choice(self._consumers).members()
        with suppress(ProcessLookupError):
            os.kill(self._chance.choice(members), signal.SIGKILL)

    def kill_all(self) -> None:
        consumer = self._chance.choice(self._consumers)
        kill(*consumer.members())
        consumer.wait()

    def kill_server(self) -> None:
        self._server.end(self._chance.choice([signal.SIGKILL, signal.SIGTERM]))
        time.sleep(self._chance.uniform(0, 0.3))
        self._server.start()

    def stop_server(self) -> None:
        assert self._server.process is not None
        os.kill(self._server.process.pid, signal.SIGSTOP)
        time.sleep(self._chance.uniform(0, 0.3))
        os.kill(self._server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_nothing_that_must_not_repeat_runs_twice(declare, launch, server, seed):
    app = declare("""
@huey.task(at_most_once=True)
def once(number):
    note(f"once {number}")

@huey.task()
def often(number):
    note(f"often {number}")
""")
    faults = Faults(random.Random(seed), server, lambda: launch("-w", "2", "--max-crashes", "1000"))
    producer = Producer(app)
    for _ in range(FAULTS):
        before = len(app.notes())
        wait_until(lambda before=before: len(app.notes()) > before + 50, "the work to go on")
        faults.make_one()
    acknowledged = producer.stop()
    wait_until(lambda: is_settled(app), "all tasks to be settled")
    ran = Counter(app.notes())
    lost = [one for one in acknowledged if not ran[one]]
    assert [one for one in lost if one.startswith("often")] == []
    assert len(lost) <= len(app.huey.dead()), "what may not repeat is among the dead if it may have begun"
    assert [one for one, times in ran.items() if one.startswith("once") and times > 1] == []
