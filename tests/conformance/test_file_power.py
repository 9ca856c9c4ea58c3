"""The power fails at any moment of a batch in a folder: it is whole or undone; once it has returned, it is whole.

What a file system keeps then is drawn at random within what it has to keep: the contents of a file as of its
last fsync, or any beginning of it where there was none; a creation, a renaming (as a whole) and a removal if one
of the folders that it concerns was synchronised since, and perhaps if not.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from liteq.storage.file import FileStorage
from liteq.testing.conformance.building import claim, message, put

from .test_file import prepare, seen, work


class Medium:
    """A folder, and what of it would be left if the power failed now."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.first = {path: self._inode(path) for path in self._files()}
        self.synced = {inode: path.read_bytes() for path, inode in self.first.items()}
        self.changes: list[tuple[Path | None, Path | None, int]] = []
        self.durable: set[int] = set()
        self.held = [path.open("rb") for path in self.first]  # so that no inode is used twice
        self._real = os.fsync, os.replace, os.unlink
        for name in ("fsync", "replace", "unlink"):
            monkeypatch.setattr(os, name, getattr(self, f"_{name}"))

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())

    def _inode(self, path: Path) -> int:
        return path.stat().st_ino

    def _fsync(self, fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        self._real[0](fd)
        if path.is_dir():
            self.durable |= {
                number
                for number, change in enumerate(self.changes)
                if path in {place.parent for place in change[:2] if place is not None}
            }
        else:
            inode = self._inode(path)
            if inode not in self.synced:
                self.changes.append((None, path, inode))
                self.held.append(path.open("rb"))
            self.synced[inode] = path.read_bytes()
        self.look(f"fsync {path.name}")

    def _replace(self, old: str, new: str) -> None:
        inode = self._inode(Path(old))
        self._real[1](old, new)
        self.changes.append((Path(old), Path(new), inode))
        self.look(f"rename {old}")

    def _unlink(self, path: str) -> None:
        inode = self._inode(Path(path))
        self._real[2](path)
        self.changes.append((Path(path), None, inode))
        self.look(f"remove {path}")

    def look(self, what: str) -> None:
        raise NotImplementedError

    def left(self, target: Path, chance: random.Random) -> None:
        """Make `target` what is left."""
        files = dict(self.first)
        for number, (old, new, inode) in enumerate(self.changes):
            kept = number in self.durable or chance.random() < 0.5
            if kept and (old is None or files.get(old) == inode):
                if old is not None:
                    del files[old]
                if new is not None:
                    files[new] = inode
        for folder in (path for path in self.folder.rglob("*") if path.is_dir()):
            (target / folder.relative_to(self.folder)).mkdir(parents=True, exist_ok=True)
        for path, inode in files.items():
            copy = target / path.relative_to(self.folder)
            copy.write_bytes(self.synced.get(inode, b""))


def second(storage: FileStorage, owner: int) -> None:
    """Another batch: what is left of the first one must not mix with it."""
    with storage.batch():
        put(storage, "more", message("and more", priority=3))
        storage.put_result("second", b"y")
        claim(storage, owner, 1)


@pytest.mark.parametrize("seed", range(2))
def test_the_power_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    storage = FileStorage("huey", tmp_path / "queues")
    owner = prepare(storage)
    chance = random.Random(seed)
    found: list[object] = []

    class Watched(Medium):
        def look(self, what: str) -> None:
            with monkeypatch.context() as patch:
                for name, real in zip(("fsync", "replace", "unlink"), self._real, strict=True):
                    patch.setattr(os, name, real)
                for _ in range(5):
                    rest = tmp_path / "rest"
                    self.left(rest / "huey", chance)
                    fresh = FileStorage("huey", rest, fsync=False)
                    found.append(seen(fresh, owner))
                    fresh.close()
                    shutil.rmtree(rest)

    medium = Watched(storage.folder, monkeypatch)
    for batch in (work, second):
        before = seen(storage, owner)
        found.clear()
        batch(storage, owner)
        during = list(found)
        after = seen(storage, owner)
        assert all(state in (before, after) for state in during)
        assert before in during
        assert after in during
        found.clear()
        medium.look("the batch has returned")
        assert all(state == after for state in found)
    for file in medium.held:
        file.close()
    storage.close()
