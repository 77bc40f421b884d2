"""Reads shards from end to end, without TensorFlow, and lists what is wrong with them."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inatdet.choices import Choice
from inatdet.data.findings import Finding, Level, Remark, findings_in
from inatdet.data.jpeg import BadFileError, jpeg_of
from inatdet.data.reading_ahead import map_ahead
from inatdet.errors import InputError
from inatdet.files import matching, sha256_of
from inatdet.tfrecords.encoding import Record, image_id_in
from inatdet.tfrecords.frames import Frame, FrameReader
from inatdet.tfrecords.journal import manifest_of

_WRITE_AGAIN = "remove this shard and run `inatdet tfrecords` again with the same flags"
_COPY_AGAIN = "copy it again, or remove it and run `inatdet tfrecords` again with the same flags"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.tfrecord")
_NAMED = 5  # shards that a message names
_DIGEST = 16  # bytes of a SHA-256 that tell pictures apart


class RecordProblem(Choice):
    """What can be wrong with shards and their records."""

    DAMAGED = "record is damaged"
    OTHER = "record is none of inatdet's"
    PICTURE = "picture in a record is damaged"
    CHANGED = "image file changed since"
    SHARD = "shard is not as it was written"
    SHARD_MISSING = "shard is missing"
    NO_MANIFEST = "split has no manifest"


@dataclass(frozen=True)
class Verification:
    """What was found in shards.

    Attributes:
        shards: how many there are.
        records: how many they hold.
        findings: in the order of the shards and records; those about whole shards first.
    """

    shards: int
    records: int
    findings: tuple[Finding, ...]

    def count(self, level: Level) -> int:
        """The number of findings of a level."""
        return sum(finding.level is level for finding in self.findings)


@dataclass
class _Shard:
    """What was found in one shard."""

    path: str
    records: int = 0
    boxes: int = 0
    findings: list[Finding] = field(default_factory=list)
    pictures: list[tuple[bytes, int, int, int, str]] = field(default_factory=list)
    """Of each picture: its hash, the record, its offset, the image and the name of its file."""


def verify(
    file_patterns: Sequence[str],
    *,
    decode: bool = False,
    images_dir: str | None = None,
    threads: int | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> Verification:
    """Reads shards and checks them against their checksums and their split's manifest.

    Args:
        file_patterns: of the shards, such as `records/train-*.tfrecord`; several for several
            splits, whose pictures are then compared with one another.
        decode: whether to look at the pictures too: whether they decode, have the annotated size,
            are turned, gray or CMYK, or occur twice.
        images_dir: a folder with the image files; with it, they are compared by hash.
        threads: how many shards to read at the same time; by default one for each core.
        advance: called with the number of bytes that were read.

    Raises:
        InputError: a pattern matches no file.
    """
    paths = list(dict.fromkeys(path for pattern in file_patterns for path in _shards_of(pattern)))
    findings: list[Finding] = []
    of_shard: dict[str, Mapping[str, Any]] = {}
    for split in dict.fromkeys(_split_of(path) for path in paths):
        findings += _check_split(split, of_shard)
    threads = threads or os.cpu_count() or 1
    one_at_a_time = threading.Lock()

    def told(count: int) -> None:
        with one_at_a_time:
            advance(count)

    look = functools.partial(
        _look_through, of_shard=of_shard, decode=decode, images_dir=images_dir, advance=told
    )
    records = 0
    seen: dict[bytes, tuple[str, str]] = {}
    with concurrent.futures.ThreadPoolExecutor(threads) as readers:
        for shard in map_ahead(readers, look, paths, 2 * threads):
            findings += shard.findings
            findings += _repeated(shard, seen)
            records += shard.records
    return Verification(len(paths), records, tuple(findings))


def total_bytes(file_patterns: Sequence[str]) -> int:
    """The size of all shards that patterns match."""
    return sum(os.path.getsize(path) for p in set(file_patterns) for path in _shards_of(p))


def _shards_of(pattern: str) -> list[str]:
    paths = [path for path in matching(pattern) if os.path.isfile(path)]
    if not paths:
        raise InputError(
            f"no file matches {pattern!r}; write TFRecords first (make tfrecords), or correct the "
            "pattern"
        )
    return paths


def _split_of(path: str) -> tuple[str, int]:
    """The path that a shard's name begins with, and how many shards its split has."""
    found = _SHARD.fullmatch(path)
    if not found:
        raise InputError(
            f"{path}: is no shard of `inatdet tfrecords`, whose names are like "
            "train-00000-of-00016.tfrecord; correct the pattern"
        )
    return found[1], int(found[3])


