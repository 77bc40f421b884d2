"""JPEGs as people have them: turned, gray, cut off, with a hole."""

from __future__ import annotations

import io

import numpy as np
import PIL.ExifTags
import PIL.Image


def picture(kind="jpeg", size=(60, 40), mode="RGB", seed=0, **settings) -> bytes:
    """A file of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, kind, **settings)
    return file.getvalue()


def turned(orientation=6, **settings) -> bytes:
    """A file with an EXIF orientation; 6 is a quarter turn, 3 upside down."""
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    return picture(exif=exif, **settings)


def with_hole(data: bytes, size=200) -> bytes:
    """The same length, header and end, but zeros in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(size) + data[middle + size :]


def without_tail(data: bytes) -> bytes:
    """Cut off in the middle, but with an end marker."""
    return data[: len(data) // 2] + b"\xff\xd9"


def with_thumbnail() -> bytes:
    """With another JPEG in its header, which has an end marker of its own."""
    segment = b"Exif\0\0" + picture(size=(16, 12))
    data = picture()
    header = b"\xff\xe2" + (len(segment) + 2).to_bytes(2, "big") + segment
    return data[:2] + header + data[2:]


def with_damaged_exif() -> bytes:
    """The pixels are whole, but the metadata is not TIFF."""
    data = turned()
    return data.replace(b"Exif\0\0MM", b"Exif\0\0XX").replace(b"Exif\0\0II", b"Exif\0\0XX")


def with_short_exif() -> bytes:
    """The metadata points behind its end, which Pillow warns about."""
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Make] = "a maker with a long name"
    data = bytearray(picture(exif=exif))
    tag = b"\x01\x0f\x00\x02" if b"MM" in data[:40] else b"\x0f\x01\x02\x00"
    place = data.index(tag)
    data[place + 8 : place + 12] = b"\x00\x7f\x7f\x00"
    return bytes(data)
