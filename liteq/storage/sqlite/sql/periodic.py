"""Slots that have fired, and the timetable."""

from __future__ import annotations

from typing import Final

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
