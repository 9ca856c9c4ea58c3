"""What the backend in a folder promises beyond the contract: whatever dies when, and what it says of faults."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from liteq.exceptions import ConfigurationError, StorageBusy, StorageDamaged, StorageError, StorageFull
from liteq.messages import Disposition, Outcome, Revocation, Settlement
from liteq.storage.base import Storage
from liteq.storage.file import FileStorage
from liteq.testing.conformance.building import (
    LEASE,
    NOW,
    claim,
    claim_one,
    counts,
    identity,
    ids,
    message,
    put,
    settle,
    settlement,
)

EVENTS = {"open", "os.rename", "os.remove", "fcntl.flock", "os.listdir"}
"""What a process does to files; Python tells an audit hook before each."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., FileStorage]]:
    made: list[FileStorage] = []

    def open_(name: str = "huey", **options: object) -> FileStorage:
        made.append(FileStorage(name, path, **options))
        return made[-1]

    yield open_
    for storage in made:
        storage.close()


@pytest.fixture
def storage(opened: Callable[..., FileStorage]) -> FileStorage:
    return opened()


def files(storage: FileStorage) -> dict[str, int]:
    """How many files are in each folder that has some."""
    numbers = {
        folder.name: len(list(folder.iterdir())) for folder in storage.folder.iterdir() if folder.is_dir()
    }
    numbers.pop("new")  # leftovers, which nobody looks at
    return {name: number for name, number in numbers.items() if number}


# What is where


def test_every_state_is_a_folder_and_every_transition_a_rename(storage: FileStorage) -> None:
    owner = storage.register(identity(1))
    put(storage, "a", message("later", due=NOW + 1))
    assert files(storage) == {"ready": 1, "scheduled": 1}
    (file,) = (storage.folder / "ready").iterdir()
    number = file.stat().st_ino
    assert file.read_bytes().endswith(b"\na")
    for verb, folder in (
        (lambda: claim(storage, owner), "claimed"),
        (lambda: storage.extend(owner, LEASE + 1), "claimed"),
        (lambda: settle(storage, storage.held(owner)[0].key, Disposition.CRASHED), "ready"),
        (lambda: claim(storage, owner), "claimed"),
        (lambda: settle(storage, storage.held(owner)[0].key, Disposition.DEAD), "dead"),
        (lambda: storage.revive(["a"]), "ready"),
    ):
        assert verb()
        (file,) = (storage.folder / folder).iterdir()
        assert file.stat().st_ino == number
    settle(storage, claim_one(storage, owner).key, results=(("a", b"x"),))
    assert files(storage) == {"scheduled": 1, "results": 1, "history": 3}
    assert not (storage.folder / "journal").exists()


def test_making_one_opens_nothing(storage: FileStorage, path: Path) -> None:
    assert not path.exists()
    assert storage.pending_count() == 0
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [".", "..", "a/b", "=", "a.b", "é ✓", "x" * 4000, "A", "a", "%2E", "-", " "])
def test_queues_and_keys_of_any_name(opened: Callable[..., FileStorage], path: Path, name: str) -> None:
    storage = opened(name)
    for key in (name, f"{name}2", ""):
        storage.put_result(key, key.encode())
    assert opened(name).results() == {name: name.encode(), f"{name}2": f"{name}2".encode(), "": b""}
    assert opened("other").results() == {}
    assert len(list(path.iterdir())) == 2
    assert list(path.parent.iterdir()) == [path]


def test_all_is_read_again_as_it_was_written(
    storage: FileStorage, opened: Callable[..., FileStorage]
) -> None:
    owner = storage.register(identity(1))
    storage.attend(owner, identity(2))
    whole = message(
        "a",
        data=b"\n\0\xff\n",
        priority=-3,
        at_most_once=True,
        chain=("b", "c"),
        attempt=4,
        crashes=2,
        joins=("d", 1),
    )
    put(storage, whole, message("callback", gathers=0))
    expected = claim(storage, owner)
    assert opened().held(owner) == expected
    assert opened().consumers() == {owner: (identity(1), identity(2))}
    assert opened().ends_of(expected[0].key) == []


# Processes that die


def work(storage: FileStorage, owner: int) -> None:
    """One batch that does something of each kind."""
    with storage.batch():
        one, two, *_ = storage.held(owner)
        put(storage, "new", message("later", due=NOW + 9))
        outcome = Outcome(Disposition.DONE, "complete", (("one", b"x"),), (message("next"),))
        storage.settle([Settlement(one.key, outcome), settlement(two.key, Disposition.DEAD)], NOW)
        claim(storage, owner, 1)
        storage.pop_result("old")
        storage.revoke("r:next", Revocation())


def seen(storage: Storage, owner: int) -> object:
    return (
        counts(storage), storage.pending(), storage.scheduled(), ids(storage.held(owner)), storage.results(),
        [dead.id for dead in storage.dead()], storage.revocations(["r:next"]), len(storage.history()),
    )  # fmt: skip


