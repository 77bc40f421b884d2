"""Photographs become JPEGs of at most 800 pixels, or stay as they are."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from inatdet.data import pictures
from inatdet.datasets import shrinking
from inatdet.datasets.shrinking import LONG_EDGE, NoPictureError, shrink
from tests.data.odd_jpegs import picture, turned, with_damaged_exif, with_short_exif


def opened(data):
    with PIL.Image.open(io.BytesIO(data)) as file:
        file.load()
        return file


def smooth(size, kind="JPEG", mode="RGB", **settings):
    """A picture without noise, which every way of shrinking makes about the same of."""
    x, y = np.meshgrid(*(np.linspace(0, 1, side) for side in size))
    pixels = np.stack([x, y, (x + y) / 2], 2) * 255
    file = io.BytesIO()
    image = PIL.Image.fromarray(pixels.astype(np.uint8))
    # Without dithering, which is noise.
    image = image.quantize(256, dither=0) if mode == "P" else image.convert(mode)
    image.save(file, kind, **settings)
    return file.getvalue()


def pixels_of(data):
    return np.asarray(opened(data).convert("RGB"), np.float64)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(800, 533), (60, 800), (1, 1), (100, 75)])
def test_what_is_small_stays_byte_for_byte(size, mode):
    data = picture(size=size, mode=mode)
    found = shrink(data)
    assert found.data is data
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((801, 60), (800, 60)),
        ((1024, 768), (800, 600)),
        ((512, 1024), (400, 800)),
        ((2048, 165), (800, 64)),
        ((4000, 3), (800, 1)),
    ],
)
def test_the_longer_side_becomes_800(size, expected):
    data = smooth(size)
    found = shrink(data)
    assert (found.width, found.height) == opened(found.data).size == expected
    assert opened(found.data).format == "JPEG"
    plain = opened(data).resize(expected, PIL.Image.Resampling.BICUBIC)
    assert np.abs(pixels_of(found.data) - np.asarray(plain, np.float64)).mean() < 2


def test_another_longer_side_and_none():
    data = smooth((300, 200))
    assert shrink(data, 120).width == 120
    large = smooth((1000, 20))
    assert shrink(large, 0).data is large


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("size", [(60, 40), (1000, 500)])
def test_pictures_are_turned_upright(orientation, size):
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    data = smooth(size, exif=exif)
    found = shrink(data)
    expected = PIL.ImageOps.exif_transpose(opened(data))
    expected.thumbnail((LONG_EDGE, LONG_EDGE))
    assert (found.width, found.height) == expected.size
    assert not opened(found.data).getexif()
    difference = pixels_of(found.data) - np.asarray(expected, np.float64)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("GIF", "P"), ("WEBP", "RGB"),
        ("JPEG", "CMYK"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(80, 60), (1000, 600)])
def test_every_format_becomes_jpeg(kind, mode, size):
    data = smooth(size, kind, mode)
    found = shrink(data)
    result = opened(found.data)
    assert (result.format, result.mode) == ("JPEG", "RGB")
    assert max(result.size) == min(800, max(size))
    expected = opened(data).convert("RGB").resize(result.size)
    assert np.abs(pixels_of(found.data) - np.asarray(expected, np.float64)).mean() < 4


def test_metadata_goes_when_a_picture_is_encoded_anew():
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Artist] = "somebody who lives somewhere"
    data = smooth((1000, 500), exif=exif)
    assert b"somebody" in data
    assert b"somebody" not in shrink(data).data


@pytest.mark.parametrize("data", [with_damaged_exif(), with_short_exif()])
def test_damaged_metadata_does_not_matter(data):
    assert shrink(data).data is data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no picture"),
        (b"<html>sign in</html>", "is no picture"),
        (picture("bmp"), "is no picture"),
        (picture()[:-200], "is damaged"),
        (turned()[:-200], "is damaged"),
        (picture("png")[:-200], "is damaged"),
    ],
)
def test_what_is_no_picture(data, why):
    with pytest.raises(NoPictureError, match=why):
        shrink(data)


@pytest.mark.parametrize("limit", ["ours", "Pillow's"])
def test_pictures_that_take_gigabytes(monkeypatch, limit):
    if limit == "ours":
        monkeypatch.setattr(shrinking, "MOST_PIXELS", 1000)
    else:
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(NoPictureError, match="has too many pixels to decode"):
        shrink(picture())
    assert pictures.MOST_PIXELS > 1000
