import io
import os

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


def test_a_thumbnail_is_not_decoded_whole(tmp_path):
    whole = PILImage.new("L", (1600, 900))
    whole.paste(255, (800, 0, 1600, 900))
    whole.save(tmp_path / "a.jpg")
    small = pictures.open_picture(tmp_path / "a.jpg", "", 200)
    assert small.size == (200, 113)
    assert small.getpixel((20, 50)) == (0, 0, 0)
    assert small.getpixel((180, 50)) == (255, 255, 255)
    assert pictures.open_picture(tmp_path / "a.jpg", "", 201).size == (400, 225)
    assert pictures.open_picture(tmp_path / "a.jpg", "", 5000).size == (1600, 900)
    assert pictures.open_picture(tmp_path / "a.jpg", "").size == (1600, 900)


def test_an_image_of_too_many_pixels(tmp_path, monkeypatch):
    PILImage.new("L", (1600, 900)).save(tmp_path / "a.jpg")
    PILImage.new("L", (1600, 900)).save(tmp_path / "a.png")
    # Pillow warns from here on, and warnings are errors in these tests.
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", 1600 * 900 - 1)
    monkeypatch.setattr("inatdet.data.pictures.MOST_PIXELS", 1600 * 900 - 1)
    assert pictures.open_picture(tmp_path / "a.jpg", "", 200).size == (200, 113)
    with pytest.raises(InputError, match=r"a\.png: .*\(1600 x 900 pixels, too many.*\); do this"):
        pictures.open_picture(tmp_path / "a.png", "do this", 200)
    with pytest.raises(InputError, match="too many to decode"):
        pictures.open_picture(tmp_path / "a.jpg", "")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_of_sixteen_bits_the_upper_eight_are_taken(tmp_path, name):
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365  # up to 64,155
    PILImage.fromarray(pixels).save(tmp_path / name)
    picture = np.asarray(pictures.open_picture(tmp_path / name, ""))
    assert (picture == (pixels >> 8)[..., np.newaxis]).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_without_a_range_are_refused(tmp_path, kind):
    PILImage.fromarray(np.ones((6, 8), kind)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: .* 32 bits and no known range; save it with 8"):
        pictures.open_picture(tmp_path / "a.tif", "leave it out")


@pytest.mark.parametrize("transparency", [3, bytes(range(256))])
def test_transparency_is_ignored_without_a_warning(tmp_path, transparency):
    colors = PILImage.new("RGB", (8, 6), (204, 102, 51))
    colors.convert("P").save(tmp_path / "a.png", transparency=transparency)
    shown = pictures.open_picture(tmp_path / "a.png", "")
    assert shown.mode == "RGB"
    assert (np.asarray(shown) == (204, 102, 51)).all()


def test_of_moving_pictures_the_first_is_taken(tmp_path):
    frames = [PILImage.new("RGB", (8, 6), color) for color in ("#102030", "white", "red")]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert pictures.open_picture(tmp_path / name, "").getpixel((4, 3)) == (16, 32, 48)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: is a pipe or a device"):
        pictures.open_picture(tmp_path / "a.jpg", "")


def test_what_pillow_takes_for_an_attack(tmp_path, monkeypatch):
    PILImage.new("L", (160, 90)).save(tmp_path / "a.png")
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"a\.png: has too many pixels to decode; make it smaller"):
        pictures.open_picture(tmp_path / "a.png", "make it smaller")
