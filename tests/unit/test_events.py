"""Live events: what they say, in which order they are shown, and what they cost while nobody listens."""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import signal
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liteq import (
    ConfigurationError,
    Huey,
    MemoryHuey,
    ResultTimeout,
    SqliteHuey,
    StorageError,
    clock,
    crontab,
)
from liteq import signals as s
from liteq.emitter import STATUSES
from liteq.events import Held
from liteq.messages import BACK, Settlement
from liteq.storage.contract.events import EventContract, Packet
from liteq.storage.frames import Assembler, frames_of, news_frame
from liteq.storage.memory import MemoryStorage
from liteq.workers.shared import Board

ROOT = Path(__file__).parents[2]
FIELDS = {
    "status", "id", "task", "retries", "retry_delay", "execute_time", "error", "traceback", "message", "time", "name",
    "attempt", "periodic", "queue", "pid",
}  # fmt: skip


@pytest.fixture
def huey(filename):
    huey = SqliteHuey(filename=filename)
    yield huey
    huey.storage.close()


@pytest.fixture
def folder(filename):
    return Path(f"{os.path.realpath(filename)}-events")


def pipes(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_fifo()]


def heard(stream, number: int) -> list[dict]:
    return [next(stream) for _ in range(number)]


def statuses(stream, number: int) -> list[str]:
    return [event["status"] for event in heard(stream, number)]


# What they say


def test_an_event_has_the_fields_of_the_table_and_is_json(huey):
    @huey.task(retries=3, retry_delay=5)
    def add(a, b):
        return a + b

    with huey.events(timeout=10) as events:
        before = time.time()
        result = add(1, 2)
        event = next(events)
    assert set(event) == FIELDS
    assert before - 1 <= event.pop("time") <= time.time() + 1
    assert json.loads(json.dumps(event)) == event == {
        "status": "enqueued", "id": result.id, "task": "add", "retries": 3, "retry_delay": 5, "execute_time": None,
        "error": False, "traceback": None, "message": None, "name": f"{__name__}.add", "attempt": None,
        "periodic": False, "queue": "huey", "pid": os.getpid(),
    }  # fmt: skip


@pytest.mark.parametrize("utc", [True, False])
def test_when_it_is_to_run(filename, utc):
    huey = SqliteHuey(filename=filename, utc=utc)

    @huey.task()
    def later(): ...

    eta = datetime.now(UTC) + timedelta(hours=2)
    with huey.events(timeout=10) as events:
        later.schedule(eta=eta)
        enqueued, scheduled = heard(events, 2)
    assert (enqueued["status"], scheduled["status"]) == ("enqueued", "scheduled")
    assert scheduled["execute_time"] == pytest.approx(eta.timestamp(), abs=1e-3)
    huey.storage.close()


def test_a_task_that_is_run_here(huey):
    @huey.task(retries=1)
    def fail():
        raise ValueError("no")

    with huey.events(timeout=10) as events:
        fail()
        huey.execute(huey.dequeue())
        enqueued, started, error, retrying, again = heard(events, 5)
    assert [e["status"] for e in (enqueued, started, error, retrying, again)] == [
        "enqueued", "started", "error", "retrying", "enqueued",
    ]  # fmt: skip
    assert {e["error"] for e in (enqueued, started, retrying, again)} == {False}
    assert error["error"] is True
    assert error["message"] == "ValueError('no')"
    assert error["traceback"].startswith("Traceback")
    assert error["traceback"].endswith("ValueError: no\n")
    assert (error["attempt"], error["retries"], again["retries"]) == (1, 1, 0)


def test_the_traceback_is_as_long_as_is_told(huey):
    @huey.task()
    def fail():
        raise ValueError("x" * 50_000 + "end")

    with huey.events(timeout=10) as events:
        fail()
        huey.execute(huey.dequeue())
        error = heard(events, 3)[-1]
    assert len(error["traceback"]) == 20_000
    assert error["traceback"].endswith("end\n")


def test_an_exception_that_can_t_be_shown(huey):
    class Odd(Exception):
        def __repr__(self):
            raise RuntimeError

        __str__ = __repr__

    @huey.task()
    def fail():
        raise Odd

    with huey.events(timeout=10) as events:
        fail()
        huey.execute(huey.dequeue())
        error = heard(events, 3)[-1]
    assert (error["status"], error["error"]) == ("error", True)
    assert "Odd" in error["message"]


def test_what_an_attempt_by_hand_fails_to_store_is_not_told(huey):
    @huey.task()
    def add(a, b):
        return a + b

    with huey.events(timeout=10) as events:
        first, _ = add(1, 2), add(3, 4)
        taken = huey.dequeue()
        huey.storage.close()
        huey.storage.settle, settle = lambda *_: 1 / 0, huey.storage.settle
        with pytest.raises(ZeroDivisionError):
            huey.execute(taken)
        huey.storage.settle = settle
        huey.execute(huey.dequeue())
        assert statuses(events, 5) == ["enqueued", "enqueued", "started", "started", "finished"]
        assert first.get() is None


