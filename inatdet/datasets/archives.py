"""The archives of iNat2017 as its authors publish them.

Sizes, hashes and terms are those of https://github.com/visipedia/inat_comp/tree/master/2017; where
it rounds the size, bytes are those that TensorFlow Datasets lists, where it lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inatdet.datasets.extraction import Limits
from inatdet.datasets.inat2017 import PICTURES, TEST_IMAGES
from inatdet.errors import InputError

BASE_URL = "https://ml-inat-competition-datasets.s3.amazonaws.com/2017/"

TERMS = """\
By downloading the dataset you agree to its terms, in short:
  - iNaturalist's terms of service hold: https://www.inaturalist.org/pages/terms
  - the data are for non-commercial research and education only;
  - the images may not be distributed;
  - there is no warranty, and you answer for what you do with them, copyright included.
In full: https://github.com/visipedia/inat_comp/tree/master/2017#terms-of-use"""
"""What who downloads the dataset agrees to."""

_JSON_SHRINKS = 15  # times, at most; what becomes of the annotations is known only afterwards
_MANY = 10  # entries of an archive that holds one file or two


@dataclass(frozen=True)
class Archive:
    """One file to download and unpack.

    Attributes:
        name: of the file, below `BASE_URL`.
        content: what is in it.
        size: its bytes.
        is_exact: whether the size is known to the byte.
        md5: its hash; None where its authors state none.
        unpacked: bytes that it unpacks to, about.
        limits: what it may unpack to, with room for what surrounds the files on other systems.
        holds: the files or folders in it that are needed.
    """

    name: str
    content: str
    size: int
    is_exact: bool
    md5: str | None
    unpacked: int
    limits: Limits
    holds: tuple[str, ...]


def _pictures(name: str, content: str, size: int, md5: str, pictures: int, folder: str) -> Archive:
    # JPEGs do not shrink further; each file fills its last block.
    unpacked = size + pictures * 2048
    limits = Limits(size + size // 4, 2 * pictures)
    return Archive(name, content, size, True, md5, unpacked, limits, (folder,))


def _json(
    name: str,
    content: str,
    size: int,
    holds: tuple[str, ...],
    md5: str | None = None,
    is_exact: bool = False,
) -> Archive:
    unpacked = size * _JSON_SHRINKS
    limits = Limits(4 * unpacked, _MANY)
    return Archive(name, content, size, is_exact, md5, unpacked, limits, holds)


PARTS: Mapping[str, tuple[Archive, ...]] = {
    "boxes": (
        _json("train_2017_bboxes.zip", "boxes, train", 22_400_000, ("train_2017_bboxes.json",)),
        _json("val_2017_bboxes.zip", "boxes, val", 3_100_000, ("val_2017_bboxes.json",)),
    ),
    "labels": (
        _json(
            "train_val2017.zip",
            "species of every image, train and val",
            26_836_398,
            ("train2017.json", "val2017.json"),
            is_exact=True,
        ),
    ),
    "locations": (
        _json(
            "inat2017_locations.zip",
            "place, date and observer, train and val",
            12_000_000,
            (),
            md5="afc1956f9a100b165b89f3923d040912",
        ),
    ),
    "images": (
        _pictures(
            "train_val_images.tar.gz",
            "images, train and val",
            198_765_436_676,
            "7c784ea5e424efaec655bd392f87301f",
            PICTURES,
            "train_val_images",
        ),
    ),
    "test": (
        _json("test2017.zip", "list of the test images", 6_300_000, ("test2017.json",)),
        _pictures(
            "test2017.tar.gz",
            "images, test; their species are not public",
            56_064_473_151,
            "7d9b096fa1cd94d67a0fa779ea301234",
            TEST_IMAGES,
            "test2017",
        ),
    ),
}
"""The archives by what they are for; small ones first."""

DEFAULT_PARTS = ("boxes", "labels", "images")
"""What the benchmark and its statistics need."""


def archives_of(parts: Iterable[str]) -> list[Archive]:
    """The archives of some parts, in the order of `PARTS`.

    Raises:
        InputError: there is no such part.
    """
    wanted = set(parts)
    if unknown := sorted(wanted - PARTS.keys()):
        raise InputError(
            f"there is no part {unknown[0]!r} of iNat2017; its parts are {', '.join(PARTS)}"
        )
    return [archive for part in PARTS if part in wanted for archive in PARTS[part]]
