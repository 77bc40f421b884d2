"""Pillow on files as people have them: their metadata may be damaged, and their pixels whole."""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
from collections.abc import Iterator

import PIL.ExifTags
import PIL.Image

_ONE_AT_A_TIME = threading.RLock()  # filters of warnings belong to the process, not to a thread


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppresses Pillow's warnings in its block, which are about metadata and many pixels."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def orientation_of(picture: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, where there is none or it cannot be read."""
    try:
        with quiet_pillow():
            orientation = picture.getexif().get(PIL.ExifTags.Base.Orientation)
    except (
        ArithmeticError,
        EOFError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        return 1
    return int(orientation or 1) if orientation in range(1, 9) else 1
