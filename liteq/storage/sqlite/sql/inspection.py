"""What a queue holds."""

from __future__ import annotations

from typing import Final

PENDING: Final = """
SELECT q.data FROM priority AS p JOIN queue AS q ON q.seq = p.seq
WHERE p.queue = ? ORDER BY p.rank, p.seq LIMIT ?"""

COUNT_PENDING: Final = "SELECT count(*) FROM priority WHERE queue = ?"

SCHEDULED: Final = """
SELECT q.data FROM schedule AS s JOIN queue AS q ON q.seq = s.seq
WHERE s.queue = ? ORDER BY s.due, s.seq LIMIT ?"""

COUNT_SCHEDULED: Final = "SELECT count(*) FROM schedule WHERE queue = ?"

COUNT_WAITING: Final = "SELECT count(*) FROM chord WHERE queue = ?"

COUNT_RUNNING: Final = "SELECT count(*) FROM claim WHERE queue = ?"

DEAD: Final = """
SELECT q.id, q.name, q.data, d.attempt, d.crashes, d.died, d.reason
FROM dead AS d JOIN queue AS q ON q.seq = d.seq WHERE d.queue = ? ORDER BY d.died DESC, d.seq DESC LIMIT ?"""

FLUSH: Final = tuple(
    f"DELETE FROM {table} WHERE queue = ?"  # noqa: S608 -- names of our own tables
    for table in (
        "priority",
        "schedule",
        "chord",
        "claim",
        "dead",
        "stage",
        "queue",
        "result",
        "revocation",
        "lock",
        "hit",
        "counter",
    )
)
