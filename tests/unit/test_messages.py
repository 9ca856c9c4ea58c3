"""The values that travel."""

import copy
import os
import pickle
import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from liteq import messages
from liteq.messages import BACK, SKIPPED, Claim, ClaimKey, Disposition, Message, Outcome, Revocation, new_id


def test_an_id_is_a_uuid_of_version_7():
    id = new_id()
    assert str(uuid.UUID(id)) == id
    assert uuid.UUID(id).version == 7
    assert uuid.UUID(id).variant == uuid.RFC_4122


def test_an_id_holds_the_time(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 1_645_557_742_123_000_000)
    assert uuid.UUID(new_id()).int >> 80 == 1_645_557_742_123


def test_ids_made_later_sort_later(monkeypatch):
    ids = []
    for ns in (
        1_600_000_000_000_000_000,
        1_600_000_000_001_000_000,
        1_600_000_000_001_250_000,
        1_800_000_000_000_000_000,
    ):
        monkeypatch.setattr(messages.time, "time_ns", lambda ns=ns: ns)
        ids.append(new_id())
    assert ids == sorted(ids)


@pytest.mark.parametrize("ns", [0, 999_999, 1_000_000, 2**61])
def test_an_id_has_its_form_at_every_moment(monkeypatch, ns):
    monkeypatch.setattr(messages.time, "time_ns", lambda: ns)
    assert uuid.UUID(new_id()).version == 7
    assert len(new_id()) == 36


def test_an_id_holds_the_fraction_of_its_millisecond(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 1_645_557_742_123_750_000)
    assert uuid.UUID(new_id()).int >> 64 & 0xFFF == 0xC00


def test_ids_differ():
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_ids_differ_though_the_application_seeds_random(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 10**18)
    random.seed(1)
    first = new_id()
    random.seed(1)
    assert new_id() != first


def test_ids_of_threads_differ(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 10**18)
    with ThreadPoolExecutor(8) as threads:
        ids = [id for made in threads.map(lambda _: [new_id() for _ in range(5000)], range(8)) for id in made]
    assert len(set(ids)) == 40_000


def test_ids_differ_after_a_fork(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 10**18)
    new_id()  # some chance is left
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, "".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    ours = {new_id() for _ in range(100)}
    os.waitpid(pid, 0)
    theirs = os.read(reader, 10_000).decode()
    os.close(reader)
    os.close(writer)
    assert ours.isdisjoint(theirs[i : i + 36] for i in range(0, len(theirs), 36))


def test_skipped_is_one_object_in_every_process():
    assert pickle.loads(pickle.dumps(SKIPPED)) is SKIPPED
    assert copy.copy(SKIPPED) is SKIPPED
    assert copy.deepcopy([SKIPPED])[0] is SKIPPED
    assert repr(SKIPPED) == "SKIPPED"


def test_the_fence_of_a_claim():
    claim = Claim(7, 2, 3, "id", "app.task", b"", 0, 0, at_most_once=False, revoked=False)
    assert claim.key == ClaimKey(seq=7, attempt=2, owner=3)


def test_a_message_is_ready_and_may_run_again_unless_it_says_otherwise():
    assert Message("id", "app.task", b"")[3:] == (0, None, False, (), 0, 0, None, None)


def test_going_back_causes_nothing():
    assert Outcome(Disposition.BACK, "released", (), (), "") == BACK


@pytest.mark.parametrize(
    ("revocation", "holds"),
    [
        (Revocation(), True),
        (Revocation(once=True), True),
        (Revocation(until=101), True),
        (Revocation(until=100), False),
        (Revocation(until=99), False),
    ],
)
def test_whether_a_revocation_holds(revocation, holds):
    assert revocation.holds(100) is holds
