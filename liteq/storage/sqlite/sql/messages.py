"""Messages: arrival, claims and their ends."""

from __future__ import annotations

from typing import Final

# Arrival

INSERT_MESSAGE: Final = """
INSERT INTO queue (queue, id, name, priority, at_most_once, links, data) VALUES (?, ?, ?, ?, ?, ?, ?)"""

INSERT_READY: Final = "INSERT INTO priority (queue, rank, seq, attempt, crashes) VALUES (?, ?, ?, ?, ?)"

INSERT_ALL_READY: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT queue, -priority, seq, 0, 0 FROM queue WHERE seq BETWEEN ? AND ?"""

INSERT_SCHEDULED: Final = "INSERT INTO schedule (queue, due, seq, attempt, crashes) VALUES (?, ?, ?, ?, ?)"

# The schedule

NEXT_DUE: Final = "SELECT due FROM schedule WHERE queue = ? ORDER BY due LIMIT 1"

PROMOTE_DUE: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT s.queue, -q.priority, s.seq, s.attempt, s.crashes
FROM (SELECT * FROM schedule WHERE queue = ?1 AND due <= ?2 ORDER BY due, seq LIMIT ?3) AS s
JOIN queue AS q ON q.seq = s.seq"""

DELETE_PROMOTED: Final = """
DELETE FROM schedule WHERE (queue, due, seq) IN (
    SELECT queue, due, seq FROM schedule WHERE queue = ?1 AND due <= ?2 ORDER BY due, seq LIMIT ?3)"""

DUE_MESSAGES: Final = """
SELECT q.seq, q.data, q.links FROM schedule AS s JOIN queue AS q ON q.seq = s.seq
WHERE s.queue = ? AND s.due <= ? ORDER BY s.due, s.seq"""

DELETE_DUE: Final = "DELETE FROM schedule WHERE queue = ? AND due <= ?"

# Claims

# Large data is left out: the length of a value is known without reading it.
READY_MESSAGES: Final = """
SELECT p.rank, p.seq, p.attempt, p.crashes, q.id, q.name,
    CASE WHEN ? >= length(q.data) IS NOT FALSE THEN q.data END, q.at_most_once, q.links
FROM priority AS p JOIN queue AS q ON q.seq = p.seq
WHERE p.queue = ? ORDER BY p.rank, p.seq LIMIT ?"""

READY_MESSAGES_OF_ID: Final = """
SELECT p.rank, p.seq, p.attempt, p.crashes, q.id, q.name,
    CASE WHEN ? >= length(q.data) IS NOT FALSE THEN q.data END, q.at_most_once, q.links
FROM queue AS q JOIN priority AS p ON p.queue = q.queue AND p.rank = -q.priority AND p.seq = q.seq
WHERE q.queue = ? AND q.id = ? ORDER BY p.seq LIMIT ?"""

DELETE_READY: Final = "DELETE FROM priority WHERE queue = ? AND rank = ? AND seq = ?"

INSERT_CLAIM: Final = """
INSERT INTO claim (seq, queue, owner, attempt, crashes, revoked, lease) VALUES (?, ?, ?, ?, ?, ?, ?)"""

EXTEND_CLAIMS: Final = "UPDATE claim SET lease = ? WHERE queue = ? AND owner = ?"

_CLAIMED: Final = """
SELECT c.seq, c.attempt, c.owner, q.id, q.name,
    CASE WHEN ? >= length(q.data) IS NOT FALSE THEN q.data END,
    q.priority, c.crashes, q.at_most_once, c.revoked, q.links
FROM claim AS c JOIN queue AS q ON q.seq = c.seq"""

CLAIMED_DATA: Final = """
SELECT q.data FROM claim AS c JOIN queue AS q ON q.seq = c.seq
WHERE c.seq = ? AND c.attempt = ? AND c.owner = ? AND c.queue = ?"""

TOP_RANK: Final = """
SELECT min(rank) FROM (
    SELECT (SELECT rank FROM priority WHERE queue = ?1 ORDER BY rank LIMIT 1) AS rank
    UNION ALL
    SELECT (SELECT rank FROM parked WHERE queue = ?1 AND name = u.name ORDER BY rank LIMIT 1)
    FROM pause AS u WHERE u.queue = ?1 AND u.resumed
) WHERE NOT EXISTS (SELECT 1 FROM pause WHERE queue = ?1 AND name = '' AND NOT resumed)"""

CLAIMS_OF: Final = _CLAIMED + " WHERE c.queue = ? AND c.owner = ? ORDER BY -q.priority, c.seq"

CLAIMS_EXPIRED: Final = _CLAIMED + " WHERE c.queue = ? AND c.lease <= ? ORDER BY -q.priority, c.seq"

# The end of a claim

CLAIMS_HELD: Final = """
SELECT seq, attempt, owner, crashes FROM claim
WHERE seq IN (SELECT value FROM json_each(?1)) AND queue = ?2"""

DELETE_CLAIMS: Final = "DELETE FROM claim WHERE seq IN (SELECT value FROM json_each(?))"

DELETE_MESSAGES: Final = "DELETE FROM queue WHERE seq IN (SELECT value FROM json_each(?))"

# See the schema.
LEAVE_MARK: Final = """
INSERT INTO queue (seq, queue, id, name, priority, at_most_once, data)
SELECT ?1, '', '', '', 0, 0, x'' WHERE ?1 > 0 AND NOT EXISTS (SELECT 1 FROM queue WHERE seq >= ?1)"""

DELETE_OLD_MARKS: Final = "DELETE FROM queue WHERE queue = '' AND id = '' AND seq < ?"

RETURN_TO_READY: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT queue, -priority, seq, ?2, ?3 FROM queue WHERE seq = ?1"""

INSERT_DEAD: Final = """
INSERT INTO dead (seq, queue, attempt, crashes, died, reason, exit_code, peak_memory)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

REVIVE: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT q.queue, -q.priority, q.seq, d.attempt, 0 FROM queue AS q JOIN dead AS d ON d.seq = q.seq
WHERE q.queue = ?1 AND q.id = ?2"""

DELETE_REVIVED: Final = """
DELETE FROM dead WHERE seq IN (SELECT seq FROM queue WHERE queue = ?1 AND id = ?2)"""

# By id

IS_CLAIMED: Final = """
SELECT EXISTS (SELECT 1 FROM queue AS q JOIN claim AS c ON c.seq = q.seq WHERE q.queue = ? AND q.id = ?)"""

UNCLAIMED: Final = """
SELECT q.seq, -q.priority, q.id FROM json_each(?2) AS wanted CROSS JOIN queue AS q
WHERE q.queue = ?1 AND q.id = wanted.value AND q.links IS NULL
AND NOT EXISTS (SELECT 1 FROM claim AS c WHERE c.seq = q.seq)
AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = q.seq)"""

DELETE_SCHEDULED: Final = """
DELETE FROM schedule WHERE queue = ?1 AND seq IN (SELECT value FROM json_each(?2))"""
