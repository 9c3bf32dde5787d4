"""Which files a path or a glob means, and which of them can be read now."""

from __future__ import annotations

import difflib
import glob
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from parcours.schemas.config import Source
from parcours.transforms.sources.contract import Position, SourceUnavailableError

_NAMED = 3
"""Files that a message names; the others it counts."""


@dataclass(frozen=True)
class File:
    """One file as it was found. ``age`` is the seconds since it last changed."""

    topic: str
    path: Path
    size: int
    changed_ns: int
    age: float


class Listing:
    """The files of one source. ``root`` is the glob's fixed folder, or the folder that a plain file is in."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pattern = source.path or ""
        self._is_glob = glob.has_magic(self._pattern) and not Path(self._pattern).is_file()
        self.root = _fixed_folder(Path(self._pattern)) if self._is_glob else Path(self._pattern).parent

    def find(self, committed: Mapping[tuple[str, int], Position]) -> tuple[list[File], list[str]]:
        """List the files that can be read, by path, and say which wait and why.

        Args:
            committed: what was read before; where that is nothing, there must be a file.

        Raises:
            SourceUnavailableError: there is no file, and none was ever read.
        """
        names = (
            glob.glob(self._pattern, recursive=True, include_hidden=True)  # noqa: PTH207  Path.glob hides none
            if self._is_glob
            else [self._pattern]
        )
        files, unfinished, unsettled, unnamed = [], [], [], []
        for path in sorted({Path(name) for name in names}):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was moved away a moment ago, or is a link to nothing
            if not stat.S_ISREG(status.st_mode):
                continue
            topic = path.relative_to(self.root).as_posix()
            age = time.time() - status.st_mtime
            if any(part.startswith(".") for part in topic.split("/")) or path.suffix in (".tmp", ".part"):
                unfinished.append(topic)
            elif self._source.settle and age < self._source.settle.total_seconds():
                unsettled.append(topic)
            elif not _is_utf8(topic):
                unnamed.append(ascii(topic))
            else:
                files.append(File(topic, path, status.st_size, status.st_mtime_ns, age))
        files.sort(key=lambda file: file.topic)
        settle = f"{self._source.settle.total_seconds():g} s"
        waiting = [
            f"{_some(topics)}: {why}"
            for topics, why in (
                (unfinished, "the name says that it is not finished (.tmp, .part, or a leading dot)"),
                (unsettled, f"changed less than {settle} ago (settle)"),
                (unnamed, "the name is not UTF-8; rename it"),
            )
            if topics
        ]
        known = bool(committed) if self._is_glob else (Path(self._pattern).name, 0) in committed
        if not files and not waiting and not known:
            raise SourceUnavailableError(self._nothing_there())
        return files, waiting

    def _nothing_there(self) -> str:
        path = Path(self._pattern)
        start = f'source "{self._source.name}": '
        if path.is_dir():
            return (
                f"{start}{path} is a folder; write {path}/* for its files, or {path}/**/* for subfolders too"
            )
        while not (self.root if self._is_glob else path.parent).is_dir() and path.parent != path:
            path = path.parent
            if path.parent.is_dir():
                break
        what = "no file matches" if self._is_glob else "there is no file"
        siblings = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, 1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else f"; looked in {self.root.resolve()}"
        return f"{start}{what} {self._pattern}{hint}"


def _fixed_folder(pattern: Path) -> Path:
    """Return the folder above the first part of a glob that stands for several names."""
    return Path(*[*_until_magic(pattern.parts[:-1])])


def _until_magic(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
