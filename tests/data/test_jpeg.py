"""Tests of recognizing image files that cannot be used."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from inatdet.data.annotations import Image
from inatdet.data.jpeg import BadFileError, FileProblem, read_jpeg

IMAGE = Image(5, "a/5.jpg", width=60, height=40)


def picture(kind: str, size=(60, 40), mode="RGB", **settings) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, kind, **settings)
    return file.getvalue()


def rotated() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return picture("jpeg", size=(40, 60), exif=exif)


JPEG = picture("jpeg")


def read(tmp_path, data: bytes) -> bytes:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "5.jpg").write_bytes(data)
    return read_jpeg(str(tmp_path), IMAGE)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        picture("jpeg", progressive=True),
        picture("jpeg", mode="L"),
        picture("jpeg", mode="CMYK"),
        JPEG + b"\0" * 16,
        JPEG + b"after the end of the image",
    ],
    ids=["plain", "progressive", "gray", "cmyk", "zeros after", "something after"],
)
def test_good_files_are_not_changed(tmp_path, data):
    assert read(tmp_path, data) == data


@pytest.mark.parametrize(
    ("data", "problem", "words"),
    [
        (b"", FileProblem.NOT_JPEG, "is not an image"),
        (b"hello", FileProblem.NOT_JPEG, "is not an image"),
        (picture("png"), FileProblem.NOT_JPEG, "is a PNG, but only JPEG .* convert"),
        (JPEG[: len(JPEG) // 2], FileProblem.DAMAGED, "damaged"),
        (JPEG[:-1], FileProblem.DAMAGED, "damaged"),
        (JPEG[:30], FileProblem.DAMAGED, "damaged"),
        (picture("jpeg", size=(61, 40)), FileProblem.SIZE, "61 x 40 pixels, but .* 60 x 40"),
        (rotated(), FileProblem.SIZE, "40 x 60 pixels .*EXIF"),
    ],
    ids=["empty", "text", "png", "half", "last byte", "header", "size", "rotated"],
)
def test_bad_files(tmp_path, data, problem, words):
    with pytest.raises(BadFileError, match=words) as caught:
        read(tmp_path, data)
    assert caught.value.problem is problem
    assert str(tmp_path / "a" / "5.jpg") in str(caught.value) and "image 5" in str(caught.value)


def test_missing(tmp_path):
    with pytest.raises(BadFileError, match="cannot be read") as caught:
        read_jpeg(str(tmp_path), IMAGE)
    assert caught.value.problem is FileProblem.MISSING
