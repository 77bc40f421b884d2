import io

import numpy as np
import pytest
from PIL import Image as PILImage

from inatdet.data import pictures
from inatdet.errors import InputError


def color_of(name):
    return tuple(int(name[i : i + 2], 16) for i in (1, 3, 5))


def test_boxes_are_where_they_should_be_and_the_best_is_on_top():
    picture = PILImage.new("RGB", (120, 100), "gray")
    boxes = np.array([[30.0, 40, 50, 30], [30, 40, 50, 30], [5, 75, 20, 20]])
    pictures.draw_boxes(
        picture, boxes, ["a", "b", "c"], [pictures.RIGHT, pictures.WRONG, "#0072B2"]
    )
    for x, y in [(30, 60), (80, 60), (55, 70), (31, 41)]:
        assert picture.getpixel((x, y)) == color_of(pictures.RIGHT)
    assert picture.getpixel((5, 85)) == color_of("#0072B2")
    for x, y in [(55, 55), (90, 60), (28, 60), (55, 74)]:
        assert picture.getpixel((x, y)) == (128, 128, 128)


@pytest.mark.parametrize("box", [(-20, -20, 400, 400), (110, 90, 300, 5), (0, 0, 0, 0)])
def test_captions_stay_inside_the_picture(box):
    picture = PILImage.new("RGB", (120, 100))
    pictures.draw_boxes(picture, np.array([box]), ["Aves 0.50"], ["#ffffff"])
    pixels = np.asarray(picture).max(axis=2)
    # A line of text on a filled strip: the strip's left, and its right half, are there.
    assert (pixels == 255).sum() > 40 * 12


def test_nothing_to_draw_changes_nothing():
    picture = PILImage.new("RGB", (9, 9), "gray")
    pictures.draw_boxes(picture, np.zeros((0, 4)), [], [])
    assert (np.asarray(picture) == 128).all()
    with PILImage.open(io.BytesIO(pictures.as_jpeg(picture))) as again:
        assert (again.format, again.size) == ("JPEG", (9, 9))


def test_a_rotated_image_is_read_as_stored(tmp_path):
    exif = PILImage.Exif()
    exif[0x0112] = 6  # a quarter turn
    PILImage.new("RGB", (8, 6)).save(tmp_path / "turned.jpg", exif=exif)
    assert pictures.open_picture(tmp_path / "turned.jpg", "").size == (8, 6)


def test_files_that_are_not_images_are_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    for name in ("a.jpg", "nowhere.jpg"):
        with pytest.raises(InputError, match=rf"{name}: cannot be read as an image .*; look again"):
            pictures.open_picture(tmp_path / name, "look again")
