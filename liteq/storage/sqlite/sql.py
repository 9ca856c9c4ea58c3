"""Every SQL statement of the engine, by name. `?1`, `?2` … are the parameters, as the callers pass them."""

from __future__ import annotations

from typing import Final

# The file

WHAT_IT_IS: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version"""

# Messages: arrival

INSERT_MESSAGE: Final = """
INSERT INTO queue (queue, id, name, priority, at_most_once, chain, data) VALUES (?, ?, ?, ?, ?, ?, ?)
RETURNING seq"""

INSERT_READY: Final = "INSERT INTO priority (queue, rank, seq, attempt, crashes) VALUES (?, ?, ?, ?, ?)"

INSERT_SCHEDULED: Final = "INSERT INTO schedule (queue, due, seq, attempt, crashes) VALUES (?, ?, ?, ?, ?)"

# Messages: the schedule

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
SELECT q.seq, q.data FROM schedule AS s JOIN queue AS q ON q.seq = s.seq
WHERE s.queue = ? AND s.due <= ? ORDER BY s.due, s.seq"""

DELETE_DUE: Final = "DELETE FROM schedule WHERE queue = ? AND due <= ?"

# Messages: claims

READY_MESSAGES: Final = """
SELECT p.rank, p.seq, p.attempt, p.crashes, q.id, q.name, q.data, q.at_most_once, q.chain
FROM priority AS p JOIN queue AS q ON q.seq = p.seq
WHERE p.queue = ? ORDER BY p.rank, p.seq LIMIT ?"""

DELETE_READY: Final = "DELETE FROM priority WHERE queue = ? AND rank = ? AND seq = ?"

INSERT_CLAIM: Final = """
INSERT INTO claim (seq, queue, owner, attempt, crashes, revoked, lease) VALUES (?, ?, ?, ?, ?, ?, ?)"""

EXTEND_CLAIMS: Final = "UPDATE claim SET lease = ? WHERE queue = ? AND owner = ?"

_CLAIMED: Final = """
SELECT c.seq, c.attempt, c.owner, q.id, q.name, q.data, q.priority, c.crashes, q.at_most_once, c.revoked,
    q.chain
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

# Messages: the end of a claim

END_CLAIM: Final = """
DELETE FROM claim WHERE seq = ? AND attempt = ? AND owner = ? AND queue = ?
RETURNING seq, attempt, owner, crashes"""

DELETE_MESSAGE: Final = "DELETE FROM queue WHERE seq = ?"

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

# Consumers

INSERT_CONSUMER: Final = """
INSERT INTO consumer (queue, host, pid, started) VALUES (?, ?, ?, ?) RETURNING id"""

ATTEND_CONSUMER: Final = "UPDATE consumer SET dispatcher_pid = ?, dispatcher_started = ? WHERE id = ?"

DELETE_CONSUMER: Final = "DELETE FROM consumer WHERE id = ?"

CONSUMERS: Final = """
SELECT id, host, pid, started, dispatcher_pid, dispatcher_started FROM consumer WHERE queue = ?"""

# Periodic slots

TAKE_SLOT: Final = """
INSERT INTO slot (queue, name, slot) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, name) DO UPDATE SET slot = ?3 WHERE slot < ?3 OR slot > ?3 + 1440
RETURNING 1"""

KNOW_SLOT: Final = "INSERT OR IGNORE INTO slot (queue, name, slot) VALUES (?, ?, ?)"

# Results

PUT_RESULT: Final = """
INSERT INTO result (queue, key, value) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, key) DO UPDATE SET value = ?3, expires = NULL"""

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

IS_LIVE: Final = """
SELECT EXISTS (
    SELECT 1 FROM queue AS q WHERE q.queue = ?1 AND q.id = ?2
    AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = q.seq)
) OR EXISTS (
    SELECT 1 FROM queue AS q WHERE q.queue = ?1 AND q.chain IS NOT NULL
    AND EXISTS (SELECT 1 FROM json_each(q.chain) AS stage WHERE stage.value = ?2)
    AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.seq = q.seq))"""

# Revocations

PUT_REVOCATION: Final = """
INSERT INTO revocation (queue, key, until, once, terminate) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (queue, key) DO UPDATE SET until = ?3, once = ?4, terminate = ?5"""

GET_REVOCATION: Final = "SELECT until, once, terminate FROM revocation WHERE queue = ? AND key = ?"

ANY_TERMINATION: Final = "SELECT EXISTS (SELECT 1 FROM revocation WHERE queue = ? AND terminate)"

TERMINATIONS: Final = """
SELECT c.seq, c.attempt, c.owner FROM claim AS c JOIN queue AS q ON q.seq = c.seq
WHERE c.queue = ?1 AND c.owner = ?2 AND EXISTS (
    SELECT 1 FROM revocation AS r
    WHERE r.queue = ?1 AND r.terminate AND r.key IN ('r:' || q.id, 'rt:' || q.name))"""

DELETE_REVOCATION: Final = "DELETE FROM revocation WHERE queue = ? AND key = ? RETURNING 1"

ANY_REVOCATION: Final = "SELECT EXISTS (SELECT 1 FROM revocation WHERE queue = ?)"

DELETE_REVOCATION_OF_MESSAGE: Final = """
DELETE FROM revocation WHERE queue = ?1 AND key = (SELECT 'r:' || id FROM queue WHERE seq = ?2)"""

# Inspection

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

COUNT_RUNNING: Final = "SELECT count(*) FROM claim WHERE queue = ?"

DEAD: Final = """
SELECT q.id, q.name, q.data, d.attempt, d.crashes, d.died, d.reason, d.exit_code, d.peak_memory
FROM dead AS d JOIN queue AS q ON q.seq = d.seq WHERE d.queue = ? ORDER BY d.died DESC, d.seq DESC LIMIT ?"""

COUNT_DEAD: Final = "SELECT count(*) FROM dead WHERE queue = ?"

DEAD_OF_ID: Final = """
SELECT d.seq FROM queue AS q JOIN dead AS d ON d.seq = q.seq WHERE q.queue = ? AND q.id = ?"""

DEAD_BEFORE: Final = "SELECT seq FROM dead WHERE queue = ? AND died < ? LIMIT ?"

DELETE_DEAD: Final = "DELETE FROM dead WHERE seq = ?"

FLUSH: Final = (
    *(
        f"DELETE FROM {table} WHERE queue = ?1"  # noqa: S608 -- names of our own tables
        for table in (
            "priority",
            "parked",
            "schedule",
            "claim",
            "dead",
            "queue",
            "result",
            "revocation",
            "progress",
        )
    ),
    """DELETE FROM history WHERE entry >= (SELECT number << 40 FROM history_queue WHERE queue = ?1)
    AND entry < (SELECT (number + 1) << 40 FROM history_queue WHERE queue = ?1)""",
)
