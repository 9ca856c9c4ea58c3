"""The tables of the file, its marks, and how an empty file becomes one.

The message stays in `queue` from its arrival to its end. Its state is the table that has a second, small row
for it: `priority` (ready), `parked` (ready, but paused), `schedule`, `chord` (a callback that waits for
members), `claim` or `dead`. A transition moves that small row.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x4C544551
"""The mark of a liteq file in its header: "LTEQ"."""

VERSION: Final = 1
"""The schema's version, kept in `user_version`."""

PAGE_SIZE: Final = 2_048
"""Bytes of a page of a new file. A commit writes each page that it changes as a whole, and most commits are
small: with SQLite's usual 4,096 bytes a call takes a sixth longer, unless it waits for the disk."""

TABLES: Final = (
    # A seq must never come again, because claims are fenced by it. SQLite gives a new row the number after
    # the highest one that is there. So the last message is not deleted without leaving a mark in its place, a
    # row whose queue has no name. AUTOINCREMENT would write its counter with each message: a page more.
    """CREATE TABLE queue (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        priority INTEGER NOT NULL,
        at_most_once INTEGER NOT NULL,
        links TEXT,
        data BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX queue_id ON queue (queue, id)",
    # The later stages that a message carries: whoever waits for the result of one asks for it by its id. Kept
    # by triggers, because a row that outlived its message would let them wait for ever. Plain tasks have no
    # links.
    """CREATE TABLE stage (
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (queue, id, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER queue_linked AFTER INSERT ON queue WHEN NEW.links IS NOT NULL BEGIN
        INSERT OR IGNORE INTO stage (queue, id, seq)
        SELECT NEW.queue, value, NEW.seq FROM json_each(NEW.links, '$[0]');
    END""",
    """CREATE TRIGGER queue_unlinked AFTER DELETE ON queue WHEN OLD.links IS NOT NULL BEGIN
        DELETE FROM stage WHERE queue = OLD.queue AND seq = OLD.seq
            AND id IN (SELECT value FROM json_each(OLD.links, '$[0]'));
        DELETE FROM member WHERE chord = OLD.seq;
    END""",
    # `rank` is the negative priority, so that the key's own order is the order of work.
    """CREATE TABLE priority (
        queue TEXT NOT NULL,
        rank INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        PRIMARY KEY (queue, rank, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE schedule (
        queue TEXT NOT NULL,
        due INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        PRIMARY KEY (queue, due, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE chord (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        missing INTEGER NOT NULL,
        due INTEGER,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        UNIQUE (queue, id)
    ) STRICT""",
    # `chord` is the seq of the callback; the rows stay as long as its message does, for every attempt at it.
    """CREATE TABLE member (
        chord INTEGER NOT NULL,
        position INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        value BLOB NOT NULL,
        ended INTEGER NOT NULL,
        PRIMARY KEY (chord, position)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE claim (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        owner INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        revoked INTEGER NOT NULL,
        lease INTEGER NOT NULL,
        started INTEGER,
        worker INTEGER
    ) STRICT""",
    """CREATE TABLE dead (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        died INTEGER NOT NULL,
        reason TEXT NOT NULL,
        exit_code INTEGER,
        peak_memory INTEGER
    ) STRICT""",
    # Where the ready messages of paused tasks are, once a claim has met them, with what their place was.
    """CREATE TABLE parked (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        rank INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        PRIMARY KEY (queue, name, rank, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE result (
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        expires INTEGER,
        value BLOB NOT NULL,
        PRIMARY KEY (queue, key)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX result_expires ON result (queue, expires) WHERE expires IS NOT NULL",
    """CREATE TABLE revocation (
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        until INTEGER,
        once INTEGER NOT NULL,
        terminate INTEGER NOT NULL,
        PRIMARY KEY (queue, key)
    ) STRICT, WITHOUT ROWID""",
    # `seq`, `attempt` and `owner` are those of the claim that it belongs to, if it does not to the process.
    """CREATE TABLE lock (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        token TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        seq INTEGER,
        attempt INTEGER,
        owner INTEGER,
        expires INTEGER,
        PRIMARY KEY (queue, name, token)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX lock_claim ON lock (queue, seq) WHERE seq IS NOT NULL",
    "CREATE INDEX lock_expires ON lock (queue, expires) WHERE expires IS NOT NULL",
    # A log of the latest hits of each rate limit; `number` counts them, so that the one that is `limit`
    # places back is found at once.
    """CREATE TABLE hit (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        boot TEXT NOT NULL,
        ticks INTEGER NOT NULL,
        wall INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (queue, name, number)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX hit_until ON hit (queue, boot, until)",
    """CREATE TABLE counter (
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        value INTEGER NOT NULL,
        PRIMARY KEY (queue, key)
    ) STRICT, WITHOUT ROWID""",
    # `resumed` marks a name that is not paused any more, while messages of it are still parked. The name of
    # the queue as a whole is empty.
    """CREATE TABLE pause (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        resumed INTEGER NOT NULL,
        PRIMARY KEY (queue, name)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE progress (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        done ANY NOT NULL,
        total ANY,
        note TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT""",
    # `entry` is the number of the queue in its upper bits and a count in the others, so that a queue's
    # entries stand together and in order: the oldest are found and counted without an index.
    """CREATE TABLE history (
        entry INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        status TEXT NOT NULL,
        ended INTEGER NOT NULL,
        duration INTEGER,
        worker INTEGER,
        exit_code INTEGER,
        peak_memory INTEGER,
        reason TEXT NOT NULL
    ) STRICT""",
    # Not of those that went well, which are most: their place in an index would cost more than their entry.
    "CREATE INDEX history_id ON history (id) WHERE status <> 'complete'",
    """CREATE TABLE history_queue (
        number INTEGER PRIMARY KEY,
        queue TEXT NOT NULL UNIQUE
    ) STRICT""",
    """CREATE TABLE consumer (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        dispatcher_pid INTEGER,
        dispatcher_started TEXT
    ) STRICT""",
    """CREATE TABLE slot (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        slot INTEGER NOT NULL,
        PRIMARY KEY (queue, name)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE timetable (
        queue TEXT NOT NULL,
        name TEXT NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (queue, name)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE timetable_version (queue TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
