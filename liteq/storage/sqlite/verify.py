"""Check that a queue's file is whole: SQLite's structures, liteq's tables, what holds between their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import apsw

from liteq.exceptions import StorageError
from liteq.storage.sqlite import schema, sql
from liteq.storage.sqlite.errors import FROM_FILE, translate
from liteq.storage.sqlite.existing import open_existing

_NAMES = {
    "priority": "ready", "schedule": "scheduled", "claim": "running", "chord": "waiting", "parked": "paused",
}  # fmt: skip
"""Of the tables that are not named as the state is."""


@dataclass
class Verification:
    """What a file holds, and what is wrong with it."""

    path: str
    problems: list[str] = field(default_factory=list)
    """In words, for people; empty if the file is whole."""
    states: dict[str, int] = field(default_factory=dict)
    """How many messages are in each state, by its table."""
    queues: int = 0
    results: int = 0

    def named_states(self) -> dict[str, int]:
        """The same, by the names that people know."""
        tables = sorted(self.states, key=lambda table: [*_NAMES, table].index(table))
        return {_NAMES.get(table, table): self.states[table] for table in tables}


def verify(path: str) -> Verification:
    """Look through the whole file; it may be in use meanwhile, and is not changed.

    Raises:
        StorageError: if it can't be read as a queue's file at all.
    """
    try:
        connection = open_existing(path)
    except apsw.Error as error:
        raise translate(error, path) from error
    found = Verification(path)
    try:
        examine(connection, found)
    finally:
        connection.close()
    return found


def examine(connection: apsw.Connection, found: Verification) -> None:
    """Note everything that is wrong with the database of a connection, as one snapshot."""
    try:
        with connection:
            found.problems += [*_of_length(connection), *_of_pages(connection)]
            if not found.problems:
                found.problems += [*_of_schema(connection), *_of_rows(connection, found)]
    except FROM_FILE as error:
        found.problems.append(str(translate(error, found.path)))


def check(path: str) -> None:
    """Refuse a file that is not whole.

    Raises:
        StorageError: if it is not; it says what is wrong.
    """
    found = verify(path)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise StorageError(f"{path}: it is not whole: {found.problems[0]}{more}")


def _of_length(connection: apsw.Connection) -> list[str]:
    """Whether it ends within a page: what is missing reads as zeros, and SQLite may not notice.

    While there is a WAL, that may have the page as well.
    """
    wal = Path(connection.filename_wal)
    if wal.exists() and wal.stat().st_size:
        return []
    size = Path(connection.filename).stat().st_size
    return (
        [f"its {size:,} bytes end within a page; it was cut"] if size % connection.pragma("page_size") else []
    )


def _of_pages(connection: apsw.Connection) -> list[str]:
    return [line for (line,) in connection.execute(sql.INTEGRITY) if line != "ok"]


def _of_schema(connection: apsw.Connection) -> list[str]:
    """What is missing of the tables and indexes, or is there in another form."""
    pattern = apsw.Connection(":memory:")
    for statement in schema.TABLES:
        pattern.execute(statement)
    expected, there = dict(pattern.execute(sql.OBJECTS)), dict(connection.execute(sql.OBJECTS))
    pattern.close()
    missing = [f"{name} is missing" for name in expected if name not in there]
    return missing + [
        f"{name} is not as this version of liteq makes it" for name in expected
        if name in there and there[name] != expected[name]
    ]  # fmt: skip


def _of_rows(connection: apsw.Connection, found: Verification) -> list[str]:
    """What does not hold between messages and their states."""
    tables = [name for (name,) in connection.execute(sql.STATE_TABLES)]
    found.states = {name: connection.execute(sql.COUNT_ROWS.format(name)).get for name in tables}
    found.queues, found.results = connection.execute(sql.COUNT_QUEUES).get
    union = " UNION ALL ".join(sql.STATE_ROWS.format(name) for name in tables)
    checks = [
        ("messages without a state", sql.STATELESS.format(union)),
        ("messages in more than one state", sql.OVERSTATED.format(union)),
        *((f"rows of {name} without their message", sql.WITHOUT_MESSAGE.format(name)) for name in tables),
        ("ready messages that are not in the place of their priority", sql.MISPLACED),
    ]
    return [
        f"{number} {what}, such as {example}"
        for what, statement in checks
        for number, example in connection.execute(statement)
        if number
    ]
