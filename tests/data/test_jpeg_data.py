import io

import PIL.Image
import pytest

from inatdet.data.jpeg_data import damage_in
from tests.data.odd_jpegs import picture, turned, with_hole, without_tail

LARGE = picture(size=(320, 240))


@pytest.mark.parametrize(
    "data",
    [
        LARGE,
        picture(size=(1, 1)),
        picture(size=(320, 240), progressive=True),
        picture(size=(320, 240), mode="L"),
        picture(size=(320, 240), mode="CMYK"),
        picture(size=(320, 240), subsampling="4:4:4"),
        picture(size=(320, 240), optimize=True),
        turned(),
        LARGE + b"\0" * 16,
        LARGE + b"after the end of the image",
        LARGE[:-2] + b"padding" + LARGE[-2:],
    ],
)
def test_whole_pictures(data):
    assert damage_in(data) == ""


@pytest.mark.parametrize(
    "data",
    [
        with_hole(LARGE),
        without_tail(LARGE),
        with_hole(picture(size=(320, 240), progressive=True), 2000),
        with_hole(picture(size=(320, 240), mode="L")),
        with_hole(picture(size=(320, 240), mode="CMYK"), 2000),
        LARGE[:-2] + bytes(200) + LARGE[-2:],
    ],
)
def test_damage_that_pillow_does_not_notice(data):
    with PIL.Image.open(io.BytesIO(data)) as file:
        file.load()  # no exception
    assert damage_in(data)
    assert "\n" not in damage_in(data)


def test_a_sampling_that_the_decoder_does_not_know_is_left_to_pillow():
    data = bytearray(picture(size=(320, 240), subsampling="4:4:4"))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x13  # of the first component: one value for each pixel, three lines high
    assert damage_in(bytes(data)) in ("", "broken data stream when reading image file")