def prepare(storage: FileStorage) -> int:
    owner = storage.register(identity(1))
    put(storage, "one", "two", "three", message("four", priority=-1))
    claim(storage, owner, 2)
    storage.put_result("old", b"old")
    return owner


def die_at(event: int, storage: FileStorage, owner: int) -> int:
    """Do the work in a process that is killed before its n-th access to a file; how it ended."""
    pid = os.fork()
    if not pid:
        left = event

        def audit(name: str, _: object) -> None:
            nonlocal left
            if name in EVENTS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(audit)
        try:
            work(storage, owner)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("fsync", [True, False])
def test_a_batch_is_whole_or_undone_wherever_its_process_is_killed(path: Path, fsync: bool) -> None:
    results = []
    for event in range(1, 1000):
        storage = FileStorage(f"queue{event}", path, fsync=fsync)
        owner = prepare(storage)
        before = seen(storage, owner)
        code = die_at(event, storage, owner)
        after = seen(storage, owner)
        fresh = FileStorage(storage.name, path)
        assert seen(fresh, owner) == after
        results.append("undone" if after == before else after)
        put(storage, "and on")  # it works on, as does the other
        assert b"and on" in fresh.pending()
        assert not (storage.folder / "journal").exists()
        storage.close()
        fresh.close()
        if code == 0:
            break
    assert code == 0
    whole = results[-1]
    assert whole != "undone"
    undone = results.index(whole)
    assert results == ["undone"] * undone + [whole] * (len(results) - undone)
    assert 5 < undone < len(results) - 5, "it was killed before the commit, and after"


def test_a_child_that_was_forked_in_a_batch_commits_nothing(storage: FileStorage) -> None:
    put(storage, "a")
    batch = storage.batch()
    batch.__enter__()
    put(storage, "b")
    pid = os.fork()
    if not pid:
        try:
            assert storage.pending() == [b"a"]  # what the batch did is the parent's
            batch.__exit__(None, None, None)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    put(storage, "c")
    batch.__exit__(None, None, None)
    assert storage.pending() == [b"a", b"b", b"c"]


def test_parent_and_child_take_turns(storage: FileStorage) -> None:
    put(storage, "first")
    pid = os.fork()
    if not pid:
        for number in range(50):
            put(storage, f"child-{number}")
        os._exit(0)
    for number in range(50):
        put(storage, f"parent-{number}")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert storage.pending_count() == 101
    assert len(set(storage.pending())) == 101


# Batches


def test_a_batch_inside_a_batch_is_undone_alone(storage: FileStorage) -> None:
    put(storage, "a")
    owner = storage.register(identity(1))
    with storage.batch():
        put(storage, "b")
        with suppress(ZeroDivisionError), storage.batch():
            put(storage, "c")
            claim(storage, owner)
            1 / 0
        assert storage.pending() == [b"a", b"b"]
    assert storage.pending() == [b"a", b"b"]


def test_an_error_of_the_caller_stays_what_it_is(storage: FileStorage) -> None:
    with pytest.raises(FileNotFoundError), storage.batch():
        Path("/nowhere/at/all").read_text()
    assert storage.pending_count() == 0


def test_a_repeated_value_still_wakes(storage: FileStorage) -> None:
    wakeup = storage.results_wakeup()
    for _ in range(2):
        ticket = wakeup.ticket()
        storage.put_result("a", b"same")
        assert wakeup.wait(ticket, 30)


# Faults


def test_options() -> None:
    for path in (None, "", "a\0b", 7):
        with pytest.raises(ConfigurationError, match="path"):
            FileStorage("huey", path)
    with pytest.raises(ConfigurationError, match="timeout"):
        FileStorage("huey", "x", timeout=-1)
    with pytest.raises(ConfigurationError, match="filename"):
        FileStorage("huey", "x", filename="y")
    FileStorage("huey", "x", levels=2, use_thread_lock=True, history=5, expire_time=3)


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        FileStorage("huey", tmp_path / "file").pending_count()


