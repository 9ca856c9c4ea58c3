"""Revocations."""

from __future__ import annotations

from typing import Final

PUT_REVOCATION: Final = """
INSERT INTO revocation (queue, key, until, once, terminate) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (queue, key) DO UPDATE SET until = ?3, once = ?4, terminate = ?5"""

GET_REVOCATION: Final = "SELECT until, once, terminate FROM revocation WHERE queue = ? AND key = ?"

REVOKED_CLAIMS: Final = """
SELECT c.seq, c.attempt, c.owner, max(r.terminate) FROM claim AS c JOIN queue AS q ON q.seq = c.seq
JOIN revocation AS r ON r.queue = ?1 AND r.key IN ('r:' || q.id, 'rt:' || q.name)
WHERE c.queue = ?1 AND c.owner = ?2 AND NOT c.revoked AND (r.once OR r.until IS NULL OR r.until > ?3)
GROUP BY c.seq, c.attempt, c.owner"""

DELETE_REVOCATION: Final = "DELETE FROM revocation WHERE queue = ? AND key = ? RETURNING 1"

ANY_REVOCATION: Final = "SELECT EXISTS (SELECT 1 FROM revocation WHERE queue = ?)"

DELETE_REVOCATION_OF_MESSAGE: Final = """
DELETE FROM revocation WHERE queue = ?1 AND key = (SELECT 'r:' || id FROM queue WHERE seq = ?2)"""
