"""Live events: whoever listens gets what is published, and holds nobody up."""

from __future__ import annotations

import time

import pytest

from liteq.storage.base import Packet
from liteq.testing.conformance.building import PATIENCE, at_once


def publish(storage, *packets: bytes, events: int = 1) -> None:
    if storage.has_subscribers():
        storage.publish([Packet(packet, events) for packet in packets])


def receive(subscription, number: int) -> list[bytes]:
    """The next so many packets."""
    packets: list[bytes] = []
    deadline = time.monotonic() + PATIENCE
    while len(packets) < number:
        assert time.monotonic() < deadline, packets
        packets += subscription.receive(1)
    return packets


def test_nobody_listens_at_first_nor_in_the_end(storage, listen):
    assert storage.has_subscribers() is False
    subscription = listen(storage)
    assert storage.has_subscribers() is True
    subscription.close()
    deadline = time.monotonic() + PATIENCE
    while storage.has_subscribers():  # a server learns of it when it reads the end of the connection
        assert time.monotonic() < deadline
        time.sleep(0.001)
    subscription.close()
    assert subscription.receive(0) == []


def test_all_who_listen_get_all_in_order(storage, listen):
    first, second = listen(storage), listen(storage)
    publish(storage, b"a", b"b")
    publish(storage, b"c")
    assert receive(first, 3) == receive(second, 3) == [b"a", b"b", b"c"]
    assert (first.receive(0), first.dropped) == ([], 0)


def test_what_was_published_before_is_not_heard(storage, listen):
    listen(storage)
    publish(storage, b"early")
    late = listen(storage)
    publish(storage, b"late")
    assert receive(late, 1) == [b"late"]


def test_other_handles_hear_each_other(storage, second, listen):
    subscription = listen(storage)
    publish(second, b"a")
    publish(storage, b"b")
    assert receive(subscription, 2) == [b"a", b"b"]


def test_a_queue_has_its_own_listeners(storage, neighbour, listen):
    subscription = listen(storage)
    assert neighbour.has_subscribers() is False
    listen(neighbour)
    publish(neighbour, b"n")
    publish(storage, b"s")
    assert receive(subscription, 1) == [b"s"]


@pytest.mark.parametrize("size", [0, 1, 4084, 4085, 4096, 8200, 200_000])
def test_packets_of_any_size_arrive_whole(storage, listen, size):
    subscription = listen(storage)
    packet = bytes(range(256)) * (size // 256) + bytes(size % 256)
    publish(storage, packet, b"end")
    assert receive(subscription, 2) == [packet, b"end"]


def test_many_who_publish_large_packets_at_once(storage, listen):
    subscription = listen(storage)
    assert storage.has_subscribers()
    packets = [bytes([65 + index]) * 10_000 for index in range(8)]
    at_once(8, lambda index: storage.publish([Packet(packets[index], 1)] * 5))
    received = receive(subscription, 40)
    assert sorted(received) == sorted(packets * 5)


def test_who_does_not_keep_up_is_told_how_much_it_missed(storage, listen):
    slow = listen(storage)
    number = 30_000
    for _ in range(number // 100):
        publish(storage, *[b"x" * 300] * 100, events=2)
    received = 0
    while packets := slow.receive(0):
        received += len(packets)
    publish(storage, b"after")
    while b"after" not in (packets := receive(slow, 1)):
        received += len(packets)
    received += len(packets) - 1
    assert 0 < received <= number
    assert slow.dropped == 2 * (number - received)


def test_a_wait_ends_in_time(storage, listen):
    subscription = listen(storage)
    began = time.monotonic()
    assert subscription.receive(0.05) == []
    assert time.monotonic() - began >= 0.04
