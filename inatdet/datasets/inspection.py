"""Looks at every image file of a dataset and lists what is wrong."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inatdet.data.annotations import Annotations, Image
from inatdet.data.file_names import FilesBelow
from inatdet.data.findings import Finding, Level, Remark, findings_in, problem, remark
from inatdet.data.jpeg import BadFileError, FileProblem, open_jpeg
from inatdet.data.problems import BOXES_LEFT_OUT, IMAGES_LEFT_OUT
from inatdet.data.reading_ahead import map_ahead

_AHEAD = 4  # files per thread that are read before they are asked for


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        images: the number of images that were looked at.
        findings: in the order of the images, those about the annotations first.
        unlisted: the number of image files in the folder that no image lists.
    """

    images: int
    findings: tuple[Finding, ...]
    unlisted: int

    def count(self, level: Level) -> int:
        """The number of findings of a level."""
        return sum(finding.count for finding in self.findings if finding.level is level)


def inspect(
    annotations: Annotations,
    images_dir: str,
    decode: bool = False,
    threads: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Inspection:
    """Looks at the file of every image.

    Args:
        annotations: what the files should be; what their reader skipped becomes findings too.
        images_dir: the folder that file names are relative to.
        decode: whether to decode all pictures, which finds damage in the middle of files.
        threads: how many files to read at the same time; by default two for each core.
        advance: called after each image.
    """
    files = FilesBelow(images_dir)
    findings = [
        Finding(
            None,
            "",
            Level.PROBLEM,
            kind,
            f"{count} in {annotations.path}",
            "correct the file; without --on_bad=skip, programs say which",
            count,
        )
        for kind, count in annotations.skipped.items()
        if count and kind not in (IMAGES_LEFT_OUT, BOXES_LEFT_OUT)  # which follow from the others
    ]
    images = (*annotations.images, *annotations.left_out)
    repeats = _Repeats()
    threads = threads or 2 * (os.cpu_count() or 1)
    look = functools.partial(_look_at, files, decode)
    with concurrent.futures.ThreadPoolExecutor(threads) as readers:
        looked = map_ahead(readers, look, images, _AHEAD * threads)
        for image, (found, digest) in zip(images, looked):
            findings += found
            findings += repeats.of(image, digest)
            advance()
    listed = (posixpath.normpath(image.file_name) for image in images)
    unlisted = files.names.difference(listed)
    return Inspection(len(images), tuple(findings), len(unlisted))


def _look_at(files: FilesBelow, decode: bool, image: Image) -> tuple[list[Finding], bytes]:
    """What there is to say about one file, and the hash of its content, empty without a file."""
    try:
        jpeg = open_jpeg(files.folder, image)
    except BadFileError as error:
        near = files.near(image.file_name) if error.problem is FileProblem.MISSING else None
        if near:
            what = f"is not there, but {near.name} is ({near.difference})"
            return [problem(image, error.problem, what, near.remedy)], b""
        return [problem(image, error.problem, error.what, error.remedy)], b""
    found = list(findings_in(jpeg, files.folder, image, decode))
    return found, hashlib.sha256(jpeg.data).digest()


class _Repeats:
    """Files that several images list, and files of the same content."""

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}
        self._by_content: dict[bytes, str] = {}

    def of(self, image: Image, digest: bytes) -> Iterable[Finding]:
        """What is repeated in an image, given the hash of its file."""
        first = self._by_name.setdefault(image.file_name, image.id)
        if first != image.id:
            yield remark(
                image,
                Remark.LISTED_TWICE,
                f"is the file of image {first} too",
                "list each image once, with all of its boxes",
            )
        elif digest:
            other = self._by_content.setdefault(digest, image.file_name)
            if other != image.file_name:
                yield remark(
                    image,
                    Remark.SAME_PICTURE,
                    f"has the same content as {other}",
                    "leave one of them out, above all if one is for training and one for "
                    "validation",
                )
