"""Tests of recognizing image files that cannot be used."""

from __future__ import annotations

import os

import pytest

from inatdet.data import jpeg
from inatdet.data.annotations import Image
from inatdet.data.jpeg import BadFileError, FileProblem, Jpeg, read_jpeg
from tests.data.odd_jpegs import (
    picture,
    turned,
    with_damaged_exif,
    with_short_exif,
    with_thumbnail,
)

IMAGE = Image(5, "a/5.jpg", width=60, height=40)


JPEG = picture()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def read(tmp_path, data: bytes) -> Jpeg:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "5.jpg").write_bytes(data)
    return read_jpeg(str(tmp_path), IMAGE)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        with_thumbnail(),
        with_damaged_exif(),
        with_short_exif(),
        picture("jpeg", progressive=True),
        picture("jpeg", mode="L"),
        picture("jpeg", mode="CMYK"),
        JPEG + b"\0" * 16,
        JPEG + b"after the end of the image",
    ],
    ids=[
        "plain",
        "thumbnail",
        "exif",
        "short exif",
        "progressive",
        "gray",
        "cmyk",
        "zeros after",
        "something after",
    ],
)
def test_good_files_are_not_changed(tmp_path, data):
    found = read(tmp_path, data)
    assert found.data == data
    assert (found.width, found.height, found.is_turned) == (60, 40, False)


@pytest.mark.parametrize(
    ("data", "problem", "words"),
    [
        (b"", FileProblem.NOT_JPEG, "is empty; fetch it again"),
        (bytes(99), FileProblem.NOT_JPEG, "nothing but zeros"),
        (b"hello", FileProblem.NOT_JPEG, "is not an image"),
        (b"\n<!DOCTYPE html><p>404", FileProblem.NOT_JPEG, r"is a web page \(HTML\)"),
        (LFS, FileProblem.NOT_JPEG, "pointer of Git LFS.* git lfs pull"),
        (b"\0\0\0\x18ftypheic" + bytes(40), FileProblem.NOT_JPEG, "is a HEIF, .* convert"),
        (picture("png"), FileProblem.NOT_JPEG, "is a PNG, but only JPEG .* convert"),
        (picture("png", mode="I;16"), FileProblem.NOT_JPEG, "is a PNG of 16 bits, but only JPEG"),
        (JPEG[: len(JPEG) // 2], FileProblem.DAMAGED, "damaged"),
        (JPEG[:-1], FileProblem.DAMAGED, "damaged"),
        (JPEG[:30], FileProblem.DAMAGED, "damaged"),
        (JPEG[:900] + bytes(len(JPEG)), FileProblem.DAMAGED, "its end is missing"),
        (with_thumbnail()[:-9], FileProblem.DAMAGED, "its end is missing"),
        (picture(size=(61, 40)), FileProblem.SIZE, "61 x 40 pixels, but .* 60 x 40"),
        (turned(size=(40, 60)), FileProblem.SIZE, "40 x 60 pixels .*EXIF"),
    ],
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


@pytest.mark.parametrize("orientation", [1, 3, 6, 9])
def test_orientations_that_change_no_size_are_told(tmp_path, orientation):
    assert read(tmp_path, turned(orientation)).is_turned == (orientation in (3, 6))


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "5.jpg")
    with pytest.raises(BadFileError, match="is a pipe or a device; replace it") as caught:
        read_jpeg(str(tmp_path), IMAGE)
    assert caught.value.problem is FileProblem.UNREADABLE


def test_a_folder_instead_of_a_file(tmp_path):
    (tmp_path / "a" / "5.jpg").mkdir(parents=True)
    with pytest.raises(BadFileError, match="cannot be read") as caught:
        read_jpeg(str(tmp_path), IMAGE)
    assert caught.value.problem is FileProblem.UNREADABLE


def test_what_no_record_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg, "LARGEST_FILE", 100)
    with pytest.raises(BadFileError, match="make it smaller"):
        read(tmp_path, JPEG)


def test_large_pictures_are_not_refused(tmp_path, monkeypatch):
    """Pillow takes them for an attack, but only their header is read."""
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    assert read(tmp_path, JPEG).data == JPEG
