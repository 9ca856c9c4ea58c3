"""The consumer is killed before and after each of its commits in turn, and no chord notices."""

from __future__ import annotations

import pytest

from liteq import Error, chord

from .consumer import get, is_settled, wait_until, wait_until_settled

FRAGILE = """
import signal

@huey.task()
def total(values):
    note(f"total {[value if type(value) is int else type(value).__name__ for value in values]}")
    return sum(value for value in values if type(value) is int)

def _strike(when):
    number, wanted, victim = os.environ["STRIKE"].split()
    if when != wanted:
        return
    fd = os.open(HERE / "commits", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b".")
    if os.fstat(fd).st_size == int(number):  # of all processes together
        os.killpg(0, signal.SIGKILL) if victim == "all" else os.kill(os.getpid(), signal.SIGKILL)
    os.close(fd)

class _Fragile:
    def __init__(self, **options):
        self._write = _real_write(**options)

    def __enter__(self):
        return self._write.__enter__()

    def __exit__(self, *error):
        outermost = self._write._outermost
        if outermost:
            _strike("before")
        self._write.__exit__(*error)
        if outermost:
            _strike("after")

if "STRIKE" in os.environ:
    _real_write = huey.storage.database.write
    huey.storage.database.write = _Fragile
"""


def commits(app):
    path = app.HERE / "commits"
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("victim", ["all", "self"])
def test_a_chord_survives(declare, consume, launch, monkeypatch, when, victim):
    app = declare(FRAGILE)
    number, struck = 0, True
    while struck:
        number += 1
        (app.HERE / "commits").unlink(missing_ok=True)
        (app.HERE / "notes").unlink(missing_ok=True)
        monkeypatch.setenv("STRIKE", f"{number} {when} {victim}")
        inner = chord([app.work.s(1), app.work.s(2)], app.total)
        members = [app.work.s(3).then(app.add, 4), app.fail.s(), inner]
        result = app.huey.enqueue(chord(members, app.total).then(app.add, 5))
        consumer = launch("-w", "2")
        wait_until(lambda: is_settled(app) or consumer.process.poll() is not None)
        if consumer.process.poll() is None:
            consumer.stop()
        consumer.wait_all_dead()
        struck = commits(app) >= number
        monkeypatch.delenv("STRIKE")
        if not is_settled(app):
            consumer = consume("-w", "2")
            wait_until_settled(app)
            assert consumer.stop() == 0
        check(app, result)
    assert number > 5, "it was never killed"


def check(app, result):
    """The chord came to its one end, and every list was whole."""
    assert get(result.pipeline_results) == [10, 15]
    members = [handle.get_raw_result() for handle in result.results]
    assert (members[0], type(members[1]), members[2]) == (7, Error, 3)
    notes = app.notes()
    assert set(notes) == {"1", "2", "3", "total [1, 2]", "total [7, 'Error', 3]"}
    assert max(map(notes.count, notes)) <= 2  # it was killed once
    assert app.huey.dead() == []
    assert app.huey.result_count() == 3  # of the first stage, and of the inner members
    with app.huey.storage.database.read() as connection:
        for table in ("queue WHERE queue <> ''", "chord", "member", "stage", "claim", "priority"):
            assert connection.execute(f"SELECT count(*) FROM {table}").get == 0, table
    app.huey.flush()
