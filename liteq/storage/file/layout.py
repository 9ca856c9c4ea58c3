"""Which file holds what: the names of files, and what stands in them."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from liteq.messages import Claim, EndKind, MemberEnd, Message
from liteq.storage.contract.records import Entry
from liteq.storage.memory.messages import claim_of

MESSAGES = ("ready", "scheduled", "waiting", "claimed", "dead")
"""The folders of messages, by seq. They hold `Message`s, and "claimed" `Held`s."""
OTHERS = ("reasons", "ends", "results", "history")
"""The folders of what else has a file of its own."""

Items = dict[str, dict[Any, Any]]
"""What a queue consists of, by folder and key, except for what is in `state.json`."""

_LONGEST_QUOTED = 160  # characters; what else stands in a name, and the name of a bell, is shorter than 90
_CHECKSUM_SIZE = 9

UNDECODABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What `decode` raises of something that is no file of ours."""


class Held(NamedTuple):
    """A claimed message."""

    claim: Claim
    message: Message
    lease: int


class Reason(NamedTuple):
    """What is known of the end of a dead message; its key is the message's seq and attempt."""

    died: int
    reason: str
    exit_code: int | None
    peak_memory: int | None


class Value(NamedTuple):
    """A result."""

    value: bytes
    expires: int | None


def no_items() -> Items:
    """Those of an empty queue."""
    return {folder: {} for folder in (*MESSAGES, *OTHERS)}


def name_of(text: str) -> str:
    """A text as the name of a file: readable if it is short, and no two are the same."""
    quoted = quote(text, safe=" ").replace(".", "%2E")
    if quoted and len(quoted) <= _LONGEST_QUOTED:
        return quoted
    return "=" + hashlib.sha256(text.encode()).hexdigest()  # quoting leaves no other `=`


def path_of(folder: str, key: Any, item: Any) -> str:
    """Where an item is; another item is never there."""
    if folder in MESSAGES:
        message = item.message if folder == "claimed" else item
        path = f"{folder}/{key:016}.{message.attempt}.{message.crashes}"
        if folder == "claimed":
            path += f".{item.claim.owner}.{item.claim.revoked:d}.{item.lease}"
        return path
    if folder == "results":
        contents = hashlib.blake2b(encode(folder, key, item), digest_size=8)
        return f"{folder}/{name_of(key)}.{contents.hexdigest()}"
    if folder == "history":
        return f"{folder}/{key:012}"
    return f"{folder}/{key[0]:016}.{key[1]}"


def encode(folder: str, key: Any, item: Any) -> bytes:
    """The contents of the file of an item."""
    if folder in MESSAGES:
        message: Message = item.message if folder == "claimed" else item
        envelope = message._replace(data=b"", attempt=0, crashes=0)._asdict()
        return _pack({**envelope, "data": None}, message.data)
    if folder == "results":
        return _pack([key, item.expires], item.value)
    if folder == "ends":
        return _pack([item.kind, item.ended], item.value)
    return _pack(item, b"")


def decode(path: str, read: Callable[[], bytes], known: Callable[[int], Message | None]) -> tuple[Any, Any]:
    """The key and the item of a file.

    Args:
        path: the file.
        read: reads it.
        known: gives the message of a number, if it is known already: its contents are still the same.

    Raises:
        UNDECODABLE: if it is none.
    """
    folder, _, name = path.partition("/")
    if folder in MESSAGES:
        seq, attempt, crashes, *claimed = map(int, name.split("."))
        message = known(seq) or _message(read())
        message = message._replace(attempt=attempt, crashes=crashes)
        if folder != "claimed":
            return seq, message
        owner, revoked, lease = claimed
        return seq, Held(claim_of(seq, owner, message, revoked=bool(revoked)), message, lease)
    header, body = _unpack(read())
    if folder == "results":
        return header[0], Value(body, header[1])
    if folder == "history":
        return int(name), Entry(*header)
    seq, number = map(int, name.split("."))
    if folder == "ends":
        return (seq, number), MemberEnd(EndKind(header[0]), body, header[1])
    return (seq, number), Reason(*header)


def _message(contents: bytes) -> Message:
    envelope, data = _unpack(contents)
    joins = envelope["joins"]
    links = {"chain": tuple(envelope["chain"]), "joins": None if joins is None else tuple(joins)}
    return Message(**{**envelope, **links, "data": data})


def _pack(header: object, body: bytes) -> bytes:
    checked = json.dumps(header).encode() + b"\n" + body
    return _checksum(checked) + checked


def _unpack(contents: bytes) -> tuple[Any, bytes]:
    checked = contents[_CHECKSUM_SIZE:]
    if contents[:_CHECKSUM_SIZE] != _checksum(checked):
        raise ValueError("its contents are not what was written")
    header, _, body = checked.partition(b"\n")
    return json.loads(header), body


def _checksum(contents: bytes) -> bytes:
    return b"%08x " % zlib.crc32(contents)
