"""Downloads archives and unpacks them; what is there already is neither done again nor lost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from tqdm import tqdm

from inatdet.choices import Choice
from inatdet.datasets.archives import Archive
from inatdet.datasets.extraction import unpack
from inatdet.download import bytes_there, download
from inatdet.errors import InputError
from inatdet.files import digest_of, open_regular, write_text
from inatdet.locks import only_writer
from inatdet.outputs import free_space, gigabytes

_VERSION = 1


class State(Choice):
    """How much of an archive is there."""

    MISSING = "to download"
    BEGUN = "begun"
    DOWNLOADED = "to unpack"
    UNPACKED = "unpacked"


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        folder: where to.
        archives: all that are wanted.
        states: how much of each is there.
        keep: whether archives stay when they are unpacked.
        to_download: bytes still to be downloaded, about.
        needed: bytes of free space that are needed at the most, about.
        free: bytes that are free.
    """

    folder: str
    archives: tuple[Archive, ...]
    states: tuple[State, ...]
    keep: bool
    to_download: int
    needed: int
    free: int

    @property
    def is_done(self) -> bool:
        """Whether everything is unpacked."""
        return all(state is State.UNPACKED for state in self.states)


class _Record(msgspec.Struct):
    """That an archive was unpacked, and what it held."""

    archive: str
    files: int
    size: int
    version: int = _VERSION


def plan(folder: str, archives: Sequence[Archive], keep: bool = False) -> Plan:
    """Looks what is there, and what is to be done.

    Args:
        folder: where to; it need not exist.
        archives: what is wanted.
        keep: whether archives stay when they are unpacked.
    """
    states = []
    to_download = used = most = 0
    for archive in archives:
        path = os.path.join(folder, archive.name)
        there = bytes_there(path)
        if _is_unpacked(folder, archive):
            state = State.UNPACKED
        elif os.path.exists(path):
            state = State.DOWNLOADED
        else:
            state = State.BEGUN if there else State.MISSING
        states.append(state)
        if state is State.UNPACKED:
            continue
        missing = max(0, archive.size - there)
        to_download += missing
        used += missing + archive.unpacked
        most = max(most, used)
        if not keep:
            used -= archive.size
    return Plan(folder, tuple(archives), tuple(states), keep, to_download, most, free_space(folder))


def fetch(todo: Plan, base_url: str) -> None:
    """Downloads and unpacks what is missing, archive by archive, with progress bars.

    Args:
        todo: from `plan`.
        base_url: the address that the archives' names follow.

    Raises:
        InputError: there is too little space, another process writes to the folder, or an archive
            cannot be downloaded or unpacked. What is there by then stays, and the next call goes
            on from there.
    """
    if todo.needed > todo.free:
        raise InputError(
            f"{todo.folder}: about {gigabytes(todo.needed)} are needed, but only "
            f"{gigabytes(todo.free)} are free; free space, choose another disk, or fewer --parts"
        )
    with only_writer(todo.folder):
        for archive in todo.archives:
            if _is_unpacked(todo.folder, archive):
                continue
            _fetch_one(archive, todo, base_url)
            if not todo.keep:
                os.remove(os.path.join(todo.folder, archive.name))


def _fetch_one(archive: Archive, todo: Plan, base_url: str) -> None:
    path = os.path.join(todo.folder, archive.name)
    if os.path.exists(path):
        _check(path, archive)
    else:
        download(
            f"{base_url.rstrip('/')}/{archive.name}",
            path,
            what=archive.name,
            md5=archive.md5,
            size=archive.size if archive.is_exact else None,
            by_hand=f"or put {archive.name} into {todo.folder} yourself",
        )
    size = os.path.getsize(path)
    with tqdm(
        total=size, unit="B", unit_scale=True, desc=f"unpacking {archive.name}", disable=None
    ) as bar:
        unpacked = unpack(path, todo.folder, archive.limits, bar.update)
    for name in archive.holds:
        if not os.path.exists(os.path.join(todo.folder, name)):
            raise InputError(
                f"{path}: does not hold {name}, so it is another archive; delete it and download "
                "it again"
            )
    record = _Record(archive.name, unpacked.files, unpacked.size)
    write_text(_record_path(todo.folder, archive), msgspec.json.encode(record).decode())


def _check(path: str, archive: Archive) -> None:
    """Checks an archive that somebody put there, or an earlier run downloaded and did not unpack.

    Raises:
        InputError: it is another file, or damaged.
    """
    size = os.path.getsize(path)
    wrong = f"it has {size:,} bytes, not {archive.size:,}"
    if not archive.is_exact or size == archive.size:
        if archive.md5 is None:
            return
        with tqdm(
            total=size, unit="B", unit_scale=True, desc=f"checking {archive.name}", disable=None
        ) as bar:
            found = digest_of(path, "md5", bar.update)
        if found == archive.md5:
            return
        wrong = f"its MD5 is {found}, not {archive.md5}"
    raise InputError(
        f"{path}: is damaged or another file ({wrong}); delete it, and it will be downloaded again"
    )


def _record_path(folder: str, archive: Archive) -> str:
    return os.path.join(folder, f".{archive.name}.unpacked.json")


def _is_unpacked(folder: str, archive: Archive) -> bool:
    try:
        with open_regular(_record_path(folder, archive)) as file:
            record = msgspec.json.decode(file.read(), type=_Record)
    except (OSError, msgspec.DecodeError):
        return False
    return record.version == _VERSION and all(
        os.path.exists(os.path.join(folder, name)) for name in archive.holds
    )
