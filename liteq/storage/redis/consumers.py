"""The verbs about consumers, periodic tasks and the timetable."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from liteq import clock
from liteq.identity import Identity, is_gone, is_of_this_boot, own_identity
from liteq.storage.redis import packing
from liteq.storage.redis.calls import Calls
from liteq.storage.redis.server import Arg


class ConsumerVerbs(Calls):
    """The consumers, the slots that have fired and the timetable of one queue on the server."""

    _registered: dict[int, tuple[Identity, Identity | None]]
    """Those that this process has registered, or renewed."""

    def register(self, consumer: Identity) -> int:
        owner = int(self._call("register", clock.now() // clock.SECOND, packing.encode_json(consumer)))
        self._registered[owner] = (consumer, None)
        return owner

    def attend(self, owner: int, dispatcher: Identity) -> None:
        if owner in self._registered:
            self._registered[owner] = (self._registered[owner][0], dispatcher)
        self._call("attend", owner, packing.encode_json(dispatcher), wanted=False)

    def unregister(self, owner: int) -> None:
        self._call("unregister", owner, wanted=False)

    def is_gone(self, process: Identity) -> bool | None:
        # Another boot may be this machine's last one, or that of another machine, which lives.
        return is_gone(process) if is_of_this_boot(process) else None

    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        return {
            int(owner): (packing.identity(process), None if by is None else packing.identity(by))
            for owner, process, by in self._call("consumers")
        }

    def renew(self, owner: int, lasts: int) -> None:
        if owner not in self._registered:  # by a dispatcher before this one
            self._registered.update(
                (number, entry) for number, entry in self.consumers().items() if number == owner
            )
        entry = [*self._registered.get(owner, ()), None, None][:2]
        packed = ["" if process is None else packing.encode_json(process) for process in entry]
        self._call("renew", owner, lasts, own_identity().host, *packed, wanted=False)

    def lapsed(self) -> set[int]:
        return set(map(int, self._call("lapsed", own_identity().host)))

    def unregister_lapsed(self) -> dict[int, Identity]:
        reply = self._call("unregister_lapsed", own_identity().host)
        return {int(owner): packing.identity(process) for owner, process in reply}

    def take_slot(self, name: str, slot: int) -> bool:
        return bool(self._call("take_slot", name, slot))

    def know_slot(self, name: str, slot: int) -> int:
        return int(self._call("know_slot", name, slot))

    def forget_slot(self, name: str) -> None:
        self._call("forget_slot", name, wanted=False)

    def replace_entry(self, name: str, old: str | None, new: str | None) -> bool:
        return bool(self._call("replace_entry", name, *_maybe(old), *_maybe(new)))

    def entry(self, name: str) -> str | None:
        entry: bytes | None = self._call("entry", name)
        return None if entry is None else entry.decode()

    def entries(self) -> dict[str, str]:
        reply = [text.decode() for text in self._call("entries")]
        return dict(sorted(zip(reply[::2], reply[1::2], strict=True)))

    def timetable_version(self) -> int:
        return int(self._call("timetable_version"))


def _maybe(text: str | None) -> tuple[Arg, Arg]:
    """A text that may be none."""
    return (0, "") if text is None else (1, text)
