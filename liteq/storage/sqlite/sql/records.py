"""History, progress and states."""

from __future__ import annotations

from typing import Final

# The number of a queue is the upper part of the numbers of its entries, see the schema.

NEXT_ENTRY: Final = """
SELECT 1 + coalesce(
    (SELECT max(entry) FROM history WHERE entry >= n.number << 40 AND entry < (n.number + 1) << 40),
    n.number << 40)
FROM history_queue AS n WHERE n.queue = ?"""

INSERT_HISTORY_QUEUE: Final = "INSERT INTO history_queue (queue) VALUES (?)"

# What most attempts need; a statement with fewer parameters costs less.
INSERT_SUCCESS: Final = """
INSERT INTO history (entry, id, name, attempt, owner, ended, duration, worker, status, reason)
SELECT ?2, id, name, ?3, ?4, ?5, ?6, ?7, 'complete', '' FROM queue WHERE seq = ?1"""

INSERT_ENTRY: Final = """
INSERT INTO history
    (entry, id, name, attempt, owner, ended, duration, worker, status, exit_code, peak_memory, reason)
SELECT ?2, id, name, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM queue WHERE seq = ?1"""

FIRST_AND_LAST_ENTRY: Final = """
SELECT
    (SELECT min(entry) FROM history WHERE entry >= n.number << 40 AND entry < (n.number + 1) << 40),
    (SELECT max(entry) FROM history WHERE entry >= n.number << 40 AND entry < (n.number + 1) << 40)
FROM history_queue AS n WHERE n.queue = ?"""

LAST_OLD_ENTRY: Final = "SELECT max(entry) FROM history WHERE entry >= ? AND entry < ? AND ended <= ?"

DELETE_ENTRIES: Final = "DELETE FROM history WHERE entry >= ? AND entry <= ?"

_ENTRIES: Final = """
SELECT id, name, attempt, owner, status, ended, duration, worker, exit_code, peak_memory, reason
FROM history WHERE entry >= (SELECT number << 40 FROM history_queue WHERE queue = ?1)
AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1)"""

HISTORY: Final = f"""{_ENTRIES}
AND (?3 IS NULL OR id = ?3) AND (?4 IS NULL OR name = ?4) ORDER BY entry DESC LIMIT ?2"""

LAST_ATTEMPT: Final = """
SELECT status FROM history WHERE id = ?2
AND entry >= (SELECT number << 40 FROM history_queue WHERE queue = ?1)
AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1) ORDER BY entry DESC LIMIT 1"""

LAST_FAILURE: Final = """
SELECT entry, status FROM history WHERE id = ?2 AND status <> 'complete'
AND entry >= (SELECT number << 40 FROM history_queue WHERE queue = ?1)
AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1) ORDER BY entry DESC LIMIT 1"""

SUCCESS_SINCE: Final = """
SELECT EXISTS (SELECT 1 FROM history WHERE entry > ?3 AND id = ?2
AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1))"""

# The last arm is the state that can't be looked up by seq, so it is what is left.
STATE: Final = """
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM claim WHERE seq = q.seq) THEN 'claimed'
    WHEN EXISTS (SELECT 1 FROM dead WHERE seq = q.seq) THEN 'dead'
    WHEN EXISTS (SELECT 1 FROM priority WHERE queue = q.queue AND rank = -q.priority AND seq = q.seq)
        THEN 'ready'
    WHEN EXISTS (
        SELECT 1 FROM parked WHERE queue = q.queue AND name = q.name AND rank = -q.priority AND seq = q.seq
    ) THEN 'ready'
    WHEN EXISTS (SELECT 1 FROM chord WHERE seq = q.seq) THEN 'waiting'
    ELSE 'scheduled' END
FROM queue AS q WHERE q.queue = ? AND q.id = ? ORDER BY q.seq DESC LIMIT 1"""

IS_CHAINED: Final = """
SELECT EXISTS (
    SELECT 1 FROM stage AS s WHERE s.queue = ?1 AND s.id = ?2
    AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = s.seq))"""

RUNNING: Final = """
SELECT q.id, q.name, c.attempt, c.owner, c.started, c.worker, p.done, p.total, p.note, p.at
FROM claim AS c JOIN queue AS q ON q.seq = c.seq LEFT JOIN progress AS p ON p.seq = c.seq
WHERE c.queue = ? ORDER BY c.started IS NULL, c.started, c.seq LIMIT ?"""

NOTE_START: Final = """
UPDATE claim SET started = ?, worker = ? WHERE seq = ? AND attempt = ? AND owner = ? AND queue = ?"""

SET_PROGRESS: Final = """
INSERT OR REPLACE INTO progress (seq, queue, done, total, note, at)
SELECT seq, queue, ?5, ?6, ?7, ?8 FROM claim
WHERE seq = ?1 AND attempt = ?2 AND owner = ?3 AND queue = ?4 RETURNING 1"""

PROGRESS_OF: Final = """
SELECT p.done, p.total, p.note, p.at FROM queue AS q JOIN progress AS p ON p.seq = q.seq
WHERE q.queue = ? AND q.id = ? ORDER BY q.seq DESC LIMIT 1"""

ANY_PROGRESS: Final = "SELECT EXISTS (SELECT 1 FROM progress)"

DELETE_PROGRESS: Final = "DELETE FROM progress WHERE seq = ?"
