"""The numbers of messages: claims are fenced by them, so that none may come again."""

from __future__ import annotations

import json
from collections.abc import Sequence

import apsw

from liteq.storage.sqlite import sql


def delete_messages(connection: apsw.Connection, seqs: Sequence[int]) -> None:
    """Delete messages, and see to it that none of their numbers comes again."""
    if seqs:
        connection.execute(sql.DELETE_MESSAGES, (json.dumps(seqs),))
        leave_mark(connection, max(seqs))


def leave_mark(connection: apsw.Connection, seq: int) -> None:
    """Let no message get this number, or a lower one, from here on."""
    connection.execute(sql.LEAVE_MARK, (seq,))
    if connection.changes():
        connection.execute(sql.DELETE_OLD_MARKS, (seq,))