def test_an_attempt_by_hand_that_lost_its_claim_tells_no_end(huey):
    @huey.task()
    def slow():
        huey.storage.settle([Settlement(taken.claim, BACK)], clock.now())  # as who takes it for dead does

    with huey.events(timeout=10) as events:
        slow()
        taken = huey.dequeue()
        huey.execute(taken)
        slow()
        assert statuses(events, 3) == ["enqueued", "started", "enqueued"]


def test_an_attempt_by_hand_that_is_interrupted_says_so_at_once(huey):
    @huey.task()
    def stop():
        raise KeyboardInterrupt

    with huey.events(timeout=10) as events:
        stop()
        with pytest.raises(KeyboardInterrupt):
            huey.execute(huey.dequeue())
        assert statuses(events, 3) == ["enqueued", "started", "interrupted"]


def test_values_that_json_does_not_know_are_shown(huey):
    @huey.task()
    def odd(): ...

    task = odd.s()
    task.retry_delay = timedelta(seconds=5)
    with huey.events(timeout=10) as events:
        huey.signals.send(s.SIGNAL_COMPLETE, task)
        huey.emitter.flush()
        assert next(events)["retry_delay"] == "0:00:05"


def test_a_periodic_task_says_so(huey):
    @huey.periodic_task(crontab())
    def tick(): ...

    with huey.events(timeout=10) as events:
        tick()
        assert next(events)["periodic"] is True


def test_every_signal_has_a_status(huey):
    signals = {value for name, value in vars(s).items() if name.startswith("SIGNAL_")}
    assert set(STATUSES) <= signals
    with huey.events(timeout=10) as events:
        for signal in sorted(signals):
            huey.signals.send(signal, None)
        huey.emitter.flush()
        told = statuses(events, len(signals))
    assert told == [STATUSES.get(signal, signal) for signal in sorted(signals)]


# Listening


def test_the_iteration_ends_after_the_timeout_and_can_go_on(huey):
    @huey.task()
    def add(a, b): ...

    with huey.events(timeout=0.05) as events:
        assert list(events) == []
        add(1, 2)
        assert [event["status"] for event in events] == ["enqueued"]
    assert list(events) == []


def test_without_patience_what_has_come_is_shown(huey):
    @huey.task()
    def add(a, b): ...

    with huey.events(timeout=0) as events:
        assert list(events) == []
        add(1, 2)
        add(1, 2)
        assert [event["status"] for event in events] == ["enqueued"] * 2


def test_many_at_once_are_all_told(huey):
    @huey.task()
    def add(a): ...

    with huey.events(timeout=10) as events:
        huey.enqueue_many([add.s(number) for number in range(1000)])
        told = heard(events, 1000)
        assert (events.dropped, {event["status"] for event in told}) == (0, {"enqueued"})


def test_in_memory_and_in_immediate_mode():
    for huey in (MemoryHuey(), SqliteHuey(immediate=True)):

        @huey.task()
        def add(a, b):
            return a + b

        with huey.events(timeout=10) as events:
            add(1, 2)
            if not huey.immediate:
                huey.execute(huey.dequeue())
            assert statuses(events, 3) == ["enqueued", "started", "finished"]


@pytest.mark.parametrize("timeout", [-1, "1", float("nan")])
def test_a_wrong_timeout(huey, timeout):
    with pytest.raises(ValueError, match="timeout must be"):
        huey.events(timeout=timeout)


def test_what_fails_to_be_stored_is_not_told(huey):
    @huey.task()
    def add(a, b): ...

    with huey.events(timeout=10) as events:
        first = add(1, 2)
        with (
            pytest.raises(ConfigurationError),
            huey.emitter.announced([huey.emitter.event("error", add.s())]),
        ):
            raise ConfigurationError("no")
        second = add(3, 4)
        assert [event["id"] for event in heard(events, 2)] == [first.id, second.id]


def test_receivers_of_signals_are_told_once(huey):
    told = []

    @huey.signal()
    def receiver(signal, task):
        told.append(signal)

    @huey.task()
    def add(a, b): ...

    with huey.events(timeout=10) as events:
        add(1, 2)
        huey.execute(huey.dequeue())
        assert statuses(events, 3) == ["enqueued", "started", "finished"]
    assert told == ["enqueued", "executing", "complete"]


