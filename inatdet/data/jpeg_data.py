"""Damage inside a JPEG's compressed data, which most decoders pass over in silence.

A hole in a file leaves gray or shifted blocks in the picture, and no decoder that training or
Pillow uses says so. libjpeg notices it and goes on with a warning; simplejpeg, if strict, makes an
error of it.
"""

from __future__ import annotations

import io
import re

import PIL.JpegImagePlugin
import simplejpeg

from inatdet.data.pillow import quiet_pillow

# libjpeg's warnings about files whose pixels are all there: odd headers, and padding that some
# cameras write before the end marker. Where data were damaged, a hundred bytes are left over there;
# in a thousand pictures with holes, less than 16 bytes were left over in 8.
_HARMLESS = re.compile(
    r"unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters|"
    r"\b(\d|1[0-5]) extraneous bytes before marker 0xd9"
)


def damage_in(data: bytes) -> str:
    """Decodes a JPEG and says what is wrong with its compressed data.

    A hole of 1 kB is nearly always noticed; one wrong byte in one of five files, because the codes
    after it often make sense again. All of the data is read, but only an
    eighth of the picture's width and height is computed, so that a large picture takes little
    memory. Runs without Python's lock.

    Args:
        data: a file whose header is good.

    Returns:
        libjpeg's words, such as "premature end of data segment"; an empty string if nothing is
        wrong.
    """
    try:
        simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY",
            fastdct=True,
            fastupsample=True,
            min_height=1,
            min_width=1,
            min_factor=8,
            strict=True,
        )
    except ValueError as error:
        words = str(error)
        if "tjDecompressHeader" in words:
            return _damage_seen_by_pillow(data)
        if not _HARMLESS.search(words):
            return words.removeprefix("Corrupt JPEG data: ").strip()
    return ""


def _damage_seen_by_pillow(data: bytes) -> str:
    """The same for rare kinds of JPEG, such as unusual subsampling, that simplejpeg refuses."""
    try:
        with quiet_pillow(), PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as picture:
            picture.draft(None, (1, 1))
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        return str(error)
    return ""
