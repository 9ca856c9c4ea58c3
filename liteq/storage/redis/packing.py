"""Values as the program takes and gives them: the records of messages, claims, the ends of attempts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from operator import index
from typing import Any

from liteq.identity import Identity
from liteq.messages import (
    Attempted,
    Claim,
    ClaimKey,
    EndKind,
    Join,
    MemberEnd,
    Message,
    Revocation,
    Settlement,
)
from liteq.storage.redis.server import Arg

encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_quoted = json.encoder.encode_basestring
_NO_MORE = encode_json([(), None, None, None])[1:]
_NOTHING_KNOWN = Attempted()


def place(seq: int) -> str:
    """A message's number as the keys have it, so that texts sort as the numbers do."""
    return f"{seq:016d}"


def key_args(key: ClaimKey) -> tuple[str, int, int]:
    """The arguments that say which claim is meant."""
    return place(key.seq), key.attempt, key.owner


def optional(number: int | None) -> Arg:
    """A number, or an empty text for none."""
    return "" if number is None else number


def record(message: Message) -> bytes:
    """A message but for its data.

    Raises:
        TypeError: if it has columns of the wrong type.
    """
    m = message
    rest = encode_json([m.chain, m.joins, m.gathers, m.due])[1:] if _has_more(m) else _NO_MORE
    packed = f"[{_quoted(m.id)},{_quoted(m.name)},{index(m.priority):d},{rest}"
    return f"{m.attempt:d} {m.crashes:d} {m.at_most_once:d} {len(m.data)} {packed}".encode()


def _has_more(m: Message) -> bool:
    """Whether it is anything but a plain task that is to run at once, whose record is ready-made here."""
    return bool(m.chain) or m.joins is not None or m.gathers is not None or m.due is not None


def messages(batch: Sequence[Message]) -> Iterator[Arg]:
    """The arguments of new messages."""
    yield len(batch)
    for message in batch:
        yield record(message)
        yield message.data


def parcel(message: Message) -> bytes:
    """A message as one value, for those that are taken in later."""
    packed = record(message)
    return b"%d %b%b" % (len(packed), packed, message.data)


def claims(reply: Sequence[Any]) -> list[Claim]:
    """The claims of a reply, in which heads and data take turns."""
    return [_claim(head, data) for head, data in zip(reply[::2], reply[1::2], strict=True)]


def _claim(head: bytes, data: bytes | None) -> Claim:
    seq, attempt, owner, revoked, _, crashes, once, _, packed = head.split(b" ", 8)
    id, name, priority, chain, joins, gathers, _ = json.loads(packed)
    return Claim(
        int(seq),
        int(attempt),
        int(owner),
        id,
        name,
        data,
        priority,
        int(crashes),
        once == b"1",
        revoked == b"1",
        tuple(chain),
        None if joins is None else (joins[0], joins[1]),
        gathers,
    )


def settlement(it: Settlement, now: int, *, entered: bool) -> Iterator[Arg]:
    """The arguments of a settlement; `entered` says whether the history gets an entry."""
    key, outcome, attempted = it
    started, duration, worker, exit_code, peak = attempted or _NOTHING_KNOWN
    crashed = outcome.status == "crashed" or outcome.disposition == 2
    restores = outcome.status != "retrying"
    flags = f"{outcome.disposition:d} {crashed:d} {restores:d} {entered:d}"
    yield f"{place(key.seq)} {key.attempt} {key.owner} {flags}"
    ended = now if started is None or duration is None else started + duration
    entry = (
        key.attempt, key.owner, outcome.status, ended, duration, worker, exit_code, peak, outcome.reason,
    ) if entered else ()  # fmt: skip
    yield encode_json(entry)[1:]
    yield f"{_or_dash(exit_code)} {_or_dash(peak)}"
    yield outcome.reason
    yield len(outcome.results)
    for name, value in outcome.results:
        yield name
        yield value
    yield from messages(outcome.messages)
    yield from joins(outcome.joins)


def _or_dash(number: int | None) -> str:
    return "-" if number is None else str(number)


def from_dash(text: bytes) -> int | None:
    """The number that `-` stands in for."""
    return None if text == b"-" else int(text)


def joins(ends: Iterable[Join]) -> Iterator[Arg]:
    """The arguments of the ends of members."""
    batch = list(ends)
    yield len(batch)
    for chord, position, kind, value in batch:
        yield from (chord, position, int(kind), value)


def member_ends(reply: Iterable[bytes]) -> list[MemberEnd]:
    """The ends of members, as they are kept."""
    split = (kept.split(b" ", 2) for kept in reply)
    return [MemberEnd(EndKind(int(kind)), value, int(ended)) for kind, ended, value in split]


def identity(packed: bytes) -> Identity:
    """A process, as it is kept."""
    host, pid, started = json.loads(packed)
    return Identity(host, pid, started)


def revocation(packed: bytes) -> Revocation:
    """A revocation, as it is kept."""
    until, once, terminate = packed.split(b" ")
    return Revocation(int(until) if until else None, once == b"1", terminate == b"1")


def packed_revocation(it: Revocation) -> str:
    """A revocation, to be kept."""
    until = "" if it.until is None else str(it.until)
    return f"{until} {it.once:d} {it.terminate:d}"
