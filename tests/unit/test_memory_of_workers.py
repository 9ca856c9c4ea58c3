"""The private memory of processes, and sizes as people write them."""

import os

import pytest

from liteq import clock
from liteq.workers.memory import MEGABYTE, PrivateMemory, parse_size, shown
from liteq.workers.process import fork


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", MEGABYTE),
        ("512M", 512 * MEGABYTE),
        ("512m", 512 * MEGABYTE),
        (" 512 MB ", 512 * MEGABYTE),
        ("512MiB", 512 * MEGABYTE),
        ("1.5G", 1536 * MEGABYTE),
        ("800K", 800 << 10),
        ("1T", 1 << 40),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1X", "1,5G", "1e9", "nan", "512M512M", "1 2"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


def test_a_size_for_people():
    assert shown(1204 * MEGABYTE + 1) == "1,204 MB"


class Sibling:
    """A forked child that allocates so much, and stays until it is released."""

    def __init__(self, megabytes):
        ready, told = os.pipe()
        waits, self._release = os.pipe()

        def main():
            os.close(self._release)
            kept = bytearray(b"x") * (megabytes * MEGABYTE)
            os.write(told, b".")
            os.read(waits, 1)
            return 0 if kept else 1

        self.pid = fork(main)
        os.close(told)
        os.close(waits)
        assert os.read(ready, 1)
        os.close(ready)

    def end(self):
        os.close(self._release)
        os.waitpid(self.pid, 0)


def test_what_is_shared_with_the_parent_does_not_count():
    shared = bytearray(b"x") * (150 * MEGABYTE)
    sibling = Sibling(60)
    try:
        used = PrivateMemory(sibling.pid, 50 * MEGABYTE).measure(clock.monotonic())
    finally:
        sibling.end()
    assert len(shared) == 150 * MEGABYTE
    assert 60 * MEGABYTE <= used < 130 * MEGABYTE


def test_below_the_limit_nothing_is_measured_exactly():
    sibling = Sibling(10)
    try:
        assert PrivateMemory(sibling.pid, 10_000 * MEGABYTE).measure(clock.monotonic()) == 0
    finally:
        sibling.end()


def test_an_exact_measurement_is_followed_by_a_pause():
    sibling = Sibling(60)
    try:
        memory = PrivateMemory(sibling.pid, 20 * MEGABYTE)
        first = memory.measure(clock.monotonic())
        measured = []
        memory._exact = lambda resident: measured.append(resident) or first + 1
        assert memory.measure(clock.monotonic()) == first
        assert memory.measure(clock.monotonic() + 60 * clock.SECOND) == first + 1
    finally:
        sibling.end()
    assert len(measured) == 1


def test_a_process_that_has_ended_uses_nothing():
    sibling = Sibling(1)
    memory = PrivateMemory(sibling.pid, MEGABYTE)
    assert memory.measure(clock.monotonic()) > 0
    sibling.end()
    assert memory.measure(clock.monotonic() + 60 * clock.SECOND) == 0
    assert PrivateMemory(sibling.pid, MEGABYTE).measure(clock.monotonic()) == 0
