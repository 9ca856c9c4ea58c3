"""What a queue holds."""

from __future__ import annotations

from typing import Final

PENDING: Final = """
SELECT q.data FROM (
    SELECT rank, seq FROM (SELECT rank, seq FROM priority WHERE queue = ?1 ORDER BY rank, seq LIMIT ?2)
    UNION ALL
    SELECT rank, seq FROM (SELECT rank, seq FROM parked WHERE queue = ?1 ORDER BY rank, seq LIMIT ?2)
) AS p JOIN queue AS q ON q.seq = p.seq ORDER BY p.rank, p.seq LIMIT ?2"""

COUNT_PENDING: Final = """
SELECT (SELECT count(*) FROM priority WHERE queue = ?1) + (SELECT count(*) FROM parked WHERE queue = ?1)"""

SCHEDULED: Final = """
SELECT q.data FROM schedule AS s JOIN queue AS q ON q.seq = s.seq
WHERE s.queue = ? ORDER BY s.due, s.seq LIMIT ?"""

COUNT_SCHEDULED: Final = "SELECT count(*) FROM schedule WHERE queue = ?"

COUNT_WAITING: Final = "SELECT count(*) FROM chord WHERE queue = ?"

COUNT_RUNNING: Final = "SELECT count(*) FROM claim WHERE queue = ?"

DEAD: Final = """
SELECT q.id, q.name, q.data, d.attempt, d.crashes, d.died, d.reason, d.exit_code, d.peak_memory
FROM dead AS d JOIN queue AS q ON q.seq = d.seq WHERE d.queue = ? ORDER BY d.died DESC, d.seq DESC LIMIT ?"""

COUNT_DEAD: Final = "SELECT count(*) FROM dead WHERE queue = ?"

DEAD_OF_ID: Final = """
SELECT d.seq FROM queue AS q JOIN dead AS d ON d.seq = q.seq WHERE q.queue = ? AND q.id = ?"""

DEAD_BEFORE: Final = "SELECT seq FROM dead WHERE queue = ? AND died < ? LIMIT ?"

DELETE_DEAD: Final = "DELETE FROM dead WHERE seq = ?"

LAST_SEQ: Final = "SELECT coalesce(max(seq), 0) FROM queue"

FLUSH: Final = (
    *(
        f"DELETE FROM {table} WHERE queue = ?1"  # noqa: S608 -- names of our own tables
        for table in (
            "priority",
            "parked",
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
            "progress",
        )
    ),
    """DELETE FROM history WHERE entry >= (SELECT number << 40 FROM history_queue WHERE queue = ?1)
    AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1)""",
)
