"""Locks and semaphores."""

from __future__ import annotations

from typing import Final

COUNT_OTHER_HOLDERS: Final = """
SELECT count(*) FROM lock WHERE queue = ? AND name = ? AND token <> ? AND (expires IS NULL OR expires > ?)"""

END_EXPIRED_LOCKS: Final = "DELETE FROM lock WHERE queue = ? AND name = ? AND expires <= ?"

ACQUIRE_LOCK: Final = """
INSERT INTO lock (queue, name, token, host, pid, started, seq, attempt, owner, expires)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
WHERE (SELECT count(*) FROM lock WHERE queue = ?1 AND name = ?2 AND token <> ?3) < ?11
AND (?7 IS NULL OR EXISTS (
    SELECT 1 FROM claim WHERE seq = ?7 AND attempt = ?8 AND owner = ?9 AND queue = ?1))
ON CONFLICT (queue, name, token) DO UPDATE SET expires = excluded.expires
WHERE host = excluded.host AND pid = excluded.pid AND started = excluded.started
AND seq IS excluded.seq AND attempt IS excluded.attempt AND owner IS excluded.owner
RETURNING 1"""

RENEW_LOCK: Final = """
UPDATE lock SET expires = ?7
WHERE queue = ?1 AND name = ?2 AND token = ?3 AND host = ?4 AND pid = ?5 AND started = ?6
AND (expires IS NULL OR expires > ?8) RETURNING 1"""

RELEASE_LOCK: Final = """
DELETE FROM lock
WHERE queue = ?1 AND name = ?2 AND token = ?3 AND host = ?4 AND pid = ?5 AND started = ?6
RETURNING expires IS NULL OR expires > ?7"""

LOCKS: Final = """
SELECT name, token, host, pid, started, seq, attempt, owner, expires FROM lock
WHERE queue = ?1 AND (expires IS NULL OR expires > ?2) ORDER BY name, token"""

LOCKS_OF_NAME: Final = """
SELECT name, token, host, pid, started, seq, attempt, owner, expires FROM lock
WHERE queue = ?1 AND (expires IS NULL OR expires > ?2) AND name = ?3 ORDER BY token"""

CLEAR_LOCK: Final = "DELETE FROM lock WHERE queue = ? AND name = ?"

ANY_LOCK_OF_A_CLAIM: Final = """
SELECT EXISTS (SELECT 1 FROM lock INDEXED BY lock_claim WHERE queue = ? AND seq IS NOT NULL)"""

RELEASE_LOCKS_WITHOUT_CLAIM: Final = """
DELETE FROM lock INDEXED BY lock_claim WHERE queue = ? AND seq IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM claim AS c WHERE c.seq = lock.seq AND c.attempt = lock.attempt AND c.owner = lock.owner)"""

EXPIRED_LOCKS: Final = """
SELECT queue, name, token FROM lock WHERE queue = ? AND expires <= ? ORDER BY expires LIMIT ?"""

DELETE_LOCK: Final = "DELETE FROM lock WHERE queue = ? AND name = ? AND token = ?"