def test_the_page_has_all_fields_and_statuses():
    page = (ROOT / "docs/how-to/events.md").read_text()
    table = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    signals = {value for name, value in vars(s).items() if name.startswith("SIGNAL_")}
    assert set(table[:15]) == FIELDS
    assert set(table[15:-2]) == {STATUSES.get(signal, signal) for signal in signals} | {"dropped"}


# The order


def line(id, status="enqueued"):
    return json.dumps({"id": id, "status": status}).encode()


def shown(held, *packets, now=0):
    return [(event["id"], event["status"]) for packet in packets for event in held.take(packet, now)]


def test_events_of_a_transaction_are_shown_when_it_is_committed():
    held = Held()
    assert shown(held, b"hold 1\n" + line("a"), b"hold 1\n" + line("b"), b" \n" + line("c")) == [
        ("c", "enqueued")
    ]
    assert shown(held, b"release 1") == [("a", "enqueued"), ("b", "enqueued")]
    assert shown(held, b"release 1") == []


def test_those_of_one_that_was_undone_are_not():
    held = Held()
    assert shown(held, b"hold 1\n" + line("a"), b"drop 1", b"release 1", b" \n" + line("a", "x")) == [
        ("a", "x")
    ]


def test_what_happens_afterwards_shows_that_it_was_committed():
    held = Held()
    packets = b"hold 1\n" + line("a") + b"\n" + line("b"), b" \n" + line("b", "started")
    assert shown(held, *packets) == [("a", "enqueued"), ("b", "enqueued"), ("b", "started")]
    assert shown(held, b"release 1") == []
    assert shown(held, b"hold 2\n" + line("c"), b"hold 3\n" + line("c", "finished"), b"release 3") == [
        ("c", "enqueued"), ("c", "finished"),
    ]  # fmt: skip


def test_what_is_held_is_bounded():
    held = Held()
    assert shown(held, b"hold 1\n" + line("a"), now=0) == []
    assert shown(held, b"hold 2\n" + line("b"), now=61_000_000) == []
    assert (held.dropped, shown(held, b"release 1")) == (1, [])
    for number in range(10):
        list(held.take(b"\n".join([b"hold x%d" % number, *[line(f"many-{number}")] * 2_500]), 61_000_000))
    assert held.dropped == 2 + 2 * 2_500


def test_half_a_packet_is_never_shown():
    assembler = Assembler()
    first, *rest = frames_of(b"a" * 10_000)
    assert list(assembler.feed(first)) == []
    assert list(assembler.feed(b"".join(frames_of(b"b") + [news_frame()]))) == [b"b"]
    assert list(assembler.feed(b"".join(rest))) == [b"a" * 10_000]
    whole = b"".join(frames_of(b"c" * 9_000))
    assert [p for at in range(len(whole)) for p in assembler.feed(whole[at : at + 1])] == [b"c" * 9_000]


# Files


def test_nothing_is_left(huey, folder):
    assert not folder.exists()
    with huey.events(), huey.events():
        assert len(pipes(folder)) == 2
    assert not folder.exists()


def test_a_stream_that_nobody_refers_to_is_closed(huey, folder):
    huey.events()
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("mode", "of_folder", "of_pipe"), [(0o600, 0o700, 0o600), (0o660, 0o770, 0o620), (0o644, 0o700, 0o600)]
)
def test_permissions_are_those_of_the_file(huey, folder, filename, mode, of_folder, of_pipe):
    assert len(huey) == 0
    Path(filename).chmod(mode)
    with huey.events():
        (pipe,) = pipes(folder)
        assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, pipe)] == [of_folder, of_pipe]