def test_no_room(storage: FileStorage) -> None:
    put(storage, "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageFull, match="room"):
            put(storage, "b", message("c", data=bytes(20_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((storage.folder / "new").iterdir()) == []
    assert storage.pending() == [b"a"]
    put(storage, "b")
    assert storage.pending() == [b"a", b"b"]


@pytest.mark.parametrize("contents", [b"", b"{}", b"[]", b'{"format": 99}', b"rubbish", b"\xff"])
def test_a_damaged_state(storage: FileStorage, contents: bytes, opened: Callable[..., FileStorage]) -> None:
    put(storage, "a")
    (storage.folder / "state.json").write_bytes(contents)
    with pytest.raises(StorageDamaged, match="state.json"):
        opened().pending_count()
    (storage.folder / "state.json").unlink()
    again = opened()
    put(again, "b")  # its number is not the one that "a" has
    assert again.pending() == opened().pending() == [b"a", b"b"]


FOLDERS = ("ready", "scheduled", "waiting", "claimed", "dead", "reasons", "ends", "results", "history")


@pytest.mark.parametrize("kind", ["file", "empty", "folder"])
@pytest.mark.parametrize("name", ["x", "1", "1.2.3.4", "0000000000000007.0.0", "0000000000000001.0.0.1.0.5"])
def test_a_file_of_somebody_else_is_set_aside(
    storage: FileStorage, name: str, kind: str, opened: Callable[..., FileStorage], caplog: Any
) -> None:
    put(storage, "a")
    for folder in FOLDERS:
        stranger = storage.folder / folder / name
        if kind == "folder":
            stranger.mkdir()
        else:
            stranger.write_text("mine" if kind == "file" else "")
    assert opened().pending() == [b"a"]
    assert storage.pending() == [b"a"]
    assert {path.name for path in (storage.folder / "damaged").iterdir()} == {f"{f}-{name}" for f in FOLDERS}
    assert len(caplog.records) == len(FOLDERS)
    put(storage, "b")
    assert opened().pending() == [b"a", b"b"]


def test_a_torn_file_is_set_aside_and_the_rest_goes_on(
    storage: FileStorage, opened: Callable[..., FileStorage]
) -> None:
    for length in range(100):
        put(storage, str(length))
        file = min((storage.folder / "ready").iterdir())
        whole = file.read_bytes()
        file.write_bytes(whole[:length] + bytes(max(0, len(whole) - length) if length % 2 else 0))
        if file.read_bytes() != whole:
            assert opened().pending() == []
    assert len(list((storage.folder / "damaged").iterdir())) == 100


@pytest.mark.parametrize("contents", [b"", b"[[", b"7", b"[1]", bytes(50), None])
def test_a_torn_journal_is_set_aside(
    storage: FileStorage, opened: Callable[..., FileStorage], contents: bytes | None
) -> None:
    """As a power failure may leave it where nothing is synchronised."""
    put(storage, "a")
    journal = storage.folder / "journal"
    if contents is None:
        journal.mkdir()
    else:
        journal.write_bytes(contents)
    assert opened().pending() == [b"a"]
    assert storage.pending() == [b"a"]
    assert not journal.exists()
    assert (storage.folder / "damaged" / "journal").exists()


@pytest.mark.parametrize("contents", [b"", bytes(3), bytes(40), b"rubbish", b"\xff" * 40])
def test_a_torn_gate_says_nothing(
    storage: FileStorage, opened: Callable[..., FileStorage], contents: bytes
) -> None:
    put(storage, "a")
    (storage.folder / "gate").write_bytes(contents)
    one, other = opened(), opened()
    for number in range(3):  # each sees what the other has done
        put(one, f"one {number}")
        put(other, f"other {number}")
        assert one.pending_count() == other.pending_count() == 2 * number + 3


def test_a_folder_of_another_version_is_left_as_it_is(
    storage: FileStorage, opened: Callable[..., FileStorage]
) -> None:
    put(storage, "a")
    state = storage.folder / "state.json"
    state.write_text(state.read_text().replace('"format": 2', '"format": 1'))
    (file,) = (storage.folder / "ready").iterdir()
    file.write_text("what another version has written")
    with pytest.raises(StorageDamaged, match="its format is 1, and this liteq reads 2"):
        opened().pending()
    assert file.exists()


def test_the_folder_is_removed_while_it_is_in_use(
    storage: FileStorage, opened: Callable[..., FileStorage]
) -> None:
    put(storage, "a", "b")
    for file in sorted(storage.folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    assert storage.pending() == []
    put(storage, "c")
    assert opened().pending() == storage.pending() == [b"c"]


def test_a_lock_that_others_hold_for_too_long(opened: Callable[..., FileStorage]) -> None:
    holder, waiting = opened(), opened(timeout=0.05)
    with holder.batch():
        put(holder, "a")
        assert waiting.pending() == []
        with pytest.raises(StorageBusy, match="queues/huey.*timeout"):
            put(waiting, "b")
    put(waiting, "b")
    assert holder.pending() == [b"a", b"b"]


class Alarm(Exception):
    """What a signal raises."""


def test_signals_come_when_the_lock_is_free(storage: FileStorage) -> None:
    """In a process of one thread; with several, another one might take them."""
    storage.pending_count()
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if signalled_in_a_batch(storage) == [False] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert storage.pending_count() == 50
    put(storage, "it is free")


def signalled_in_a_batch(storage: FileStorage) -> list[bool]:
    """Whether the storage was inside of a batch when the signal came."""
    came = []

    def handler(*_: object) -> None:
        came.append(storage._inside)
        raise Alarm

    signal.signal(signal.SIGALRM, handler)
    with suppress(Alarm), storage.batch():
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        for number in range(50):
            put(storage, str(number))
        while signal.SIGALRM not in signal.sigpending():
            pass
    return came


def test_the_state_is_for_people(storage: FileStorage) -> None:
    storage.pause("app.task")
    storage.incr("visits", 3)
    state = json.loads((storage.folder / "state.json").read_text())
    assert (state["pauses"], state["counters"]) == (["app.task"], {"visits": 3})
