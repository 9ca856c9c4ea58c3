"""The suite that backends of others can run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import liteq.testing.conformance as suite
from liteq.testing.conformance import _FIXTURES, _MODULES

from .running import ROOT

HELPERS = {"__init__", "building", "drawing", "fixtures", "model"}


def test_no_module_is_left_out():
    found = {path.stem for path in Path(suite.__file__).parent.glob("*.py")}
    assert found == HELPERS | set(_MODULES)


def test_it_offers_tests_and_fixtures_alone():
    assert [name for name in suite.__all__ if not name.startswith("test_")] == list(_FIXTURES)
    assert len(suite.__all__) > 200


BACKEND = """
import pytest
from liteq.storage import MemoryStorage
from liteq.testing.conformance import *

class Forgetful(MemoryStorage):
    {fault}

@pytest.fixture
def make_storage():
    return Forgetful
"""


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        ("pass", ""),
        ("def pop_result(self, key): return self.peek_result(key)", "test_one_of_many_pops_gets_the_value"),
        ("def extend(self, owner, lease): return len(self.held(owner))", "test_extend_moves_all_leases"),
    ],
)
def test_a_backend_of_ones_own_passes_or_fails(tmp_path, fault, failing):
    (tmp_path / "test_mine.py").write_text(BACKEND.format(fault=fault))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "test_mine.py",
    ]
    if failing:
        command += ["-k", failing]
    done = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode == 0) is (not failing), done.stdout
    assert failing in done.stdout
    if failing:
        assert "assert " in done.stdout.partition("FAILURES")[2], "it shows what was compared"
