"""An application: it indexes the source files of Python's standard library for full-text search.

Each file passes through a pipeline of three tasks, read, count and write; `main.py` enqueues them. In this
directory, `python -m liteq consume app.huey -w 2` runs what is enqueued.
"""

from __future__ import annotations

import ast
import io
import os
import sqlite3
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from liteq import SqliteHuey, Task

STDLIB = Path(sysconfig.get_paths()["stdlib"])
FOLDER = Path(os.environ.get("INDEXER_DIR") or Path(__file__).with_name(".demo")).absolute()
FOLDER.mkdir(parents=True, exist_ok=True)

# Without intermediate errors, waiting for a result means waiting for the last attempt.
huey = SqliteHuey("indexer", filename=FOLDER / "queue.db", store_intermediate_errors=False)

SCHEMA = """
PRAGMA journal_mode = wal;
CREATE TABLE file (path TEXT PRIMARY KEY, lines INTEGER);
CREATE TABLE identifier (name TEXT PRIMARY KEY, uses INTEGER);
CREATE VIRTUAL TABLE source USING fts5 (path UNINDEXED, text);
"""


@contextmanager
def open_index() -> Iterator[sqlite3.Connection]:
    """The search index: a file of its own. Only liteq itself opens the queue's file."""
    # A writer that has to wait for another one for longer than this fails, and the queue runs it again.
    with closing(sqlite3.connect(FOLDER / "index.db", timeout=0.01)) as index:
        index.execute("PRAGMA synchronous = normal")
        yield index


# Later stages have a higher priority: a file that was begun is finished before the next one is read.


@huey.task()
def read(path: str) -> tuple[str, str]:
    """The text of a file. A tuple becomes the arguments of the next task in the pipeline."""
    return path, (STDLIB / path).read_bytes().decode("utf-8", errors="replace")


@huey.task(priority=1)
def count(path: str, text: str) -> tuple[str, str, int, Counter[str]]:
    """Count a file's lines, and how often each name is used in it."""
    names: Counter[str] = Counter()
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
        names.update(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    except (SyntaxError, ValueError):
        pass  # some of the library's tests are wrong on purpose: they have lines, but no names
    return path, text, sum(1 for _ in io.StringIO(text)), names


@huey.task(priority=2, retries=50, retry_delay=0.02, context=True)
def write(path: str, text: str, lines: int, names: Counter[str], task: Task, stumble: bool = False) -> int:
    """Write a file to the index, once; how many retries it took.

    Args:
        path: the file.
        text: what is searched.
        lines: how many there are.
        names: how often each name is used.
        task: this call (because of `context=True`); its `retries` are those that are left.
        stumble: fail at the first attempt, on purpose: so that each run shows a retry.
    """
    retried = write.retries - task.retries
    if stumble and not retried:
        raise RuntimeError(f"{path}: failing on purpose, to be run again")
    with open_index() as index, index:  # one transaction, undone if anything in it raises
        index.execute("BEGIN IMMEDIATE")  # raises "database is locked" if another worker writes for too long
        # A task whose worker dies is run again, perhaps after its commit: so look whether it is done.
        if index.execute("INSERT OR IGNORE INTO file VALUES (?, ?)", (path, lines)).rowcount:
            index.execute("INSERT INTO source VALUES (?, ?)", (path, text))
            index.executemany(
                "INSERT INTO identifier VALUES (?, ?) ON CONFLICT DO UPDATE SET uses = uses + excluded.uses",
                names.items(),
            )
    return retried


@huey.task()
def report(query: str) -> dict[str, Any]:
    """What the index holds, and what it finds."""
    snippet = "snippet(source, 1, '[', ']', ' ... ', 10)"
    search = f"SELECT path, {snippet} FROM source WHERE source MATCH ? ORDER BY rank"
    with open_index() as index:
        files, lines = index.execute("SELECT count(*), sum(lines) FROM file").fetchone()
        return {
            "files": files,
            "lines": lines,
            "order": [path for (path,) in index.execute("SELECT path FROM file ORDER BY rowid")],
            "names": index.execute("SELECT * FROM identifier ORDER BY uses DESC, name LIMIT 10").fetchall(),
            "hits": index.execute(search, (query,)).fetchall(),
        }
