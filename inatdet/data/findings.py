"""What there is to say about the JPEG of an image: problems, and what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inatdet.choices import Choice
from inatdet.data.annotations import Image
from inatdet.data.jpeg import BadFileError, FileProblem, Jpeg, check_size
from inatdet.data.jpeg_data import damage_in


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
    """Something about one image file, one record, or the annotations.

    Attributes:
        image_id: the image; None if the finding is about no single image.
        file_name: of the image, relative to the images' folder; empty as above.
        level: whether it must be mended.
        kind: a `FileProblem`, a `Remark` or what the reader of annotations calls it, in words.
        what: what is wrong.
        remedy: what to do.
        count: how many there are of them, if the finding is about the annotations.
        shard: the file of records, if it is about one.
        record: the number of the record in it, from 1.
        offset: where the record begins, in bytes.
    """

    image_id: int | None
    file_name: str
    level: Level
    kind: str
    what: str
    remedy: str
    count: int = 1
    shard: str = ""
    record: int | None = None
    offset: int | None = None


def findings_in(jpeg: Jpeg, folder: str, image: Image, decode: bool) -> Iterable[Finding]:
    """What there is to say about a JPEG that can be opened.

    Args:
        jpeg: the file.
        folder: where it lies, for messages.
        image: what the annotations say about it.
        decode: whether to decode the picture, which finds damage in the middle of the file.
    """
    try:
        check_size(jpeg, folder, image)
    except BadFileError as error:
        yield problem(image, error.problem, error.what, error.remedy)
    else:
        yield from _turned(image, jpeg)
    if decode and (damage := damage_in(jpeg.data)):
        yield problem(image, FileProblem.HOLE, f"decodes badly ({damage})", "fetch it again")
    yield from _colors(image, jpeg)


def _turned(image: Image, jpeg: Jpeg) -> Iterable[Finding]:
    if jpeg.is_turned:
        yield remark(
            image,
            Remark.TURNED,
            f"has the EXIF orientation {jpeg.orientation}, which boxes and readers ignore",
            "look whether its boxes were drawn on the upright picture; if so, turn them or the "
            "pixels",
        )


def _colors(image: Image, jpeg: Jpeg) -> Iterable[Finding]:
    if jpeg.mode == "CMYK":
        yield remark(
            image,
            Remark.CMYK,
            "has the four colors of print",
            "nothing; its colors may look a little different after conversion to RGB",
        )
    elif jpeg.mode == "L":
        yield remark(image, Remark.GRAY, "has no color", "nothing; it is read as RGB")


def problem(image: Image, kind: FileProblem, what: str, remedy: str) -> Finding:
    """A finding about the file of an image that cannot be used."""
    return Finding(image.id, image.file_name, Level.PROBLEM, str(kind), what, remedy)


def remark(image: Image, kind: Remark, what: str, remedy: str) -> Finding:
    """A finding about the file of an image that can be used as it is."""
    return Finding(image.id, image.file_name, Level.REMARK, str(kind), what, remedy)