@pytest.mark.parametrize("plant", ["link", "file", "fifo"])
def test_what_is_no_folder_is_not_used(huey, folder, tmp_path, plant):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if plant == "link":
        folder.symlink_to(elsewhere)
    elif plant == "file":
        folder.write_text("mine")
    else:
        os.mkfifo(folder)
    with pytest.raises(StorageError, match="-events"):
        huey.events()
    os.mkfifo(elsewhere / "pipe")
    assert not huey.storage.has_subscribers()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_stranger_s_folder_is_not_used(huey, folder):
    folder.mkdir(0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(StorageError, match="belongs to another user; remove it"):
        huey.events()
    (folder / "x").touch()
    assert not huey.storage.has_subscribers()


def test_a_folder_that_is_open_to_others_is_not_used(huey, folder):
    with huey.events():
        assert huey.storage.has_subscribers()
        folder.chmod(0o777)
        assert not huey.storage.has_subscribers()
        with huey.events():  # it belongs to this user, who puts it right
            assert huey.storage.has_subscribers()


def test_a_file_among_the_pipes_is_not_written_to(huey, folder):
    with huey.events():
        (pipe,) = pipes(folder)
        file = folder / f"{pipe.name[:12]}file"
        file.write_text("mine")
        link = folder / f"{pipe.name[:12]}link"
        link.symlink_to(file)
        assert huey.storage.has_subscribers()
        huey.signals.send(s.SIGNAL_DEAD, None)
        huey.emitter.flush()
        assert file.read_text() == "mine"


def test_a_fork_does_not_keep_a_listener_alive(huey, folder):
    events = huey.events()
    pid = os.fork()
    if not pid:
        events.close()
        os._exit(0 if folder.exists() and list(events) == [] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert huey.storage.has_subscribers()
    events.close()
    assert not folder.exists()


def test_a_backend_without_live_events_says_so():
    class Quiet(MemoryStorage):
        capabilities = MemoryStorage.capabilities._replace(events=False)

    with pytest.raises(ConfigurationError, match="Quiet has no live events"):
        Huey(storage_class=Quiet).events()
    with pytest.raises(NotImplementedError):
        EventContract().subscribe()
    EventContract().publish([])
    assert EventContract().has_subscribers() is False


# What is missed


def fill(huey) -> None:
    """Tell events until there is no room, and of a thousand more."""
    assert huey.storage.has_subscribers()
    for _ in range(3):
        huey.storage.publish([Packet(bytes(4_000), 1) for _ in range(1_000)])


def test_what_finds_no_room_is_counted_even_if_its_process_ends(huey):
    with huey.events(timeout=0) as events:
        pid = os.fork()
        if not pid:
            fill(huey)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        packets = []
        while more := events._subscription.receive(0):  # they are no events
            packets += more
        assert events.dropped == 3_000 - len(packets) > 1_000
        assert next(events) == {"status": "dropped", "count": events.dropped, "queue": "huey"}
        assert list(events) == []


def test_many_who_drop_at_once_are_all_counted(huey):
    with huey.events(timeout=0) as events:
        fill(huey)
        children = []
        for _ in range(4):
            children.append(os.fork())
            if not children[-1]:
                for _ in range(500):
                    fill_one(huey)
                while any(huey.storage._listeners._uncounted.values()):
                    huey.storage.publish([])
                os._exit(0)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        read = sum(len(more) for more in iter(lambda: events._subscription.receive(0), []))
        assert events.dropped + read == 3_000 + 4 * 500


def fill_one(huey) -> None:
    assert huey.storage.has_subscribers()
    huey.storage.publish([Packet(bytes(4_000), 1)])


def test_a_pipe_that_is_removed_is_no_silence(huey, folder):
    with huey.events(timeout=30) as events:
        shutil.rmtree(folder)
        with pytest.raises(StorageError, match="somebody has removed it; listen anew"):
            next(events)
    assert not folder.exists()


def test_a_foreign_file_where_drops_are_counted_is_left_alone(huey, folder, tmp_path):
    with huey.events(timeout=0) as events:
        (pipe,) = pipes(folder)
        (count,) = [path for path in folder.iterdir() if path != pipe]
        mine = tmp_path / "mine"
        mine.write_text("a text")
        count.unlink()
        count.symlink_to(mine)
        fill(huey)
        count.unlink()
        os.mkfifo(count)  # a pipe that nobody reads, which is removed
        fill(huey)
        assert not count.exists()
        fill(huey)
        assert events._subscription.receive(0)
    assert mine.read_text() == "a text"
    assert not folder.exists()


def test_a_process_with_many_descriptors_listens_and_waits_too(huey):
    """More than `select` takes."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:

        @huey.task()
        def add(a, b): ...

        result = add(1, 2)
        with huey.events(timeout=10) as events:
            add(1, 2)
            assert next(events)["status"] == "enqueued"
        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=0.05)
    finally:
        for fd in many:
            os.close(fd)


# What it costs


def test_while_nobody_listens_the_storage_is_asked_now_and_then_only(huey):
    asked = []
    huey.storage.has_subscribers = lambda: asked.append(time.monotonic()) or False
    until = time.monotonic() + 0.3
    calls = 0
    while time.monotonic() < until:
        huey.emitter.is_listened()
        calls += 1
    assert 1 <= len(asked) <= 8 < calls


def test_what_one_process_of_a_consumer_knows_the_others_need_not_ask_for(huey, filename):
    asked = []
    other = SqliteHuey(filename=filename)
    other.storage.has_subscribers = lambda: asked.append(1) or True
    huey.emitter.silence = other.emitter.silence = board = Board(1)
    huey.emitter.learn(False, clock.monotonic() + clock.MINUTE)
    assert not other.emitter.is_listened()
    assert not asked
    huey.emitter.learn(True, clock.monotonic())
    assert huey.emitter.is_listened()
    assert board.silent_until == 0
    assert other.emitter.is_listened()
    assert len(asked) == 1
    other.storage.close()
