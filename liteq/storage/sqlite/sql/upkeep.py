"""Whether a file is whole, and how it is copied."""

from __future__ import annotations

from typing import Final

INTEGRITY: Final = "PRAGMA integrity_check(20)"

OBJECTS: Final = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"

COUNT_ROWS: Final = "SELECT count(*) FROM {}"

COUNT_QUEUES: Final = """
SELECT (SELECT count(DISTINCT queue) FROM queue WHERE queue <> ''), (SELECT count(*) FROM result)"""

# Every table that holds messages in one of their states has these columns, and no other table has.
STATE_TABLES: Final = """
SELECT t.name FROM sqlite_schema AS t WHERE t.type = 'table' AND 3 = (
    SELECT count(*) FROM pragma_table_info(t.name) WHERE name IN ('seq', 'attempt', 'crashes'))
ORDER BY t.name"""

STATE_ROWS: Final = "SELECT seq, queue FROM {}"

# Each of these gives how many rows there are that should not be, and the number of one of their messages.

STATELESS: Final = """
SELECT count(*), min(seq)
FROM (SELECT seq, queue FROM queue WHERE queue <> '' EXCEPT SELECT seq, queue FROM ({}))"""

OVERSTATED: Final = """
SELECT count(*), min(seq) FROM (SELECT seq FROM ({}) GROUP BY seq HAVING count(*) > 1)"""

WITHOUT_MESSAGE: Final = """
SELECT count(*), min(s.seq) FROM {} AS s
WHERE NOT EXISTS (SELECT 1 FROM queue AS q WHERE q.seq = s.seq AND q.queue = s.queue)"""

MISPLACED: Final = """
SELECT count(*), min(p.seq) FROM priority AS p JOIN queue AS q ON q.seq = p.seq WHERE p.rank <> -q.priority"""

ALL_CONSUMERS: Final = "SELECT host, pid, started, dispatcher_pid, dispatcher_started FROM consumer"

NUMBERS: Final = """
SELECT coalesce((SELECT max(seq) FROM queue), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'consumer'), 0)"""

FORGET_CONSUMERS: Final = "UPDATE consumer SET host = ?"

RAISE_CONSUMERS: Final = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'consumer'"

START_CONSUMERS: Final = """
INSERT INTO sqlite_sequence (name, seq)
SELECT 'consumer', ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'consumer')"""
