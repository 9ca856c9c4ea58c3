"""Who a process is, and whether it has gone."""

import os
import signal
import subprocess
import sys
import time

import pytest

from liteq import identity
from liteq.identity import Identity, identify, is_gone, standstill

from .running import wait_for


@pytest.fixture
def process():
    """Another process, which lives until it is killed."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.kill()
    child.communicate()


def test_one_is_oneself_and_lives():
    assert identify() == identify(os.getpid())
    assert identify().pid == os.getpid()
    assert is_gone(identify()) is False


def test_another_process_is_another(process):
    other = identify(process.pid)
    assert other.pid == process.pid
    assert other.host == identify().host
    assert other != identify()
    assert is_gone(other) is False


def test_a_process_that_has_ended_is_gone(process):
    other = identify(process.pid)
    process.kill()
    process.wait()
    assert is_gone(other) is True


def test_one_that_was_not_waited_for_is_gone_too(process):
    other = identify(process.pid)
    process.kill()
    wait_for(lambda: is_gone(other))
    assert process.returncode is None


def test_another_process_with_the_same_pid_is_not_the_same():
    own = identify()
    assert is_gone(own._replace(started=f"{own.started}0")) is True


def test_nobody_has_the_pid():
    with pytest.raises(ProcessLookupError, match="no process"):
        identify(2**22 + 1)
    assert is_gone(identify()._replace(pid=2**22 + 1)) is True


def test_of_another_boot_nothing_lives():
    boot, _, namespace = identify().host.partition("/")
    assert is_gone(Identity(f"x{boot}/{namespace}", os.getpid(), identify().started)) is True


def test_of_another_pid_namespace_nothing_can_be_told():
    boot, _, namespace = identify().host.partition("/")
    assert is_gone(Identity(f"{boot}/{namespace}x", os.getpid(), "1")) is None


def test_the_identity_does_not_change_with_the_wall_clock(monkeypatch, process):
    before = identify(process.pid)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert identify(process.pid) == before


def test_it_survives_storage():
    own = identify()
    assert Identity(str(own.host), int(own.pid), str(own.started)) == own


def test_a_forked_child_has_an_identity_of_its_own():
    reader, writer = os.pipe()
    identify()  # whatever is remembered of it is inherited
    pid = os.fork()
    if not pid:
        os.write(writer, repr(tuple(identify())).encode())
        os._exit(0)
    os.close(writer)
    try:
        told = Identity(*eval(os.read(reader, 10_000)))
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    assert told.pid == pid
    assert told != identify()


def test_a_process_that_stands_still(process):
    assert standstill(process.pid) == ""
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: standstill(process.pid) == "stopped")
    assert is_gone(identify(process.pid)) is False
    os.kill(process.pid, signal.SIGCONT)
    wait_for(lambda: standstill(process.pid) == "")
    assert standstill(2**22 + 1) == ""


def test_where_the_kernel_does_not_tell_its_boot(monkeypatch):
    identity._host.cache_clear()
    monkeypatch.setattr(identity.Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    try:
        assert is_gone(identify()) is False
        assert is_gone(identify()._replace(pid=2**22 + 1)) is True
    finally:
        monkeypatch.undo()
        identity._host.cache_clear()
