"""The quick look at headers says what Pillow says, or leaves it to Pillow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.data import jpeg
from inatdet.data.annotations import Image
from inatdet.data.jpeg import jpeg_of
from inatdet.data.jpeg_header import ordinary_header
from tests.data.odd_jpegs import picture, turned, with_thumbnail

ORDINARY = {
    "plain": picture(),
    "progressive": picture(progressive=True),
    "gray": picture(mode="L"),
    "commented": picture(comment=b"\xff\xd9 no marker"),
    "restarts": picture(restart_marker_rows=1),
}
OTHERS = {
    "turned": turned(),
    "thumbnail": with_thumbnail(),
    "cmyk": picture(mode="CMYK"),
    "profile": picture(icc_profile=b"x" * 200),
    "xmp": picture(xmp=b'<x tiff:Orientation="6"/>'),
}
IMAGE = Image(5, "5.jpg", width=60, height=40)


@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_headers_need_no_pillow(data):
    assert ordinary_header(data) == jpeg._header_in_pillows_eyes(data)
    after = ordinary_header(data).end
    assert ordinary_header(data[:after]) and not ordinary_header(data[: after - 1])


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_others_are_left_to_pillow(data):
    assert ordinary_header(data) is None
    assert jpeg_of(data, IMAGE, "5.jpg").width == 60


def agrees_with_pillow(data):
    header = ordinary_header(data)
    return header is None or header == jpeg._header_in_pillows_eyes(data)


HEADERS = [data[: data.index(b"\xff\xda") + 20] for data in (*ORDINARY.values(), *OTHERS.values())]
BYTES = st.integers(0, 255) | st.sampled_from([0, 1, 2, 3, 4, 0xC1, 0xC4, 0xDA, 0xE1, 0xFF])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADERS), st.data())
def test_damaged_headers_are_what_pillow_says(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 3))):
        damaged[draw.draw(st.integers(2, len(data) - 1))] = draw.draw(BYTES)
    assert agrees_with_pillow(bytes(damaged[: draw.draw(st.integers(2, len(data)))]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADERS[: len(ORDINARY)]), st.data())
def test_every_part_of_a_segment_may_be_wrong(data, draw):
    """Markers, lengths and first bytes of segments, which random places seldom hit."""
    places, place = [], 2
    while data[place + 1] != 0xDA:
        places.append(place)
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.sampled_from(places)) + draw.draw(st.integers(0, 11))
        damaged[at] = draw.draw(BYTES)
    assert agrees_with_pillow(bytes(damaged))
