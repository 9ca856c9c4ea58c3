"""How SQLite finds what each statement is about: never by looking at all rows, where there can be many."""

from __future__ import annotations

import re

import apsw
import pytest

from liteq.storage.sqlite import schema, sql

SMALL = frozenset({
    "claim",  # what workers have in hand
    "consumer",
    "progress",  # a row of a claim
    "pause",
    "sqlite_schema", "sqlite_master", "sqlite_sequence",
})  # fmt: skip
"""Tables that are small however much waits: they may be looked through."""

VALUES = frozenset(
    {"CONSTANT", "json_each", "wanted", "asked", "pragma_application_id", "pragma_user_version"}
)
"""What a plan calls parameters, lists that a caller gives, and values without a table."""

WHOLE = {
    "PENDING": "both parts are read in order and have a limit; at most twice that is sorted",
    "PROMOTE_DUE": "`s` is the part of the schedule that is due, read in order and with a limit",
    "PARK": "`p` is the head of the line, with a limit",
    "READY_MESSAGES_OF_ID": "sorts the messages of one id, which is nearly always one",
    "RUNNING": "sorts claims",
    "CLAIMS_OF": "sorts claims",
    "CLAIMS_EXPIRED": "sorts claims",
    "REVOKED_CLAIMS": "groups claims",
    "DEAD": "dead messages are few: somebody should look at each",
    "COUNT_DEAD": "the same",
    "DEAD_BEFORE": "the same",
    "QUEUES": "of `liteq status` only; 17 ms for 200,000 messages",
    "FLUSH": "deletes all",
}
"""Statements that look at more than they need, and why that is well."""

UPKEEP = frozenset({
    "INTEGRITY", "OBJECTS", "COUNT_ROWS", "COUNT_QUEUES", "STATE_TABLES", "STATE_ROWS", "STATELESS", "OVERSTATED",
    "WITHOUT_MESSAGE", "MISPLACED", "ALL_CONSUMERS", "NUMBERS", "FORGET_CONSUMERS",
    "RAISE_CONSUMERS", "START_CONSUMERS",
})  # fmt: skip
"""What backup, restore and verify do: they read the whole file."""

BY_QUEUE_ALONE = {
    **dict.fromkeys(
        ("READY_MESSAGES", "NEXT_DUE", "TOP_RANK", "PENDING", "SCHEDULED", "PARK", "RESULTS"), "in order"
    ),
    **dict.fromkeys(("COUNT_PENDING", "COUNT_SCHEDULED", "COUNT_RESULTS", "COUNT_WAITING"), "counts"),
    **dict.fromkeys(("ANY_PARKED", "ANY_REVOCATION", "ANY_LOCK_OF_A_CLAIM"), "ends at the first row"),
    "RELEASE_LOCKS_WITHOUT_CLAIM": "only if a claim has a lock",
    "LOCKS": "shows all",
    "ENTRIES": "shows all",
    "FLUSH": "deletes all",
    "DELETE_SCHEDULED": "looks through the schedule for each withdrawal: an index of its own would cost more",
}
"""Statements that find rows by nothing but their queue: all of it, unless they end early."""

# With the short names that some of them have in statements.
MANY = "priority|parked|schedule|queue|result|stage|member|lock|hit|revocation|history"


def statements() -> list[tuple[str, str]]:
    """All statements, by name."""
    found = []
    for name, value in vars(sql).items():
        if name.isupper() and name not in UPKEEP:
            found += [(name, one) for one in ((value,) if isinstance(value, str) else value)]
    return found


@pytest.fixture(scope="module")
def connection():
    made = apsw.Connection(":memory:")
    for statement in schema.TABLES:
        made.execute(statement)
    yield made
    made.close()


def plan(connection: apsw.Connection, statement: str) -> list[str]:
    """The steps in which SQLite does it."""
    numbers = [int(number) for number in re.findall(r"\?(\d+)", statement)]
    parameters = [None] * (max(numbers) if numbers else statement.count("?"))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def whole(steps: list[str]) -> list[str]:
    """The steps that look at all rows of something that can be large, or sort."""
    scans = [(step, re.match(r"SCAN (\(?[\w-]+\)?)", step)) for step in steps]
    return [
        step
        for step, scan in scans
        if "TEMP B-TREE" in step or (scan and scan[1] not in SMALL | VALUES)
    ]  # fmt: skip


each = pytest.mark.parametrize(("name", "statement"), statements(), ids=lambda value: str(value)[:40])


@each
def test_no_statement_looks_at_all_rows_or_sorts(name, statement, connection):
    assert name in WHOLE or whole(plan(connection, statement)) == []


@each
def test_no_statement_finds_rows_by_their_queue_alone(name, statement, connection):
    steps = plan(connection, statement)
    broad = [step for step in steps if re.match(rf"SEARCH ({MANY}|[pqs]) .* \(queue=\?\)$", step)]
    assert name in BY_QUEUE_ALONE or broad == []


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"FLUSH"}))
def test_no_waiver_is_out_of_date(name, connection):
    assert whole(plan(connection, getattr(sql, name))) or name.startswith("COUNT")


@pytest.mark.parametrize("statement", [
    "SELECT * FROM queue WHERE name = ?", "SELECT * FROM schedule WHERE queue = ? ORDER BY attempt",
])  # fmt: skip
def test_a_bad_plan_is_seen(statement, connection):
    assert whole(plan(connection, statement))
