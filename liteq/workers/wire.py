"""What dispatcher and workers say to each other, in packets that stay whole.

A packet to a worker, over its line, is some tasks; one from it, through its ring (see `Rings`), is one
outcome. What a worker has not begun can be taken back at any moment, wherever it is (see `Board`). Payloads
that do not fit a packet go through storage.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from liteq.messages import (
    BACK,
    Attempted,
    Claim,
    ClaimKey,
    Disposition,
    EndKind,
    Join,
    Message,
    Outcome,
    Verdict,
)

MAX_PACKET = 65_536
MAX_PAYLOAD = 60_000
"""Bytes of a task or an outcome that still travel in a packet."""

_HEADER = struct.Struct("<BQQ")
_TASK = struct.Struct("<QQQBI")
_RUN, _STOP, _TELL = 1, 2, 3
_ELSEWHERE = 2**32 - 1
"""In place of the size of a task that is not in the packet."""
_REVOKED, _AT_MOST_ONCE, _GATHERS = 1, 2, 4
_VERDICT_SHIFT = 3
_DISPOSITIONS = tuple(Disposition)
"""By number: to call the enum takes ten times as long."""

STOP_PACKET = _HEADER.pack(_STOP, 0, 0)


def packet_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Assignment(NamedTuple):
    """A task as a worker gets it."""

    key: ClaimKey
    revoked: bool
    at_most_once: bool
    data: bytes | None
    """None: too large for a packet, to be read from storage."""
    verdict: Verdict = Verdict.NONE
    """The attempt was ended with its worker: say what that causes, and do not run it."""
    gathers: bool = False
    """It is a chord's callback: the ends of the members are to be read from storage."""
    handed_out: int = 0
    """Then its claim was sure to hold (monotonic microseconds)."""
    epoch: int = 0
    """In which the worker was handed it; see `Board`."""


class Announcement(NamedTuple):
    """Something that happened to a task in the hands of the consumer, for the receivers of its signals."""

    signals: tuple[str, ...]
    data: bytes | None
    """The task; None if there was none, or if it is too large for a packet."""


