"""The power fails at any moment of a real run of several processes on a folder, of which strace tells all."""

from __future__ import annotations

import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from liteq.exceptions import StorageError
from liteq.storage.file import FileStorage
from liteq.testing.conformance.building import put

from .traced import Call, Medium, can_trace, trace

ROOT = Path(__file__).parents[2]
STATES = 400
"""About so many states are tried of each run."""

RUN = """
import os, sys, time
from liteq.storage.file import FileStorage
from liteq.testing.conformance.building import claim, identity, message, settle

path, events, fsync = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.argv[3]

def tell(what, *ids):
    os.write(events, f"{what} {' '.join(ids)}".encode())

def produce(name):
    for number in range(5):
        ids = [f"{kind}-{name}-{number}" for kind in ("again", "once")[: 1 + number % 2]]
        tell("put", *ids)
        storage.put([message(id, at_most_once=id[0] == "o", data=id.encode() * 20) for id in ids], 0)
        tell("acknowledged", *ids)

def consume():
    owner, left = storage.register(identity(1)), 14
    while left:
        claims = claim(storage, owner, 2)
        tell("claimed", *(one.id for one in claims))
        for one in claims:
            tell("settling", one.id)
            settle(storage, one.key, results=((one.id, b"x"),))
            tell("settled", one.id)
            left -= 1

storage = FileStorage("huey", path, fsync=fsync == "True")
children = []
for work in (lambda: produce("a"), lambda: produce("b"), consume):
    children.append(os.fork())
    if not children[-1]:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


class Promised:
    """What is known of each message when the power fails."""

    def __init__(self) -> None:
        self.told: dict[str, set[str]] = {
            what: set() for what in ("put", "acknowledged", "claimed", "settling", "settled")
        }
        self.together: list[list[str]] = []

    def take(self, event: str) -> None:
        """Something is about to happen, or has."""
        what, *ids = event.split()
        self.told[what] |= set(ids)
        if what == "put":
            self.together.append(ids)

    def broken_by(self, found: Found) -> Iterator[str]:
        """What of it does not hold."""
        told = self.told
        there = set(found.ids)
        if len(there) < len(found.ids):
            yield "a message is there twice"
        if lost := told["acknowledged"] - told["settling"] - there:
            yield f"{lost} is lost"
        if again := told["settled"] & there:
            yield f"{again} has ended, and is there"
        if lost := told["settled"] - found.results:
            yield f"the result of {lost} is lost"
        if both := found.results & there:
            yield f"{both} has a result, and has not ended"
        if twice := {id for id in told["claimed"] & found.ready if id.startswith("once")}:
            yield f"{twice} may start a second time"
        for ids in self.together:
            if len({id in there or id in told["settling"] for id in ids}) > 1:
                yield f"one of {ids} is there, and another is not"


class Found(NamedTuple):
    """What is in a folder."""

    ids: list[str]
    ready: set[str]
    results: set[str]


def look(path: Path) -> Found:
    """Open the folder as liteq does, and see whether it can be used."""
    storage = FileStorage("huey", path, fsync=False)
    try:
        ready = ids_in(storage, "ready")
        claimed = ids_in(storage, "claimed")
        found = Found(ready + claimed, set(ready), set(storage.results()))
        put(storage, "and on")
        assert b"and on" in storage.pending()
        return found
    finally:
        storage.close()


def ids_in(storage: FileStorage, state: str) -> list[str]:
    storage.pending_count()
    items = storage._stored.items[state]
    return [item.id if state == "ready" else item.claim.id for item in items.values()]


def fail_in(calls: list[Call], root: Path, events: Path, rest: Path, seed: int) -> Iterator[str]:
    """Let the power fail after calls that are picked by chance; what of the promises is broken."""
    chance = random.Random(seed)
    medium, promised = Medium(root), Promised()
    share = STATES / len(calls)
    for call in calls:
        if call.paths[:1] == (str(events),) and call.name == "write":
            promised.take(call.data.decode())
            continue
        medium.take(call)
        if chance.random() < share:
            medium.left(chance, rest)
            try:
                yield from promised.broken_by(look(rest / "deep" / "queues"))
            except StorageError as error:
                yield f"it can't be used: {error}"
            if list(rest.rglob("damaged")):
                yield "a file was set aside"
            shutil.rmtree(rest)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory, where syncs take no time: what they are worth is what the model says."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="liteq-traced-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=[True, False], ids=["fsync", "no fsync"])
def run(request: pytest.FixtureRequest, folder: Path) -> tuple[bool, list[Call], Path]:
    if not can_trace():
        pytest.skip("strace is not installed, or may not trace")
    place = folder / str(request.param)
    (place / "root").mkdir(parents=True)
    arguments = [str(place / "root" / "deep" / "queues"), str(place / "events"), str(request.param)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return request.param, trace(RUN, arguments, place / "trace", environment), place


@pytest.mark.parametrize("seed", range(2))
def test_what_was_promised_survives(
    run: tuple[bool, list[Call], Path], seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    fsync, calls, place = run
    caplog.set_level(logging.CRITICAL)
    broken = list(fail_in(calls, place / "root", place / "events", place / "rest", seed))
    if fsync:
        assert broken == []
    else:
        assert any("is lost" in one for one in broken), "this is what shows that it could fail"
