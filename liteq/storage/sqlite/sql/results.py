"""Results."""

from __future__ import annotations

from typing import Final

PUT_RESULT: Final = """
INSERT INTO result (queue, key, value, expires) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (queue, key) DO UPDATE SET value = ?3, expires = ?4"""

PUT_RESULT_IF_EMPTY: Final = """
INSERT INTO result (queue, key, value, expires) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (queue, key) DO UPDATE SET value = ?3, expires = ?4 WHERE result.expires <= ?5
RETURNING 1"""

PEEK_RESULT: Final = """
SELECT value FROM result WHERE queue = ? AND key = ? AND (expires IS NULL OR expires > ?)"""

POP_RESULT: Final = """
DELETE FROM result WHERE queue = ?1 AND key = ?2 RETURNING CASE WHEN expires <= ?3 THEN NULL ELSE value END"""

RESULTS: Final = "SELECT key, value FROM result WHERE queue = ? AND (expires IS NULL OR expires > ?)"

COUNT_RESULTS: Final = "SELECT count(*) FROM result WHERE queue = ? AND (expires IS NULL OR expires > ?)"

EXPIRED_RESULTS: Final = """
SELECT queue, key FROM result WHERE queue = ? AND expires <= ? ORDER BY expires LIMIT ?"""

DELETE_RESULT: Final = "DELETE FROM result WHERE queue = ? AND key = ?"

IS_LIVE: Final = """
SELECT EXISTS (
    SELECT 1 FROM queue AS q WHERE q.queue = ?1 AND q.id = ?2
    AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = q.seq)
) OR EXISTS (
    SELECT 1 FROM stage AS s WHERE s.queue = ?1 AND s.id = ?2
    AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = s.seq))"""

ENDED: Final = """
SELECT asked.value FROM json_each(?2) AS asked
WHERE EXISTS (
    SELECT 1 FROM result AS r
    WHERE r.queue = ?1 AND r.key = asked.value AND (r.expires IS NULL OR r.expires > ?3)
) OR NOT (
    EXISTS (
        SELECT 1 FROM queue AS q WHERE q.queue = ?1 AND q.id = asked.value
        AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = q.seq)
    ) OR EXISTS (
        SELECT 1 FROM stage AS s WHERE s.queue = ?1 AND s.id = asked.value
        AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = s.seq)))"""
