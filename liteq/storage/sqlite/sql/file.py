"""What a file is."""

from __future__ import annotations

from typing import Final

QUEUES: Final = """
SELECT queue FROM queue WHERE queue <> '' UNION SELECT queue FROM consumer UNION SELECT queue FROM result
UNION SELECT queue FROM history_queue UNION SELECT queue FROM timetable ORDER BY queue"""

WHAT_IT_IS: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version"""