def _check_split(
    split: tuple[str, int], of_shard: dict[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Finds out which shards are missing, and adds to `of_shard` what the manifest says of each."""
    path, count = split
    manifest = manifest_of(path)
    names = [f"{path}-{i:05d}-of-{count:05d}.tfrecord" for i in range(count)]
    files = manifest.get("files")
    for shard in files if isinstance(files, list) else []:
        if isinstance(shard, dict) and isinstance(shard.get("file"), str):
            of_shard[os.path.join(os.path.dirname(path), shard["file"])] = shard
    missing = [name for name in names if not os.path.exists(name)]
    if missing:
        more = ", ..." if len(missing) > _NAMED else ""
        first = ", ".join(os.path.basename(name) for name in missing[:_NAMED])
        yield _about(
            missing[0],
            RecordProblem.SHARD_MISSING,
            f"{len(missing)} of {count} shards are not there: {first}{more}",
            "run `inatdet tfrecords` again with the same flags, or the part that has them",
        )
    if not manifest or not any(name in of_shard for name in names):
        yield _about(
            names[0],
            RecordProblem.NO_MANIFEST,
            f"{path}.json, which says what was written, is not there or is of other shards",
            "run `inatdet tfrecords` again with the same flags, without --shards, which joins the "
            "parts",
        )


def _look_through(
    path: str,
    of_shard: Mapping[str, Mapping[str, Any]],
    decode: bool,
    images_dir: str | None,
    advance: Callable[[int], object],
) -> _Shard:
    shard = _Shard(path)
    with open(path, "rb") as file:
        frames = FrameReader(file)
        told = 0
        for frame in frames:
            shard.records += 1
            for finding in _look_at(frame, shard, decode, images_dir):
                shard.findings.append(
                    replace(
                        finding,
                        shard=os.path.basename(path),
                        record=frame.number,
                        offset=frame.offset,
                    )
                )
            advance(frames.bytes - told)
            told = frames.bytes
    written = of_shard.get(path)
    if written is not None:
        shard.findings[:0] = _compared(shard, frames, written)
    return shard


def _look_at(
    frame: Frame, shard: _Shard, decode: bool, images_dir: str | None
) -> Iterable[Finding]:
    """What is wrong with one record."""
    if frame.fault:
        image_id = image_id_in(frame.data)
        yield Finding(image_id, "", Level.PROBLEM, RecordProblem.DAMAGED, frame.fault, _COPY_AGAIN)
        return
    try:
        record = Record.of(frame.data)
    except ValueError as error:
        yield Finding(None, "", Level.PROBLEM, RecordProblem.OTHER, f"is {error}", _WRITE_AGAIN)
        return
    shard.boxes += record.boxes
    image = record.image
    if images_dir is not None:
        yield from _changed(record, images_dir)
    if not decode:
        return
    digest = hashlib.sha256(record.jpeg)
    shard.pictures.append(
        (digest.digest()[:_DIGEST], frame.number, frame.offset, image.id, image.file_name)
    )
    if digest.hexdigest() != record.sha256:
        what = "its hash is not the one that the record has"
        yield Finding(
            image.id, image.file_name, Level.PROBLEM, RecordProblem.PICTURE, what, _WRITE_AGAIN
        )
    try:
        jpeg = jpeg_of(record.jpeg, image, shard.path)
    except BadFileError as error:
        what, remedy = error.what, error.remedy
        kind = str(error.problem)
        yield Finding(image.id, image.file_name, Level.PROBLEM, kind, what, remedy)
        return
    yield from findings_in(jpeg, os.path.dirname(shard.path), image, decode=True)


def _changed(record: Record, images_dir: str) -> Iterable[Finding]:
    """Whether the file of a record is not what it was when it was written."""
    image = record.image
    try:
        same = sha256_of(image.path_in(images_dir)) == record.sha256
        what = "its hash is not that of its record"
    except (OSError, InputError) as error:
        same, what = False, f"cannot be read ({getattr(error, 'strerror', '') or error})"
    if not same:
        remedy = f"restore the file, or {_WRITE_AGAIN}"
        yield Finding(image.id, image.file_name, Level.PROBLEM, RecordProblem.CHANGED, what, remedy)


def _compared(shard: _Shard, frames: FrameReader, written: Mapping[str, Any]) -> Iterator[Finding]:
    """Where a shard is not what the manifest says."""
    found = {"bytes": frames.bytes, "images": shard.records, "crc32c": frames.crc32c}
    unknown = {RecordProblem.DAMAGED, RecordProblem.OTHER}
    if not unknown & {finding.kind for finding in shard.findings}:  # their boxes are not counted
        found["boxes"] = shard.boxes
    other = [
        f"{key} {found[key]}, not {written[key]}"
        for key in found
        if written.get(key) not in (None, "", found[key])
    ]
    if other:
        yield _about(
            shard.path,
            RecordProblem.SHARD,
            f"the manifest disagrees: {', '.join(other)}",
            _COPY_AGAIN,
        )


def _repeated(shard: _Shard, seen: dict[bytes, tuple[str, str]]) -> Iterator[Finding]:
    """Pictures that were seen before, in this or another split."""
    split = os.path.basename(_split_of(shard.path)[0])
    for digest, number, offset, image_id, name in shard.pictures:
        place = (split, name)
        first = seen.setdefault(digest, place)
        if first is place:
            continue
        yield Finding(
            image_id,
            name,
            Level.REMARK,
            Remark.SAME_PICTURE,
            f"has the same content as {first[1]} of {first[0]}",
            "leave one of them out, above all if one is for training and one for validation",
            shard=os.path.basename(shard.path),
            record=number,
            offset=offset,
        )


def _about(path: str, kind: RecordProblem, what: str, remedy: str) -> Finding:
    """A finding about a whole shard."""
    return Finding(None, "", Level.PROBLEM, kind, what, remedy, shard=os.path.basename(path))
