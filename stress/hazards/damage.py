"""Damaged files: a use of one works, or ends with an error that names it; and `verify` finds the damage.

So it is with files that are gone, of others, or only to be read; these are left as they are.

python stress/run.py damage
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from liteq import SqliteHuey, StorageError, chord
from liteq.exceptions import BadSignature
from liteq.serializer import SignedSerializer
from liteq.storage.sqlite.copies import backup
from liteq.storage.sqlite.schema import PAGE_SIZE
from liteq.storage.sqlite.verify import verify
from stress.report import Report

_TASKS = 40
_NOBODY = 65534
_READS = {"listing", "reading a key", "locking", "listing the dead", "results", "checkpointing"}
_KINDS = ["page", "page", "cut", "wal", "foreign", "vanished", *(["read-only"] if os.geteuid() == 0 else [])]
"""Who is root may write everywhere, and become somebody else who may not."""


def run(seed: int, seconds: float, _workers: int) -> Report:
    """Damage one file after the other in ways picked by chance, for so long."""
    chance = random.Random(f"damage {seed}")
    report = Report("damage")
    kinds: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="liteq-damage-", dir=_memory()) as folder:
            case = _Case(Path(folder), chance)
            case.run()
        report.faults += 1
        report.acknowledged += _TASKS
        kinds[f"{case.kind}: {case.verdict}"] += 1
        report.broken += [one for one in case.broken if one not in report.broken][:10]
    report.note = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return report


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class _Case:
    """One file, its damage, and what comes of it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self._path = folder / "queue.db"
        self._wal = folder / "queue.db-wal"
        self.kind = chance.choice(_KINDS)
        self.verdict = "not found"
        self.broken: list[str] = []

    def run(self) -> None:
        """Make it, damage it, look at it, use it."""
        self._make()
        others = {"foreign": self._be_foreign, "vanished": self._vanish, "read-only": self._only_read}
        if self.kind in others:
            others[self.kind]()
            return
        surely = {"page": self._damage_page, "cut": self._cut, "wal": self._damage_wal}[self.kind]()
        damaged = self._contents()
        found = self._verify(surely)
        self._use(damaged)
        if found is not None and self.kind != "wal":
            self._back_up(found)

    def _make(self) -> None:
        """A queue with rows in all tables, as kill -9 leaves it: the last of it is in the WAL."""
        original = self._folder / "original"
        original.mkdir()
        huey, tasks = _application(original / "queue.db")
        for number in range(_TASKS):
            if number == self._chance.randint(0, _TASKS):
                huey.storage.close()  # all that was before goes into the database
            tasks[number % 2](number, "x" * self._chance.choice([10, 300, 6000]))
        _fill_other_tables(huey, tasks[2])
        if self.kind != "wal":
            huey.storage.close()
        # Copied while it is open: what this process then closes is the original.
        for name in ("queue.db", "queue.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / name).write_bytes((original / name).read_bytes())
        huey.storage.close()

    def _contents(self) -> list[bytes]:
        """What the files hold; to look at it, SQLite may make an empty one."""
        return [path.read_bytes() if path.exists() else b"" for path in (self._path, self._wal)]

    def _say(self, what: str) -> None:
        self.broken.append(what.replace(str(self._path), "the file"))

    # The damage; each says whether it must be found

    def _damage_page(self) -> bool:
        connection = apsw.Connection(str(self._path))
        # The roots of tables and indexes that hold something.
        roots = [page for (page,) in connection.execute("SELECT DISTINCT rootpage FROM sqlite_schema")]
        connection.close()
        page = self._chance.choice([root for root in roots if root]) - 1
        content = bytearray(self._path.read_bytes())
        old = bytes(content[page * PAGE_SIZE : page * PAGE_SIZE + PAGE_SIZE])
        how = self._chance.choice(["ones", "noise", "bits", "another"])
        new = {
            "ones": b"\xff" * PAGE_SIZE,
            "noise": self._chance.randbytes(PAGE_SIZE),
            "bits": _flipped(old, self._chance),
            "another": bytes(content[:PAGE_SIZE]),
        }[how]
        content[page * PAGE_SIZE : page * PAGE_SIZE + PAGE_SIZE] = new
        self._path.write_bytes(content)
        # Flipped bits may be in a value, about which SQLite knows nothing, or in unused space.
        return how in {"ones", "noise"}

    def _cut(self) -> bool:
        size = self._path.stat().st_size
        os.truncate(
            self._path,
            self._chance.choice([0, 1, self._chance.randrange(size), size // (2 * PAGE_SIZE) * PAGE_SIZE]),
        )
        return True

    def _damage_wal(self) -> bool:
        content = bytearray(self._wal.read_bytes())
        how = self._chance.choice(["cut", "noise", "bits", "empty"])
        at = self._chance.randrange(len(content))
        if how == "cut":
            del content[at:]
        elif how == "noise":
            content[at : at + 5000] = self._chance.randbytes(5000)
        elif how == "bits":
            content[at : at + 1] = bytes([content[at] ^ (1 << self._chance.randrange(8))])
        else:
            content.clear()
        self._wal.write_bytes(content)
        return False

    # What is made of it

    def _verify(self, surely: bool) -> list[str] | None:
        before = self._contents()
        try:
            problems = verify(str(self._path)).problems
        except StorageError as error:
            problems = [str(error)]
        except Exception as error:  # noqa: BLE001 -- any other is a finding
            self._say(f"verify: {error!r}")
            return None
        self.verdict = "found" if problems else self.verdict
        if self.kind == "wal" and problems:
            self._say(f"a damaged WAL damages more than what is in it: {problems[0]}")
        if surely and not problems:
            self._say(f"verify does not find a damaged {self.kind}")
        # A WAL that nobody has open any more goes into the database, unless something is wrong.
        if self._contents() != before and problems:
            self._say("verify changes a damaged file")
        return problems

    def _use(self, damaged: list[bytes]) -> None:
        """As a program does: what fails is a StorageError that names the file."""
        huey, tasks = _application(self._path)
        opened = self._try("opening", huey.storage.pending_count)
        if not opened and self._contents() != damaged:
            self._say("a file that is refused is changed")
        if self.kind == "wal":
            self._check_prefix(huey)
        for what, use in _uses(huey, tasks):
            self._try(what, use)
        self._try("closing", huey.storage.close)

    def _try(self, what: str, use: Callable[[], object]) -> bool:
        try:
            use()
        except StorageError as error:
            self.verdict = "found"
            if str(self._path) not in str(error):
                self._say(f"{what}: an error that names no file: {error}")
            return False
        except BadSignature:  # SQLite has no checksums of values; the signature is one
            self.verdict = "found"
        except Exception as error:  # noqa: BLE001 -- any other is a finding
            self._say(f"{what} of a damaged {self.kind}: {error!r}")
            return False
        return True

    def _check_prefix(self, huey: Any) -> None:
        """What is lost with a WAL is lost from the end."""
        numbers = sorted(task.args[0] for task in huey.pending() if task.kwargs.get("counts", True))
        tasks = [number for number in numbers if number >= 0]
        if tasks != list(range(len(tasks))):
            self._say(f"tasks are lost from the middle: {tasks}")

    def _back_up(self, found: list[str]) -> None:
        copy = self._folder / "copy.db"
        try:
            backup(str(self._path), str(copy))
        except StorageError:
            if copy.exists():
                self._say("a backup that failed is there")
        except Exception as error:  # noqa: BLE001 -- any other is a finding
            self._say(f"backup: {error!r}")
        else:
            if found and verify(str(copy)).problems:
                self._say("a backup was made that is not whole")

    # Files that are whole, but can't be used

    def _be_foreign(self) -> None:
        connection = apsw.Connection(str(self._path))
        connection.execute("PRAGMA application_id = 1")
        connection.execute("CREATE TABLE of_another (value)")
        connection.close()
        self._refuse()

    def _only_read(self) -> None:
        """As a user who may read the file, and write neither it nor its folder."""
        self._folder.chmod(0o755)
        self._path.chmod(0o644)
        os.seteuid(_NOBODY)
        try:
            self._refuse(may_read=True)
        finally:
            os.seteuid(0)

    def _refuse(self, *, may_read: bool = False) -> None:
        before = self._contents()
        huey, tasks = _application(self._path)
        for what, use in _uses(huey, tasks):
            worked = self._try(what, use)
            if worked and not (may_read and what in _READS):
                self._say(f"{what} works on a {self.kind} file")
        huey.storage.close()
        if self._contents() != before:
            self._say(f"a {self.kind} file was changed")

    def _vanish(self) -> None:
        """The folder is away for a while, under an open queue."""
        huey, tasks = _application(self._path)
        before = huey.storage.pending_count()
        away = self._folder.with_name(f"{self._folder.name}-away")
        self._folder.rename(away)
        for what, use in _uses(huey, tasks):
            if self._try(what, use) and what != "checkpointing":
                self._say(f"{what} works on a file that is gone")
        away.rename(self._folder)
        if huey.storage.pending_count() != before:
            self._say("tasks are gone with the folder that is back")
        huey.storage.close()


def _flipped(page: bytes, chance: random.Random) -> bytes:
    content = bytearray(page)
    for _ in range(chance.randint(1, 20)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def _application(path: Path) -> tuple[Any, list[Any]]:
    huey = SqliteHuey(filename=path, durability="off", serializer=SignedSerializer(secret="of this run"))
    return huey, [
        huey.task(name="again")(_nothing),
        huey.task(name="once", at_most_once=True)(_nothing),
        huey.task(name="other")(_nothing),
    ]


def _nothing(number: int, _text: str = "") -> int:
    return number


def _fill_other_tables(huey: Any, task: Any) -> None:
    """States and values of all kinds; their tasks have negative numbers."""
    huey.put("key", "value")
    task.schedule((-1,), delay=1000)
    task.revoke()
    huey.enqueue(chord([task.s(-2), task.s(-3)], task.s(-4)))
    huey.lock_task("lock").acquire()


def _uses(huey: Any, tasks: list[Any]) -> list[tuple[str, Callable[[], object]]]:
    def work() -> None:
        for _ in range(3):
            task = huey.dequeue()
            if task is not None:
                huey.execute(task)

    return [
        ("a call", lambda: tasks[0](1000, "x")),
        ("listing", huey.scheduled),
        ("results", huey.all_results),
        ("reading a key", lambda: huey.get("key")),
        ("storing a key", lambda: huey.put("other", 1)),
        ("revoking", tasks[0].revoke),
        ("locking", lambda: huey.is_locked("lock")),
        ("restoring", tasks[0].restore),
        ("listing the dead", huey.dead),
        ("working", work),
        ("checkpointing", lambda: huey.storage.maintain(full=True)),
        ("flushing", huey.flush),
    ]
