"""Looks at every image file of a dataset and lists what is wrong."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations, Image
from inatdet.data.file_names import FilesBelow
from inatdet.data.jpeg import BadFileError, FileProblem, Jpeg, check_size, open_jpeg
from inatdet.data.jpeg_data import damage_in
from inatdet.data.problems import BOXES_LEFT_OUT, IMAGES_LEFT_OUT
from inatdet.data.reading_ahead import map_ahead

_AHEAD = 4  # files per thread that are read before they are asked for


class Remark(Choice):
    """What is worth knowing about an image file that can be used as it is."""

    TURNED = "EXIF orientation is ignored"
    SAME_PICTURE = "same content as another file"
    LISTED_TWICE = "file is listed by several images"
    GRAY = "image is gray"
    CMYK = "image is CMYK"


class Level(Choice):
    """How bad a finding is."""

    PROBLEM = "problem"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one image file, or about the annotations.

    Attributes:
        image_id: the image; None if the finding is about the annotations.
        file_name: relative to the images' folder; empty as above.
        level: whether it must be mended.
        kind: a `FileProblem`, a `Remark` or what the reader of annotations calls it, in words.
        what: what is wrong.
        remedy: what to do.
        count: how many there are of them, if the finding is about the annotations.
    """

    image_id: int | None
    file_name: str
    level: Level
    kind: str
    what: str
    remedy: str
    count: int = 1


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
            return [_problem(image, error.problem, what, near.remedy)], b""
        return [_problem(image, error.problem, error.what, error.remedy)], b""
    found = []
    try:
        check_size(jpeg, files.folder, image)
    except BadFileError as error:
        found.append(_problem(image, error.problem, error.what, error.remedy))
    else:
        found += _turned(image, jpeg)
    if decode and (damage := damage_in(jpeg.data)):
        found.append(
            _problem(image, FileProblem.HOLE, f"decodes badly ({damage})", "fetch it again")
        )
    found += _colors(image, jpeg)
    return found, hashlib.blake2b(jpeg.data, digest_size=16).digest()


def _turned(image: Image, jpeg: Jpeg) -> Iterable[Finding]:
    if jpeg.is_turned:
        yield _remark(
            image,
            Remark.TURNED,
            f"has the EXIF orientation {jpeg.orientation}, which boxes and readers ignore",
            "look whether its boxes were drawn on the upright picture; if so, turn them or the "
            "pixels",
        )


def _colors(image: Image, jpeg: Jpeg) -> Iterable[Finding]:
    if jpeg.mode == "CMYK":
        yield _remark(
            image,
            Remark.CMYK,
            "has the four colors of print",
            "nothing; its colors may look a little different after conversion to RGB",
        )
    elif jpeg.mode == "L":
        yield _remark(image, Remark.GRAY, "has no color", "nothing; it is read as RGB")


class _Repeats:
    """Files that several images list, and files of the same content."""

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}
        self._by_content: dict[bytes, str] = {}

    def of(self, image: Image, digest: bytes) -> Iterable[Finding]:
        """What is repeated in an image, given the hash of its file."""
        first = self._by_name.setdefault(image.file_name, image.id)
        if first != image.id:
            yield _remark(
                image,
                Remark.LISTED_TWICE,
                f"is the file of image {first} too",
                "list each image once, with all of its boxes",
            )
        elif digest:
            other = self._by_content.setdefault(digest, image.file_name)
            if other != image.file_name:
                yield _remark(
                    image,
                    Remark.SAME_PICTURE,
                    f"has the same content as {other}",
                    "leave one of them out, above all if one is for training and one for "
                    "validation",
                )


def _problem(image: Image, kind: FileProblem, what: str, remedy: str) -> Finding:
    return Finding(image.id, image.file_name, Level.PROBLEM, str(kind), what, remedy)


def _remark(image: Image, kind: Remark, what: str, remedy: str) -> Finding:
    return Finding(image.id, image.file_name, Level.REMARK, str(kind), what, remedy)
