"""Chords: callbacks that wait, and the ends of members."""

from __future__ import annotations

from typing import Final

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
