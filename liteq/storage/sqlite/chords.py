"""The verbs about chords: the callback waits in `chord`, and the ends of the members in `member`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from liteq.messages import ClaimKey, EndKind, Join, MemberEnd, Message
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database, Transaction

Links = tuple[tuple[str, ...], tuple[str, int] | None, int | None]
"""The columns of a message that only pipelines and chords have: chain, joins, gathers."""

_NO_LINKS: Links = ((), None, None)


def pack_links(message: Message) -> str | None:
    """What the column `links` holds; None for a plain task."""
    if message.chain or message.joins is not None or message.gathers is not None:
        return json.dumps((message.chain, message.joins, message.gathers))
    return None


def unpack_links(links: str | None) -> Links:
    """The columns that are packed in `links`."""
    if links is None:
        return _NO_LINKS
    chain, joins, gathers = json.loads(links)
    return tuple(chain), tuple(joins) if joins is not None else None, gathers


class ChordVerbs:
    """Chords of one queue in the file."""

    name: str
    database: Database

    def ends_of(self, key: ClaimKey) -> list[MemberEnd] | None:
        """See the contract."""
        with self.database.read() as connection:
            rows = list(connection.execute(sql.MEMBERS_FOR_CLAIM, (*key, self.name)))
        if not rows:
            return None
        return [MemberEnd(EndKind(kind), value, ended) for kind, value, ended in rows if kind is not None]

    def waiting_count(self) -> int:
        """See the contract."""
        with self.database.read() as connection:
            return int(connection.execute(sql.COUNT_WAITING, (self.name,)).get)

    def _wait(self, transaction: Transaction, callbacks: Iterable[tuple[int, Message]]) -> None:
        """Let new callbacks wait for the members of their chords."""
        for seq, m in callbacks:
            row = (seq, self.name, m.id, m.gathers, m.due, m.attempt, m.crashes)
            if transaction.connection.execute(sql.INSERT_WAITING, row).get is None:
                raise ValueError(f"a chord's callback with the id {m.id} is waiting already")

    def _note_ends(self, transaction: Transaction, joins: Sequence[Join], now: int) -> None:
        """Keep the ends of members; a callback that misses none any more becomes ready.

        A member that ends again, or after its callback has stopped waiting, changes nothing.
        """
        connection, queue = transaction.connection, self.name
        rows = [(queue, join.chord, join.position, join.kind, join.value, now) for join in joins]
        ended = Counter(chord for (chord,) in connection.executemany(sql.INSERT_MEMBER, rows))
        for chord, number in ended.items():
            missing, due = connection.execute(sql.COUNT_ENDED, (chord, number)).get
            if missing <= 0:
                later = due is not None and due > now
                connection.execute(sql.WAITING_TO_SCHEDULE if later else sql.WAITING_TO_READY, (chord,))
                connection.execute(sql.DELETE_WAITING, (chord,))
                transaction.new_work = True

    def _members(self, transaction: Transaction, seq: int) -> list[MemberEnd]:
        rows = transaction.connection.execute(sql.MEMBERS, (seq,))
        return [MemberEnd(EndKind(kind), value, ended) for kind, value, ended in rows]
