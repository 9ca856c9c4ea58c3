"""What processes say to each other, over real sockets."""

import os
import pickle
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq.messages import Claim, ClaimKey, Disposition, Message, Outcome, Verdict
from liteq.workers import notices
from liteq.workers.control import Control
from liteq.workers.wire import (
    MAX_PACKET,
    MAX_PAYLOAD,
    STOP_PACKET,
    Assignment,
    Report,
    batches,
    pack_report,
    pack_tasks,
    packet_pair,
    receive_all,
    unpack,
    unpack_report,
)

NUMBERS = st.integers(0, 2**63 - 1)


def claim(data=b"data", seq=1, attempt=2, owner=3, **flags):
    flags = {"at_most_once": False, "revoked": False, **flags}
    return Claim(seq, attempt, owner, "id", "app.task", data, 0, 0, **flags)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def received(end):
    """The packets that wait at an end."""
    return list(receive_all(end))


@pytest.fixture
def pair():
    one, two = packet_pair()
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def controls(pair):
    one, two = Control(pair[0]), Control(pair[1])
    for control in (one, two):
        control.socket.setblocking(False)
    return one, two


# Tasks


@given(st.binary(max_size=200), NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.booleans())
def test_a_task_there_and_back(data, seq, attempt, owner, revoked, once):
    packet = pack_tasks([claim(data, seq, attempt, owner, revoked=revoked, at_most_once=once)])
    assert unpack(packet)[0] == Assignment(ClaimKey(seq, attempt, owner), revoked, once, data)


def test_when_it_was_handed_out():
    assert unpack(pack_tasks([claim()], now=5))[0].handed_out == 5
    assert unpack(pack_tasks([claim()], Verdict.TIMEOUT, 5))[0].verdict is Verdict.TIMEOUT


def test_flags_are_booleans():
    assignment = unpack(pack_tasks([claim(revoked=True)]))[0]
    assert (assignment.revoked, assignment.at_most_once) == (True, False)


@pytest.mark.parametrize("size", [0, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD])
def test_a_task_that_fits_travels_in_its_packet(pair, size):
    one, two = pair
    packet = pack_tasks([claim(b"x" * size)])
    assert len(packet) <= MAX_PACKET
    one.send(packet)
    assert unpack(two.recv(MAX_PACKET))[0].data == b"x" * size


@pytest.mark.parametrize("size", [MAX_PAYLOAD + 1, 10_000_000])
def test_a_task_that_does_not_is_to_be_read_from_storage(size):
    packet = pack_tasks([claim(b"x" * size, revoked=True, at_most_once=True)])
    assert len(packet) < 100
    assert unpack(packet)[0] == Assignment(ClaimKey(1, 2, 3), True, True, None)


SIZES = st.lists(st.one_of(st.integers(0, 300), st.integers(MAX_PAYLOAD - 100, MAX_PAYLOAD + 2)), max_size=80)


@given(SIZES)
def test_many_tasks_go_in_as_few_packets_as_hold_them(sizes):
    claims = [claim(b"x" * size, seq) for seq, size in enumerate(sizes, 1)]
    packets = [pack_tasks(batch, now=7, epoch=9) for batch in batches(claims)]
    back = [assignment for packet in packets for assignment in unpack(packet)]
    assert [(one.key.seq, one.handed_out, one.epoch) for one in back] == [(c.seq, 7, 9) for c in claims]
    assert [one.data for one in back] == [c.data if len(c.data) <= MAX_PAYLOAD else None for c in claims]
    assert all(len(packet) <= MAX_PACKET for packet in packets)
    small = sum(size for size in sizes if size <= MAX_PAYLOAD) + 100 * len(sizes)
    assert len(packets) <= 1 + small // (MAX_PAYLOAD // 2)


def test_the_order_to_stop():
    assert unpack(STOP_PACKET) is None


# Reports

OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Disposition),
    st.text(max_size=10),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=3).map(tuple),
    st.lists(
        st.builds(
            Message, st.text(max_size=5), st.text(max_size=5), st.binary(max_size=20), st.integers(-9, 9),
            st.none() | NUMBERS, st.booleans(), st.lists(st.text(max_size=3), max_size=3).map(tuple), st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=3,
    ).map(tuple),
    st.text(max_size=10),
)  # fmt: skip


@given(NUMBERS, NUMBERS, NUMBERS, st.none() | OUTCOMES)
def test_a_report_there_and_back(seq, attempt, duration, outcome):
    report = Report(seq, attempt, duration, outcome)
    back = unpack_report(pack_report(report))
    assert back == report
    if outcome is not None:
        assert isinstance(back.outcome.disposition, Disposition)
        assert all(isinstance(message, Message) for message in back.outcome.messages)


def test_a_report_of_a_task_that_its_worker_has_settled():
    assert unpack_report(pack_report(Report(1, 2, 3, None))).outcome is None


# Packets


def test_packets_stay_whole_and_in_order(pair):
    one, two = pair
    packets = [bytes([n]) * (n * 100 + 1) for n in range(20)]
    for packet in packets:
        one.send(packet)
    assert received(two) == packets
    assert received(two) == []


def test_both_directions(pair):
    one, two = pair
    one.send(b"a")
    two.send(b"b")
    assert received(one) == [b"b"]
    assert received(two) == [b"a"]


