"""Unpacks archives, and nothing else than an archive of pictures and annotations should hold.

Regular files and folders with safe names are written, below the target, never through a link and
never over another file, and no more of them than was announced.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from inatdet.archive_entries import Entry, iterate_entries
from inatdet.data.entries import file_name_fault, short
from inatdet.data.file_names import without_case
from inatdet.errors import InputError
from inatdet.files import atomic_path, open_regular


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        size: bytes of all files together.
        entries: files and folders.
    """

    size: int
    entries: int


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        files: the number of files of the archive.
        size: their bytes.
        kept: how many of the files were there already, whole.
    """

    files: int
    size: int
    kept: int


def unpack(
    path: str, folder: str, limits: Limits, advance: Callable[[int], object] = lambda size: None
) -> Unpacked:
    """Unpacks an archive; what an interrupted run has unpacked is kept.

    Every file is written under a temporary name first, so those with their own names are whole.

    Args:
        path: a tar, which may be compressed, or a zip.
        folder: where to; it is created if missing.
        limits: the archive is refused as soon as it goes beyond them.
        advance: called with the bytes of the archive that were gone through since the last call.

    Raises:
        InputError: the archive is damaged; or an entry is neither file nor folder, has an unsafe
            name, is there twice (upper and lower case do not tell names apart), or goes beyond the
            limits; or something else is in its place. Files before it stay.
        OSError: a file cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    target = _Target(path, os.path.realpath(folder), limits)
    for entry in iterate_entries(path, advance):
        target.take(entry)
    return Unpacked(target.files, target.size, target.kept)


class _Target:
    """The folder that is unpacked to, and what was taken so far."""

    def __init__(self, archive: str, folder: str, limits: Limits):
        self._archive, self._folder, self._limits = archive, folder, limits
        self.files = self.size = self.kept = 0
        self._names: dict[str, str] = {}  # of files, by name without case
        self._folders: dict[str, str] = {"": ""}

    def take(self, entry: Entry) -> None:
        """Writes an entry."""
        if entry.oddity:
            raise self._refused(entry, f"is {entry.oddity}")
        name = self._safe(entry)
        if not name:  # `./`, the target itself
            return
        if entry.is_folder:
            self._make_folder(name, entry)
            return
        self._make_folder(name.rpartition("/")[0], entry)
        folded = without_case(name)
        if folded in self._folders:
            raise self._refused(entry, "is a file and a folder")
        if folded in self._names:
            other = self._names[folded]
            raise self._refused(
                entry,
                "is there twice"
                if other == name
                else f"differs from {short(other)} in upper and lower case or Unicode form alone",
            )
        self._names[folded] = name
        self.files += 1
        self.size += entry.size
        if self.size > self._limits.size:
            raise self._refused(
                entry, f"brings it above the {self._limits.size:,} bytes that were announced"
            )
        self._check_number(entry)
        path = os.path.join(self._folder, *name.split("/"))
        if self._is_there(path, entry):
            self.kept += 1
        else:
            self._write(path, entry)

    def _refused(self, entry: Entry, why: str) -> InputError:
        return InputError(
            f"{self._archive}: has the entry {short(entry.name)}, which {why}; archives of "
            "pictures and annotations have nothing like it, so delete this one and get it from its "
            "authors"
        )

    def _safe(self, entry: Entry) -> str:
        """The name of an entry, without `.` and doubled slashes."""
        name = entry.name
        if entry.is_folder or name.startswith("./"):
            parts = [part for part in name.split("/")[1:] if part not in ("", ".")]
            first = name.split("/")[0]
            name = "/".join(([] if first == "." else [first]) + parts)
            if not name and entry.name.startswith("."):
                return ""
        if fault := file_name_fault(name):
            raise self._refused(entry, fault.partition(":")[0])
        if "" in name.split("/") or "." in name.split("/"):
            raise self._refused(entry, "has an empty part or a dot in its name")
        return name

    def _make_folder(self, name: str, entry: Entry) -> None:
        """Makes a folder and those around it, each once."""
        if self._folders.get(without_case(name)) == name:
            return
        parent, _, _ = name.rpartition("/")
        self._make_folder(parent, entry)
        folded = without_case(name)
        if folded in self._folders:
            raise self._refused(
                entry,
                f"lies in a folder that differs from {short(self._folders[folded])} in upper and "
                "lower case or Unicode form alone",
            )
        if folded in self._names:
            raise self._refused(entry, "needs a folder where the archive has a file")
        self._folders[folded] = name
        self._check_number(entry)
        path = os.path.join(self._folder, *name.split("/"))
        if not os.path.lexists(path):
            os.mkdir(path)
        elif not stat.S_ISDIR(os.lstat(path).st_mode):
            raise InputError(
                f"{path}: is a link or a file where {self._archive} has a folder, and nothing is "
                "unpacked through links; move it away, or unpack into another folder"
            )

    def _check_number(self, entry: Entry) -> None:
        if len(self._names) + len(self._folders) - 1 > self._limits.entries:
            raise self._refused(
                entry,
                f"is one more than the {self._limits.entries:,} files and folders that were "
                "announced",
            )

    def _is_there(self, path: str, entry: Entry) -> bool:
        """Whether an earlier run has written this file."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if stat.S_ISREG(found.st_mode) and found.st_size == entry.size:
            with open_regular(path) as file:
                if all(file.read(len(piece)) == piece for piece in entry.pieces()):
                    return True
        raise InputError(
            f"{path}: is in the way, as it is not the file that {self._archive} has; move it away, "
            "or unpack into another folder"
        )

    def _write(self, path: str, entry: Entry) -> None:
        written, crc = 0, 0
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            for piece in entry.pieces():
                written += len(piece)
                if written > entry.size:
                    break
                file.write(piece)
                if entry.crc is not None:
                    crc = zlib.crc32(piece, crc)
            if written != entry.size or entry.crc not in (None, crc):
                raise InputError(
                    f"{self._archive}: is damaged: the content of {short(entry.name)} is not what "
                    "was announced; delete it and fetch it again"
                )
