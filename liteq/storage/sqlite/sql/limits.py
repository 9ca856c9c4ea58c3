"""Rate limits and counters."""

from __future__ import annotations

from typing import Final

# Rate limits

LAST_HIT: Final = "SELECT max(number) FROM hit WHERE queue = ? AND name = ?"

GET_HIT: Final = "SELECT boot, ticks, wall FROM hit WHERE queue = ? AND name = ? AND number = ?"

INSERT_HIT: Final = """
INSERT INTO hit (queue, name, number, boot, ticks, wall, until) VALUES (?, ?, ?, ?, ?, ?, ?)"""

DELETE_OLD_HITS: Final = "DELETE FROM hit WHERE queue = ? AND name = ? AND number <= ?"

HITS: Final = "SELECT boot, ticks, wall FROM hit WHERE queue = ? AND name = ? ORDER BY number DESC"

CLEAR_HITS: Final = "DELETE FROM hit WHERE queue = ? AND name = ? RETURNING 1"

# Three ranges of the index: this boot, and those before it (by the wall clock), whose names sort either way.
HITS_THAT_ARE_OVER: Final = """
SELECT queue, name, number FROM hit WHERE queue = ?1 AND boot = ?2 AND until <= ?3
UNION ALL SELECT queue, name, number FROM hit WHERE queue = ?1 AND boot < ?2 AND wall - ticks + until <= ?4
UNION ALL SELECT queue, name, number FROM hit WHERE queue = ?1 AND boot > ?2 AND wall - ticks + until <= ?4
LIMIT ?5"""

DELETE_HIT: Final = "DELETE FROM hit WHERE queue = ? AND name = ? AND number = ?"

# Counters

GET_COUNTER: Final = "SELECT value FROM counter WHERE queue = ? AND key = ?"

PUT_COUNTER: Final = """
INSERT INTO counter (queue, key, value) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, key) DO UPDATE SET value = ?3"""

DELETE_COUNTER: Final = "DELETE FROM counter WHERE queue = ? AND key = ? RETURNING 1"
