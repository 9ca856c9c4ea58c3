"""What has to happen before and after every fork of this process; it costs nothing between forks."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Guarded(Protocol):
    """What must not be carried across a fork as it is."""

    def before_fork(self) -> None:
        """Get ready, and stay so until the fork is over."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Begin anew."""


def guard(one: Guarded) -> None:
    """Tell it of every fork from now on, as long as it lives."""
    _guarded.add(one)


_guarded: weakref.WeakSet[Guarded] = weakref.WeakSet()
_forking: list[Guarded] = []
_one_fork_at_a_time = threading.Lock()


def _before_fork() -> None:
    _one_fork_at_a_time.acquire()
    _forking.extend(_guarded)  # strong references: all that were locked are unlocked
    for one in _forking:
        one.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()
    _one_fork_at_a_time.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()
    _one_fork_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
