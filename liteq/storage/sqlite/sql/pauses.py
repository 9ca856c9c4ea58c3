"""Pauses, and the messages that are parked because of them."""

from __future__ import annotations

from typing import Final

PAUSES: Final = "SELECT name, resumed FROM pause WHERE queue = ?"

PAUSED: Final = "SELECT name FROM pause WHERE queue = ? AND NOT resumed"

PAUSE: Final = """
INSERT INTO pause (queue, name, resumed) VALUES (?, ?, FALSE)
ON CONFLICT (queue, name) DO UPDATE SET resumed = FALSE WHERE resumed RETURNING 1"""

RESUME: Final = """
UPDATE pause SET resumed = TRUE WHERE queue = ? AND name = ? AND NOT resumed RETURNING 1"""

DELETE_PAUSE: Final = "DELETE FROM pause WHERE queue = ? AND name = ?"

PARK: Final = """
INSERT INTO parked (queue, name, rank, seq, attempt, crashes)
SELECT p.queue, q.name, p.rank, p.seq, p.attempt, p.crashes
FROM (SELECT * FROM priority WHERE queue = ?1 ORDER BY rank, seq LIMIT ?2) AS p
JOIN queue AS q ON q.seq = p.seq
JOIN pause AS u ON u.queue = p.queue AND u.name = q.name AND NOT u.resumed
RETURNING queue, rank, seq"""

UNPARK: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT queue, rank, seq, attempt, crashes FROM parked
WHERE queue = ?1 AND name = ?2 ORDER BY rank, seq LIMIT ?3"""

ANY_PARKED: Final = "SELECT EXISTS (SELECT 1 FROM parked WHERE queue = ?)"

UNPARK_IDS: Final = """
DELETE FROM parked WHERE (queue, name, rank, seq) IN (
    SELECT q.queue, q.name, -q.priority, q.seq FROM json_each(?2) AS wanted CROSS JOIN queue AS q
    WHERE q.queue = ?1 AND q.id = wanted.value)
RETURNING queue, rank, seq, attempt, crashes"""

DELETE_UNPARKED: Final = """
DELETE FROM parked WHERE (queue, name, rank, seq) IN (
    SELECT queue, name, rank, seq FROM parked WHERE queue = ?1 AND name = ?2 ORDER BY rank, seq LIMIT ?3)"""
