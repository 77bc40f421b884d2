"""What the headers of ordinary JPEGs say, read many times as fast as Pillow reads them."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FRAMES = frozenset((0xFFC0, 0xFFC1, 0xFFC2))  # baseline, extended and progressive
_TABLES = 0xFFDB  # of quantization
_SCAN = 0xFFDA
_HINTS = frozenset((0xFFE0, 0xFFEE))  # JFIF's and Adobe's, whose first bytes Pillow looks at
_SKIPPED = frozenset((0xFFC4, 0xFFDD, 0xFFFE))  # Huffman tables, restart intervals, comments
_MODES = {1: "L", 3: "RGB"}  # by the number of components
_SEGMENT = struct.Struct(">HH")  # a marker, and how long the segment is after it
_FRAME = struct.Struct(">BHHB")  # bits, height, width, components


class Header(NamedTuple):
    """What a header says.

    Attributes:
        width: in pixels as they are stored.
        height: in pixels as they are stored.
        mode: of the colors, as Pillow names it.
        orientation: of EXIF, 1 to 8.
        end: where the compressed data begin, in bytes.
    """

    width: int
    height: int
    mode: str
    orientation: int
    end: int


def ordinary_header(data: bytes) -> Header | None:
    """What the header of a JPEG says, if it has nothing but what every reader takes for the same.

    Args:
        data: a file that begins as JPEGs do.

    Returns:
        The header, as Pillow reads it; None if anything in it is damaged, rare or takes a closer
        look, as EXIF data and color profiles do. Then Pillow decides.
    """
    found: tuple[int, int, str] | None = None
    place, size = 2, len(data)
    while place + _SEGMENT.size <= size:
        marker, length = _SEGMENT.unpack_from(data, place)
        start, place = place + _SEGMENT.size, place + 2 + length
        if length < 2 or place > size:
            return None
        if marker in _FRAMES:
            if found or length < 8:
                return None
            bits, height, width, components = _FRAME.unpack_from(data, start)
            mode = _MODES.get(components)
            if bits != 8 or not mode or not width or not height or length != 8 + 3 * components:
                return None
            found = width, height, mode
        elif marker == _TABLES:
            # Each has a byte with its number, and 64 of 8 bits if the number is below 16.
            if (length - 2) % 65 or any(data[at] > 15 for at in range(start, place, 65)):
                return None
        elif marker == _SCAN:
            return Header(*found, 1, place) if found else None
        elif marker not in _SKIPPED and (marker not in _HINTS or length < 14):
            return None
    return None
