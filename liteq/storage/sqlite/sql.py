"""Every SQL statement of the engine, by name. `?1`, `?2` … are the parameters, as the callers pass them."""

from __future__ import annotations

from typing import Final

# The file

WHAT_IT_IS: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version"""

# Messages: arrival

INSERT_MESSAGE: Final = """
INSERT INTO queue (queue, id, name, priority, at_most_once, links, data) VALUES (?, ?, ?, ?, ?, ?, ?)
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
SELECT q.seq, q.data, q.links FROM schedule AS s JOIN queue AS q ON q.seq = s.seq
WHERE s.queue = ? AND s.due <= ? ORDER BY s.due, s.seq"""

DELETE_DUE: Final = "DELETE FROM schedule WHERE queue = ? AND due <= ?"

# Messages: claims

READY_MESSAGES: Final = """
SELECT p.rank, p.seq, p.attempt, p.crashes, q.id, q.name, q.data, q.at_most_once, q.links
FROM priority AS p JOIN queue AS q ON q.seq = p.seq
WHERE p.queue = ? ORDER BY p.rank, p.seq LIMIT ?"""

READY_MESSAGES_OF_ID: Final = """
SELECT p.rank, p.seq, p.attempt, p.crashes, q.id, q.name, q.data, q.at_most_once, q.links
FROM queue AS q JOIN priority AS p ON p.queue = q.queue AND p.rank = -q.priority AND p.seq = q.seq
WHERE q.queue = ? AND q.id = ? ORDER BY p.seq LIMIT ?"""

DELETE_READY: Final = "DELETE FROM priority WHERE queue = ? AND rank = ? AND seq = ?"

INSERT_CLAIM: Final = """
INSERT INTO claim (seq, queue, owner, attempt, crashes, revoked, lease) VALUES (?, ?, ?, ?, ?, ?, ?)"""

EXTEND_CLAIMS: Final = "UPDATE claim SET lease = ? WHERE queue = ? AND owner = ?"

_CLAIMED: Final = """
SELECT c.seq, c.attempt, c.owner, q.id, q.name, q.data, q.priority, c.crashes, q.at_most_once, c.revoked,
    q.links
FROM claim AS c JOIN queue AS q ON q.seq = c.seq"""

CLAIMED_DATA: Final = """
SELECT q.data FROM claim AS c JOIN queue AS q ON q.seq = c.seq
WHERE c.seq = ? AND c.attempt = ? AND c.owner = ? AND c.queue = ?"""

TOP_RANK: Final = "SELECT rank FROM priority WHERE queue = ? ORDER BY rank LIMIT 1"

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
INSERT INTO dead (seq, queue, attempt, crashes, died, reason) VALUES (?, ?, ?, ?, ?, ?)"""

REVIVE: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT q.queue, -q.priority, q.seq, d.attempt, 0 FROM queue AS q JOIN dead AS d ON d.seq = q.seq
WHERE q.queue = ?1 AND q.id = ?2"""

DELETE_REVIVED: Final = """
DELETE FROM dead WHERE seq IN (SELECT seq FROM queue WHERE queue = ?1 AND id = ?2)"""

# Chords

INSERT_WAITING: Final = """
INSERT INTO chord (seq, queue, id, missing, due, attempt, crashes) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING 1"""

INSERT_MEMBER: Final = """
INSERT INTO member (chord, position, kind, value, ended)
SELECT seq, ?3, ?4, ?5, ?6 FROM chord WHERE queue = ?1 AND id = ?2
ON CONFLICT DO NOTHING RETURNING chord"""

COUNT_ENDED: Final = "UPDATE chord SET missing = missing - ?2 WHERE seq = ?1 RETURNING missing, due"

WAITING_TO_READY: Final = """
INSERT INTO priority (queue, rank, seq, attempt, crashes)
SELECT q.queue, -q.priority, q.seq, c.attempt, c.crashes FROM chord AS c JOIN queue AS q ON q.seq = c.seq
WHERE c.seq = ?"""

WAITING_TO_SCHEDULE: Final = """
INSERT INTO schedule (queue, due, seq, attempt, crashes)
SELECT queue, due, seq, attempt, crashes FROM chord WHERE seq = ?"""

DELETE_WAITING: Final = "DELETE FROM chord WHERE seq = ?"

MEMBERS: Final = "SELECT kind, value, ended FROM member WHERE chord = ? ORDER BY position"

# The outer join tells a chord without members from a claim that is lost.
MEMBERS_FOR_CLAIM: Final = """
SELECT m.kind, m.value, m.ended FROM claim AS c LEFT JOIN member AS m ON m.chord = c.seq
WHERE c.seq = ? AND c.attempt = ? AND c.owner = ? AND c.queue = ? ORDER BY m.position"""

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
ON CONFLICT (queue, name) DO UPDATE SET slot = ?3 WHERE slot < ?3 OR slot > ?3 + 86400000000
RETURNING 1"""

KNOW_SLOT: Final = """
INSERT INTO slot (queue, name, slot) VALUES (?, ?, ?)
ON CONFLICT (queue, name) DO UPDATE SET slot = slot RETURNING slot"""

FORGET_SLOT: Final = "DELETE FROM slot WHERE queue = ? AND name = ?"

# The timetable

GET_ENTRY: Final = "SELECT entry FROM timetable WHERE queue = ? AND name = ?"

PUT_ENTRY: Final = """
INSERT INTO timetable (queue, name, entry) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, name) DO UPDATE SET entry = ?3"""

DELETE_ENTRY: Final = "DELETE FROM timetable WHERE queue = ? AND name = ?"

ENTRIES: Final = "SELECT name, entry FROM timetable WHERE queue = ? ORDER BY name"

TIMETABLE_VERSION: Final = "SELECT version FROM timetable_version WHERE queue = ?"

COUNT_CHANGE_OF_TIMETABLE: Final = """
INSERT INTO timetable_version (queue, version) VALUES (?, 1)
ON CONFLICT (queue) DO UPDATE SET version = version + 1"""

# Results

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

# Locks

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

# Inspection

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
    )  # fmt: skip
)
