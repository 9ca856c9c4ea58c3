"""What a file is."""

from __future__ import annotations

from typing import Final

WHAT_IT_IS: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version"""
