"""Consumers."""

from __future__ import annotations

from typing import Final

INSERT_CONSUMER: Final = """
INSERT INTO consumer (queue, host, pid, started) VALUES (?, ?, ?, ?) RETURNING id"""

ATTEND_CONSUMER: Final = "UPDATE consumer SET dispatcher_pid = ?, dispatcher_started = ? WHERE id = ?"

DELETE_CONSUMER: Final = "DELETE FROM consumer WHERE id = ?"

CONSUMERS: Final = """
SELECT id, host, pid, started, dispatcher_pid, dispatcher_started FROM consumer WHERE queue = ?"""