def test_receiving_does_not_block_a_socket_that_does(pair):
    assert pair[0].getblocking()
    assert received(pair[0]) == []
    assert pair[0].getblocking()


def test_what_was_sent_before_the_end_is_received_with_it(pair):
    one, two = pair
    one.send(b"last")
    one.close()
    assert received(two) == [b"last"]
    assert received(two) == []


def test_what_was_sent_before_a_reset_is_received(pair):
    """The other side ends with unread packets of its own."""
    one, two = pair
    two.send(b"unread")
    one.send(b"last")
    one.close()
    assert received(two) == [b"last"]
    assert received(two) == []


def test_a_packet_goes_to_one_reader_only(pair):
    one, two = pair
    duplicate = two.dup()
    for number in range(10):
        one.send(bytes([number]))
    first = two.recv(MAX_PACKET)
    rest = received(duplicate)
    assert first == b"\0"
    assert rest == [bytes([number]) for number in range(1, 10)]
    assert received(two) == []
    duplicate.close()


def test_packets_are_taken_only_when_they_are_asked_for(pair):
    one, two = pair
    for number in range(3):
        one.send(bytes([number]))
    stream = receive_all(two)
    assert next(stream) == b"\0"
    stream.close()
    assert received(two) == [b"\1", b"\2"]


# Controls


def test_objects_and_their_order(controls):
    one, two = controls
    messages = [
        notices.Attach(1, 2, 3),
        notices.Attached(),
        notices.Ready(7, 8),
        notices.Gone(1, "was killed", True),
        ("x", None),
    ]
    for message in messages:
        assert one.send(message) is True
    for message in messages:
        assert two.receive() == (message, [])
    with pytest.raises(BlockingIOError):
        two.receive()


def test_descriptors_travel_and_are_duplicates(controls):
    one, two = controls
    reader, writer = os.pipe()
    assert one.send("pipe", reader, writer)
    os.close(reader)
    os.close(writer)
    message, (reader, writer) = two.receive()
    assert message == "pipe"
    os.write(writer, b"through")
    assert os.read(reader, 10) == b"through"
    os.close(reader)
    os.close(writer)


def test_sending_leaves_no_descriptor_behind(controls):
    one, two = controls
    reader, writer = os.pipe()
    before = descriptors()
    for _ in range(50):
        one.send("pipe", reader, writer)
        for fd in two.receive()[1]:
            os.close(fd)
    assert descriptors() == before
    os.close(reader)
    os.close(writer)


def test_what_has_no_room_goes_later(controls):
    one, two = controls
    numbers = range(3000)
    for number in numbers:
        assert one.send((number, "x" * 1000)) is True
    got = []
    while len(got) < len(numbers):
        assert one.flush() is True
        try:
            got.append(two.receive()[0][0])
        except BlockingIOError:
            continue
    assert got == list(numbers)


def test_descriptors_wait_for_room_too(controls):
    one, two = controls
    reader, writer = os.pipe()
    before = descriptors()
    for number in range(300):
        one.send(("x" * 5000, number), reader)
    assert descriptors() > before
    os.close(writer)
    for number in range(300):
        one.flush()
        message, (fd,) = two.receive()
        assert message[1] == number
        assert os.read(fd, 1) == b""
        os.close(fd)
    assert descriptors() == before - 1
    os.close(reader)


def test_closing_gives_back_the_descriptors_that_still_wait(controls):
    one, two = controls
    reader, writer = os.pipe()
    before = descriptors()
    for number in range(300):
        one.send(("x" * 5000, number), reader)
    one.close()
    two.close()
    assert descriptors() == before - 2
    os.close(reader)
    os.close(writer)


def test_the_other_side_is_gone(controls):
    one, two = controls
    assert one.send("unread")
    two.close()
    assert one.send("more") is False
    assert one.flush() is False
    assert one.receive() is None


def test_what_was_said_before_the_end_is_heard(controls):
    one, two = controls
    one.send("last words")
    one.close()
    assert two.receive() == ("last words", [])
    assert two.receive() is None


def test_last_words_are_heard_after_a_reset(controls):
    """The other side ends without having read all that was said to it."""
    one, two = controls
    two.send("unread")
    one.send("last words")
    one.close()
    assert two.receive() == ("last words", [])
    assert two.receive() is None


def test_a_message_that_does_not_fit_is_refused_and_the_line_stays_good(controls):
    one, two = controls
    with pytest.raises(ValueError, match="does not fit"):
        one.send("x" * MAX_PACKET)
    assert one.send("small") is True
    assert two.receive() == ("small", [])


def test_the_largest_message_that_fits(controls):
    one, two = controls
    room = MAX_PACKET - len(pickle.dumps(b"x" * 60_000)) + 60_000
    message = b"x" * room
    assert len(pickle.dumps(message)) == MAX_PACKET
    assert one.send(message) is True
    assert two.receive() == (message, [])


def test_a_selector_can_wait_for_a_control(controls):
    assert controls[0].fileno() == controls[0].socket.fileno()


def test_a_line_is_a_pair_of_packet_sockets(pair):
    assert pair[0].family == socket.AF_UNIX
    assert pair[0].type & 0xF == socket.SOCK_SEQPACKET
