"""What a run did to its files, as strace saw it, and what a power failure may leave of that.

The model is that of a disk that keeps no more than it has to. A file's contents are certain as of its last
fsync; of what was written since, a beginning may be there, or zeros in its place, or all. That something was
made, renamed (as a whole) or removed is certain once one of the folders concerned has been synchronised since;
before that, each such change is there or not, whatever became of others.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

CALLS = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,"
    "write,pwrite64,writev,fsync,fdatasync,ftruncate,truncate"
)
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?$")
_UNFINISHED = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)$")
_HEX = r"((?:\\x[0-9a-f]{2})*)"


def can_trace() -> bool:
    """Whether strace is installed, and may trace."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0
    )


class Call(NamedTuple):
    """A system call that succeeded."""

    name: str
    paths: tuple[str, ...]
    """Those that it names, and that of its descriptor."""
    data: bytes
    numbers: str
    """The arguments as text, without paths and data."""
    result: int


def trace(script: str, arguments: Sequence[str], output: Path, environment: dict[str, str]) -> list[Call]:
    """Run a program of Python and all that it starts; the calls that concern files."""
    command = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(output)]
    subprocess.run([*command, sys.executable, "-c", script, *arguments], check=True, env=environment)
    return list(_calls(output.read_text().splitlines()))


def _calls(lines: list[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        if match := _UNFINISHED.match(line):
            begun[match[1]] = match[2]
            continue
        resumed = _RESUMED.match(line)
        match = _LINE.match(f"{resumed[1]} {begun.pop(resumed[1])}{resumed[2]}" if resumed else line)
        if match and int(match[4]) >= 0:
            yield _call(match[2], match[3], int(match[4]))


def _call(name: str, arguments: str, result: int) -> Call:
    texts = [_bytes(text) for text in re.findall(f'"{_HEX}"', arguments)]
    paths = [_bytes(text).decode() for text in re.findall(rf"\d<{_HEX}>", arguments)]
    data = b""
    if "write" in name:
        data = b"".join(texts)
    else:
        paths += [text.decode() for text in texts]
    numbers = re.sub(f'"{_HEX}"|<{_HEX}>', "", arguments)
    return Call(name, tuple(map(os.path.normpath, paths)), data, numbers, result)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Change(NamedTuple):
    """Something that happened to names: one was made (`old` is None), renamed or removed (`new` is)."""

    old: str | None
    new: str | None
    file: int


class Medium:
    """The files below a folder as calls change them, and what is left if the power fails."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: dict[str, int] = {}
        self._written: dict[int, list[bytes]] = {}
        """By file: its contents as of the last fsync, then after each write since; none of a folder."""
        self._changes: list[Change] = []
        self._certain: set[int] = set()

    def take(self, call: Call) -> None:
        """The call has happened."""
        paths = [path for path in call.paths if path.startswith(f"{self._root}/")]
        if not paths and self._root not in call.paths:
            return
        match call.name:
            case "open" | "openat" | "creat":
                self._open(paths, call.numbers)
            case "mkdir" | "mkdirat":
                self._change(None, paths[-1], -len(self._changes) - 1)
            case "rename" | "renameat" | "renameat2":
                old, new = paths[-2:]
                self._change(old, new, self._names.pop(old))
            case "unlink" | "unlinkat" | "rmdir":
                self._change(paths[-1], None, self._names.pop(paths[-1]))
            case "write" | "pwrite64":
                self._write(paths[0], call)
            case "fsync" | "fdatasync":
                self._sync(call.paths[0])
            case _:
                raise NotImplementedError(call)

    def _open(self, paths: list[str], flags: str) -> None:
        path = paths[-1] if paths else ""
        if "O_CREAT" in flags and path not in self._names:
            number = len(self._written) + 1
            self._written[number] = [b""]
            self._change(None, path, number)
        elif "O_TRUNC" in flags:
            self._written[self._names[path]].append(b"")

    def _change(self, old: str | None, new: str | None, file: int) -> None:
        if new is not None:
            self._names[new] = file
        self._changes.append(Change(old, new, file))

    def _write(self, path: str, call: Call) -> None:
        states = self._written[self._names[path]]
        data = call.data[: call.result]
        at = len(states[-1]) if call.name == "write" else int(call.numbers.rpartition(",")[2])
        states.append(states[-1][:at].ljust(at, b"\0") + data + states[-1][at + len(data) :])

    def _sync(self, path: str) -> None:
        number = self._names.get(path, 0)
        if number > 0:
            self._written[number] = self._written[number][-1:]
        self._certain |= {
            place
            for place, change in enumerate(self._changes)
            if path in {str(Path(name).parent) for name in change[:2] if name is not None}
        }

    def left(self, chance: random.Random, target: Path) -> None:
        """Make `target` what is left of the root after a power failure."""
        share = chance.choice([0, 0.2, 0.5, 0.8, 1])
        names: dict[str, int] = {}
        for place, change in enumerate(self._changes):
            kept = place in self._certain or chance.random() < share
            if kept and (change.old is None or names.get(change.old) == change.file):
                names.pop(change.old or "", None)
                if change.new is not None:
                    names[change.new] = change.file
        target.mkdir()
        for path, file in sorted(names.items()):
            place = target / os.path.relpath(path, self._root)
            if place.parent.is_dir():
                if file < 0:
                    place.mkdir()
                else:
                    place.write_bytes(self._contents(file, chance))

    def _contents(self, file: int, chance: random.Random) -> bytes:
        states = self._written[file]
        whole = chance.choice(states)
        if len(states) == 1 or chance.random() < 0.5:
            return whole
        length = chance.randint(0, len(whole))
        return whole[:length] + (bytes(len(whole) - length) if chance.random() < 0.5 else b"")
