"""Photographs made as those of iNat2017 are: JPEG, upright, the longer side at most 800 pixels.

Van Horn et al. (CVPR 2018), Section 3.2; filter and quality are not stated there.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import PIL.Image

from inatdet.data.pictures import MOST_PIXELS, as_jpeg, as_rgb
from inatdet.data.pillow import orientation_of, quiet_pillow
from inatdet.errors import reason_of

LONG_EDGE = 800
"""Pixels of the longer side, as in iNat2017."""

QUALITY = 90  # of JPEG

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_JPEG = ("JPEG", "MPO")  # the latter is several of them, of which the first is taken
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation."""


class NoPictureError(Exception):
    """What was downloaded is no photograph that can be used; the reason, in words."""


@dataclass(frozen=True)
class Picture:
    """A JPEG file.

    Attributes:
        data: its bytes.
        width: in pixels.
        height: in pixels.
    """

    data: bytes
    width: int
    height: int


def shrink(data: bytes, long_edge: int = LONG_EDGE) -> Picture:
    """Makes a JPEG of a photograph that is not too large.

    A JPEG that is upright, gray or RGB and not too large stays as it is, byte for byte. Any other
    picture is encoded anew, without metadata, which may say where the photographer lives.

    Args:
        data: a JPEG, PNG, GIF or WebP file.
        long_edge: pixels of the longer side at most; 0 for any number.

    Raises:
        NoPictureError: it is none of these, is damaged, or takes gigabytes to decode.
    """
    try:
        # The suppression of warnings holds for all threads, so that they must not decode in it.
        with quiet_pillow():
            picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
        with picture:
            return _shrink(picture, data, long_edge)
    except PIL.Image.DecompressionBombError as error:
        raise NoPictureError("has too many pixels to decode") from error
    except PIL.UnidentifiedImageError as error:
        raise NoPictureError("is no picture") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise NoPictureError(f"is damaged ({reason_of(error)})") from error


def _shrink(picture: PIL.Image.Image, data: bytes, long_edge: int) -> Picture:
    if picture.width * picture.height > MOST_PIXELS:
        raise NoPictureError("has too many pixels to decode")
    orientation = orientation_of(picture)
    long_edge = long_edge or max(picture.size)
    if (
        picture.format in _JPEG
        and orientation == 1
        and picture.mode in ("L", "RGB")
        and max(picture.size) <= long_edge
    ):
        picture.load()  # to the end, so that a part is noticed
        return Picture(data, picture.width, picture.height)
    if picture.format in _JPEG:
        picture.thumbnail((long_edge, long_edge), PIL.Image.Resampling.LANCZOS)
    upright = as_rgb(picture)
    # Those of a palette have no colors to mix before they are RGB.
    upright.thumbnail((long_edge, long_edge), PIL.Image.Resampling.LANCZOS)
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    return Picture(as_jpeg(upright, QUALITY), *upright.size)