def batches(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    """The claims in parts that fit a packet each."""
    first = size = 0
    for place, claim in enumerate(claims):
        needed = _TASK.size + len(_inline(claim) or b"")
        if size + needed > MAX_PAYLOAD and place > first:
            yield claims[first:place]
            first, size = place, 0
        size += needed
    if first < len(claims):
        yield claims[first:]


def _inline(claim: Claim) -> bytes | None:
    """What travels in the packet; None if the worker has to read it from storage."""
    return None if claim.data is None or len(claim.data) > MAX_PAYLOAD else claim.data


def pack_tasks(
    claims: Iterable[Claim], verdict: Verdict = Verdict.NONE, now: int = 0, epoch: int = 0
) -> bytes:
    """The packet of claimed tasks that are handed out now, in this epoch of their worker."""
    parts = [_HEADER.pack(_RUN, now, epoch)]
    for claim in claims:
        flags = claim.revoked * _REVOKED + claim.at_most_once * _AT_MOST_ONCE
        flags += (claim.gathers is not None) * _GATHERS + (verdict << _VERDICT_SHIFT)
        data = _inline(claim)
        size = _ELSEWHERE if data is None else len(data)
        parts.append(_TASK.pack(claim.seq, claim.attempt, claim.owner, flags, size))
        if data is not None:
            parts.append(data)
    return b"".join(parts)


def pack_announcement(announcement: Announcement) -> bytes:
    """The packet of an announcement."""
    signals, data = announcement
    if data is not None and len(data) > MAX_PAYLOAD:
        data = None
    return _HEADER.pack(_TELL, 0, 0) + pickle.dumps((signals, data), 5)


def unpack(packet: bytes) -> list[Assignment] | Announcement | None:
    """The tasks or the announcement of a packet; None for the order to stop."""
    kind, handed_out, epoch = _HEADER.unpack_from(packet)
    if kind == _STOP:
        return None
    if kind == _TELL:
        return Announcement(*pickle.loads(packet[_HEADER.size :]))
    assignments = []
    at, end = _HEADER.size, len(packet)
    while at < end:
        seq, attempt, owner, flags, size = _TASK.unpack_from(packet, at)
        at += _TASK.size
        data = None
        if size != _ELSEWHERE:
            data = packet[at : at + size]
            at += size
        verdict = Verdict(flags >> _VERDICT_SHIFT) if flags >> _VERDICT_SHIFT else Verdict.NONE
        revoked, once, gathers = flags & _REVOKED, flags & _AT_MOST_ONCE, flags & _GATHERS
        key = ClaimKey(seq, attempt, owner)
        assignments.append(
            Assignment(key, bool(revoked), bool(once), data, verdict, bool(gathers), handed_out, epoch)
        )
    return assignments


class Report(NamedTuple):
    """How a task ended, as the dispatcher gets it."""

    seq: int
    attempt: int
    duration: int
    """Microseconds."""
    outcome: Outcome | None
    """None: the worker has settled it itself, because it was too large for a packet."""
    started: int = 0
    """When it began, in microseconds of UTC."""

    @property
    def is_leaving(self) -> bool:
        """Whether the worker says by it that it runs nothing more."""
        return not self.seq

    @property
    def is_return(self) -> bool:
        """Whether the worker gives the task back, which it has not started."""
        return self.outcome is not None and not self.started

    def attempted(self, worker: int | None) -> Attempted:
        """What is known of the attempt, which ran in that process."""
        return Attempted(self.started, self.duration, worker)


def pack_leaving() -> bytes:
    """The packet of a worker that runs nothing more, and ends: a report on nothing."""
    return pack_report(Report(0, 0, 0, None))


def pack_return(key: ClaimKey) -> bytes:
    """The packet of a worker that gives a task back, because the epoch was over when it came to it."""
    return pack_report(Report(key.seq, key.attempt, 0, BACK))


def pack_report(report: Report) -> bytes:
    """The packet of a report: plain values, because a pickled class costs as much as all the rest."""
    outcome = report.outcome
    if outcome is None:
        return pickle.dumps((report.seq, report.attempt, report.duration, None, "", (), (), "", (), 0, ()), 5)
    disposition, status, results, messages, reason, joins, events = outcome
    plain = [tuple(message) for message in messages] if messages else ()
    ends = [(chord, position, int(kind), value) for chord, position, kind, value in joins] if joins else ()
    return pickle.dumps(
        (
            report.seq,
            report.attempt,
            report.duration,
            int(disposition),
            status,
            results,
            plain,
            reason,
            ends,
            report.started,
            events,
        ),
        5,
    )


class Garbled(ValueError):  # noqa: N818 -- it is the packet that is
    """A packet is none of ours: a task has written into a descriptor that it did not open, say."""


def unpack_report(packet: bytes) -> Report:
    """The report of a packet.

    Raises:
        Garbled: if it is none.
    """
    try:
        return _unpack_report(packet)
    except Exception as error:  # rubbish raises whatever it likes to
        raise Garbled(f"{len(packet)} bytes are no report") from error


def _unpack_report(packet: bytes) -> Report:
    seq, attempt, duration, disposition, status, results, plain, reason, ends, started, events = pickle.loads(
        packet
    )
    if disposition is None:
        return Report(seq, attempt, duration, None)
    messages = tuple(Message(*values) for values in plain) if plain else ()
    joins = tuple(Join(chord, position, EndKind(kind), value) for chord, position, kind, value in ends)
    return Report(
        seq,
        attempt,
        duration,
        Outcome(_DISPOSITIONS[disposition], status, results, messages, reason, joins, events),
        started,
    )


def receive_all(end: socket.socket) -> Iterator[bytes]:
    """The packets that wait at an end, each taken when it is asked for.

    It does not block by a flag of the call, since the descriptor's own is shared with all duplicates.
    """
    with suppress(BlockingIOError):
        while packet := _receive(end):
            yield packet


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(MAX_PACKET, socket.MSG_DONTWAIT)
    except ConnectionResetError:  # told once, before the last packets of one that has ended
        return end.recv(MAX_PACKET, socket.MSG_DONTWAIT)
