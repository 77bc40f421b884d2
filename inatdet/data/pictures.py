"""Pictures: images with captioned boxes drawn on them. All drawing of boxes is here."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont, UnidentifiedImageError

from inatdet.data.pillow import quiet_pillow
from inatdet.errors import InputError
from inatdet.files import open_regular

MIN_SCORE = 0.5
"""Besides the best detection of an image, those with at least this score are drawn."""

MOST_DRAWN = 5
"""The number of detections that are drawn at most."""

LONGEST_SIDE = 480
"""The longer side of a picture, in pixels, at most."""

# Green and red that color-blind readers can tell apart: Okabe and Ito, "Color Universal Design",
# 2008. The rest of their palette, except black, distinguishes labels.
RIGHT, WRONG = "#009E73", "#D55E00"
PALETTE = (WRONG, "#0072B2", RIGHT, "#CC79A7", "#E69F00", "#56B4E9")

MOST_PIXELS = 1 << 27
"""The number of pixels of an image that is decoded at most; it takes half a gigabyte."""

_LINE = 3  # pixels
_FONT_SIZE = 14
_JPEG_QUALITY = 85


def open_picture(
    path: str | os.PathLike[str], remedy: str, longest_side: int | None = None
) -> PILImage.Image:
    """Reads an image file as it is stored, without applying its EXIF orientation.

    TensorFlow decodes images like this in training and detection, so the boxes fit. As there,
    transparency is ignored, and of 16 bits the upper 8 are taken. Of a file with several pictures
    it is the first.

    Args:
        path: a file in any format that Pillow reads.
        remedy: what to do if it cannot be read, for the end of the message.
        longest_side: for a thumbnail: a side in pixels that is long enough. A large JPEG is then
            decoded at a half, a fourth or an eighth of its size.

    Returns:
        The image, RGB.

    Raises:
        InputError: the file is missing, damaged or not an image, or so large that it would take
            gigabytes.
    """
    try:
        with open_regular(path) as file, quiet_pillow(), PILImage.open(file) as image:
            if longest_side is not None:
                scale = longest_side / max(image.size)
                # The shorter side rounded down, or a picture of just the length would be doubled.
                image.draft(None, tuple(max(math.floor(scale * side), 1) for side in image.size))
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, too many to decode")
            return as_rgb(image)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: cannot be read as an image (no known format); {remedy}"
        ) from error
    except PILImage.DecompressionBombError as error:
        raise InputError(f"{path}: has too many pixels to decode; {remedy}") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as an image ({reason}); {remedy}") from error


def as_rgb(image: PILImage.Image) -> PILImage.Image:
    """Converts an image of any mode to RGB.

    Raises:
        ValueError: its pixels are numbers without a known range.
    """
    if image.mode == "I" and image.format == "PNG":  # how earlier versions of Pillow read 16 bits
        image = PILImage.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode.startswith("I;16"):
        # Of 16 bits the upper 8, as TensorFlow does; Pillow alone would make them white.
        return PILImage.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(
            "its pixels have 32 bits and no known range; save it with 8 or 16 bits for each color"
        )
    if "transparency" in image.info:
        image = image.convert("RGBA")  # a detour that Pillow asks for
    return image.convert("RGB")


def draw_boxes(
    picture: PILImage.Image,
    boxes: np.ndarray,
    captions: Sequence[str],
    colors: Sequence[str],
    below: Collection[int] = (),
) -> None:
    """Draws boxes onto a picture, each with a caption on its upper edge.

    Args:
        picture: RGB; changed in place.
        boxes: `[n, 4]`, `x, y, width, height` in pixels of the picture, best first; the best are
            drawn last, on top of the others.
        captions: `[n]`.
        colors: `[n]`, names or hexadecimal codes as Pillow accepts them.
        below: the boxes whose caption is on their lower edge instead.
    """
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_SIZE)
    for place, (box, caption, color) in reversed(list(enumerate(zip(boxes, captions, colors)))):
        x, y, width, height = np.asarray(box).tolist()
        draw.rectangle((x, y, x + width, y + height), outline=color, width=_LINE)
        left, _, end, bottom = font.getbbox(caption)
        x = min(max(x, 0), max(picture.width - (end - left) - 8, 0))
        if place in below:
            y = min(max(y + height, 0), picture.height - bottom - 6)
        else:
            y = y - bottom - 6 if y >= bottom + 6 else max(y, 0)
        _write(draw, font, x, y, caption, color)


def draw_lines(picture: PILImage.Image, lines: Sequence[str], color: str) -> None:
    """Writes lines into the upper left corner of a picture, one below the other.

    Args:
        picture: RGB; changed in place.
        lines: what does not fit into the picture is cut off.
        color: behind the letters; a name or a hexadecimal code as Pillow accepts it.
    """
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_SIZE)
    y = 0.0
    for line in lines:
        y = _write(draw, font, 0, y, line, color)


def _write(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    x: float,
    y: float,
    caption: str,
    color: str,
) -> float:
    """Writes a caption on a filled rectangle at `(x, y)`; the lower edge of this."""
    left, _, end, bottom = font.getbbox(caption)
    lower = y + bottom + 6
    draw.rectangle((x, y, x + end - left + 8, lower), fill=color)
    draw.text((x + 4 - left, y + 3), caption, fill="white", font=font)
    return lower


def as_jpeg(picture: PILImage.Image, quality: int = _JPEG_QUALITY) -> bytes:
    """A picture as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def draw_detections(
    picture: PILImage.Image,
    boxes: np.ndarray,
    names: Sequence[str],
    scores: np.ndarray,
    right: np.ndarray,
) -> PILImage.Image:
    """Draws the best detection of an image, and the next few if they score `MIN_SCORE` or more.

    Args:
        picture: the image, RGB; not changed.
        boxes: `[n, 4]`, `x, y, width, height` as fractions of the image; best first.
        names: `[n]`, of the labels.
        scores: `[n]`.
        right: bool `[n]`; the right ones are drawn in green, the others in red.

    Returns:
        The picture, no side longer than `LONGEST_SIDE`.
    """
    count = max(1, int((scores[:MOST_DRAWN] >= MIN_SCORE).sum()))
    picture = picture.copy()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    draw_boxes(
        picture,
        boxes[:count] * ([picture.width, picture.height] * 2),
        [f"{name} {score:.2f}" for name, score in zip(names[:count], scores.tolist())],
        [RIGHT if good else WRONG for good in right[:count].tolist()],
    )
    return picture
