"""Backups under load, for a few seconds; and that the checks would see what they look for."""

from __future__ import annotations

import os
import subprocess

import pytest

from liteq import SqliteHuey
from liteq.storage.sqlite.copies import backup as copy_of
from stress.hazards import backup


def test_a_backup_holds_all_that_was_acknowledged_before():
    report = backup.run(1, 4, 2)
    assert report.broken == []
    assert report.figures["finished"]
    assert report.figures["restored"]
    assert report.figures["tasks_in_the_largest"]


def test_a_plain_copy_of_the_file_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """What has been committed is not in it, but in the WAL."""
    original = backup.liteq

    def naive(command, source, destination):
        if command == "backup":
            return subprocess.Popen(["cp", source, destination], stdout=subprocess.PIPE)
        return original(command, source, destination)

    monkeypatch.setattr(backup, "liteq", naive)
    assert any("acknowledged tasks" in one or "can't be used" in one for one in backup.run(1, 2, 2).broken)


@pytest.fixture
def copied(tmp_path):
    """A copy of a queue, and the task in it."""
    huey = SqliteHuey(filename=tmp_path / "queue.db")
    task = huey.task()(len)("x")
    copy_of(str(tmp_path / "queue.db"), str(tmp_path / "copy.db"))
    huey.storage.close()
    return tmp_path / "copy.db", task.id


def test_a_backup_without_a_task(copied):
    copy, id = copied
    assert backup.faults_of(copy, {id}) == []
    assert "lacks 1 acknowledged" in backup.faults_of(copy, {id, "another"})[0]


@pytest.mark.parametrize("size", [0, 10_000])
def test_a_backup_that_is_half_written(copied, size):
    copy, id = copied
    os.truncate(copy, size)
    assert backup.faults_of(copy, {id})
