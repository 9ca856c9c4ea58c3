"""All documents: what they tell to run runs, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import liteq
from liteq import bounds, signals
from liteq.serializer import Serializer
from liteq.storage.base import Storage
from liteq.storage.contract.events import EventContract
from liteq.storage.sqlite import SqliteStorage, schema
from liteq.workers.options import FILES_BESIDES, FILES_OF_WORKER
from tests.servers import redis_server

from .documents import ENVIRONMENT, ROOT, Reader, blocks, documents, links, table

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
def test_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if page.stem == "redis":
        monkeypatch.setitem(ENVIRONMENT, "REDIS_URL", redis_server().url)
    reader = Reader(tmp_path)
    try:
        reader.follow(page)
    finally:
        codes = reader.stop()
    assert not any(codes), reader.log
    assert reader.commands, "a page that shows nothing"


def test_the_page_about_security_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ENVIRONMENT, "QUEUE_SECRETS", "a-new-secret an-old-one")
    reader = Reader(tmp_path)
    try:
        reader.follow(ROOT / "docs/security.md")
    finally:
        codes = reader.stop()
    assert (codes, reader.commands) == ([0], 2), reader.log


def test_the_limits_are_those_of_the_code():
    rows = {row[0]: row[1] for row in table(ROOT / "docs/reference/limits.md", "what")}
    assert rows["`priority`"] == f"{-bounds.LARGEST:,} to {bounds.LARGEST:,}"
    assert rows["`retries`"] == f"0 to {bounds.LARGEST:,}"
    [names] = [limit for what, limit in rows.items() if what.startswith("ids, keys")]
    assert names == f"{bounds.LONGEST_NAME:,} characters of UTF-8"
    [stages] = [limit for what, limit in rows.items() if what.startswith("stages of a pipeline")]
    assert stages.startswith(f"{bounds.LONGEST_PIPELINE};")
    [payload] = [limit for what, limit in rows.items() if what.startswith("a task, with its arguments")]
    assert payload.startswith(f"{SqliteStorage.capabilities.max_payload:,} bytes")
    assert f"{Serializer().max_decompressed:,} bytes" in rows["a value before compression"]
    assert rows["workers of a consumer"].startswith(
        f"{FILES_OF_WORKER} open files each, and {FILES_BESIDES}:"
    )


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
    ("durability", "synchronous"), [("full", "NORMAL"), ("normal", "NORMAL"), ("off", "OFF")]
)
def test_durability_is_the_level_of_synchronous_that_the_table_says(
    durability: str, synchronous: str, tmp_path: Path
):
    [row] = [row for row in table(GUARANTEES, "`durability`") if row[0].startswith(f'`"{durability}"`')]
    assert row[1].startswith(f"`{synchronous}`")
    assert ("sync of the log" in row[1]) is (durability == "full")
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


def test_the_contract_of_storage_has_all_verbs():
    text = (ROOT / "docs/reference/storage-contract.md").read_text()
    rows = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    public = {
        name
        for part in Storage.__mro__
        for name in {**vars(part), **vars(part).get("__annotations__", {})}
        if name[0] != "_"
    }
    assert sorted(documented) == sorted(public), "each once"
    optional = {
        name for name in public - Storage.__abstractmethods__ if callable(getattr(Storage, name, None))
    }
    named = re.search(r"^.*need not be written", text, re.MULTILINE)[0]
    assert optional - set(re.findall(r"`(\w+)`", named)) == set(vars(EventContract)) & optional


OLDER_NAMES = """
Invoker BaseConfiguration QUEUE RESULT_STORE TASK_STORE PERIODIC THREADS LOGFILE LOGLEVEL BACKOFF INITIAL_DELAY
MAX_DELAY UTC BaseQueue BaseDataStore BaseSchedule BaseEventEmitter RedisQueue RedisBlockingQueue RedisDataStore
RedisSchedule RedisEventEmitter RedisHuey read_timeout write read remove flush __len__ blocking put get peek add emit
EmptyData queue_command periodic_command task periodic_task retries_as_argument include_task crontab schedule
convert_utc call_local task_class revoke restore is_revoked AsyncData TaskResultWrapper QueueTask then TaskWrapper
store_none always_eager result_store DataStoreTimeout QueueException EVENT_LOCKED run_huey HUEY HUEY_CONFIG db_task
db_periodic_task enqueued scheduled revoked started finished error retrying status id retries retry_delay
execute_time traceback lock_task huey_consumer enqueue
"""
"""All that the manuals of huey 0.3, 0.4 and 1 name."""


@pytest.mark.parametrize("name", OLDER_NAMES.split())
def test_the_older_names_are_told(name: str):
    text = (ROOT / "docs/reference/older-names.md").read_text()
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text)


def test_the_names_that_still_work_do():
    for module, name in (
        ("liteq.api", "AsyncData"),
        ("liteq.api", "TaskResultWrapper"),
        ("liteq.api", "QueueTask"),
        ("liteq.exceptions", "DataStoreTimeout"),
        ("liteq.exceptions", "QueueException"),
    ):
        assert f"**`{module}.{name}`**" in (ROOT / "docs/reference/older-names.md").read_text()
        assert hasattr(importlib.import_module(module), name)


def test_the_defaults_of_a_folder_are_those_of_the_code(tmp_path: Path):
    rows = {row[0]: row[2] for row in table(ROOT / "docs/reference/backends.md", "option")}
    assert rows["`history`"] == f"{liteq.FileHuey(path=tmp_path).storage.retention.entries:,}"
