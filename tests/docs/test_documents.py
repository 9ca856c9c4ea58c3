"""All documents: what they tell to run runs, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import liteq
from liteq import signals
from liteq.storage.sqlite import schema

from .documents import ROOT, Reader, blocks, documents, links, table

GUARANTEES = ROOT / "docs/guarantees.md"

each = pytest.mark.parametrize("document", documents(), ids=lambda path: path.stem)


@each
def test_links_lead_somewhere(document: Path):
    assert [target for target in links(document) if not target.exists()] == []


def test_the_tutorial_runs(tmp_path: Path):
    reader = Reader(tmp_path)
    try:
        reader.follow(ROOT / "docs/tutorial.md")
    finally:
        codes = reader.stop()
    assert (codes, reader.commands) == ([0], 4), reader.log


@pytest.mark.parametrize("page", sorted((ROOT / "docs/how-to").glob("*.md")), ids=lambda path: path.stem)
def test_the_page_runs(page: Path, tmp_path: Path):
    reader = Reader(tmp_path)
    try:
        reader.follow(page)
    finally:
        codes = reader.stop()
    assert not any(codes), reader.log
    assert reader.commands, "a page that shows nothing"


def test_the_files_of_the_tutorial_that_are_not_run_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    [hooks] = [block for block in blocks(ROOT / "docs/tutorial.md") if block.filename == "hooks.py"]
    namespace = {}
    exec(hooks.text, namespace)
    assert namespace["huey"].hooks.startup
    assert namespace["huey"].hooks.post_execute


def test_the_table_of_tables_is_that_of_the_file():
    created = [re.search(r"CREATE TABLE (\w+)", statement) for statement in schema.TABLES]
    documented = [name.strip("`") for name, _ in table(GUARANTEES, "table")]
    assert documented == [found[1] for found in created if found]


def test_the_marks_of_the_file_are_those_of_the_schema():
    text = GUARANTEES.read_text()
    assert f"`0x{schema.APPLICATION_ID:08X}`" in text
    assert f"schema's version, {schema.VERSION}," in text


@pytest.mark.parametrize(
    ("durability", "synchronous"), [("full", "FULL"), ("normal", "NORMAL"), ("off", "OFF")]
)
def test_durability_is_the_level_of_synchronous_that_the_table_says(
    durability: str, synchronous: str, tmp_path: Path
):
    [row] = [row for row in table(GUARANTEES, "`durability`") if row[0].startswith(f'`"{durability}"`')]
    assert row[1] == f"`{synchronous}`"
    huey = liteq.SqliteHuey(filename=tmp_path / "queue.db", durability=durability)
    with huey.storage.database.write() as transaction:
        level = transaction.connection.pragma("synchronous")
    huey.storage.close()
    assert level == ["OFF", "NORMAL", "FULL"].index(synchronous)


def test_the_table_of_signals_is_that_of_the_module():
    existing = {value for name, value in vars(signals).items() if name.startswith("SIGNAL_")}
    documented = [row[0].strip("`") for row in table(ROOT / "docs/reference/signals.md", "signal")]
    assert sorted(documented) == sorted(existing)


def test_the_modules_that_are_named_are_there():
    named = set(re.findall(r"`(liteq(?:\.\w+)+)`", (ROOT / "docs/reference/modules.md").read_text()))
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []
    parts = {base.__module__ for base in liteq.Huey.__bases__}
    assert parts - named == set()


def test_the_changelog_has_the_version_or_a_place_for_it():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" if ".dev" in liteq.__version__ else liteq.__version__ in headings
