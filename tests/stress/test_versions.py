"""Two versions on one file, for a few seconds; and that the checks would see what they look for."""

from __future__ import annotations

import pytest

from stress.consumer import ROOT
from stress.hazards import versions
from stress.settings import LAST


def test_the_last_version_and_this_one_share_a_file():
    report = versions.run(1, 3, 2)
    assert report.broken == []
    assert report.faults


def test_one_version_instead_of_two_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "unpacked", lambda _version, _folder: ROOT)
    assert any("not of both versions" in one for one in versions.run(1, 1, 1).broken)


def test_a_newer_file_that_is_not_refused_is_found(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(versions.EXIT_CODES, "consume")  # it would not end
    (tmp_path / "a").mkdir()
    broken = versions.refusals(tmp_path / "a", versions.raised(tmp_path / "b"))
    assert any("a call to a newer file" in one for one in broken)
    assert "a newer file was changed" in broken


def test_a_version_by_its_folder(tmp_path):
    assert (versions.unpacked(str(ROOT), tmp_path) / "liteq" / "api.py").exists()


def test_a_version_that_is_not_there(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(LAST, "no-such-version")
    with pytest.raises(FileNotFoundError, match="no-such-version"):
        versions.run(1, 1, 1)
