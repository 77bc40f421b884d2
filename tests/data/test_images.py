import json

import pytest

from inatdet.data.annotations import Image
from inatdet.data.formats.images import read_images
from inatdet.errors import InputError


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_images_of_any_file_without_their_sizes(tmp_path):
    images = [{"id": 7, "file_name": "a/1.jpg"}, {"id": 0, "file_name": "2.jpg"}]
    listed = write(tmp_path / "test.json", info={}, images=images, annotations=[{"broken": 1}])
    assert read_images(listed) == (Image(7, "a/1.jpg", 0, 0), Image(0, "2.jpg", 0, 0))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "lists no image"),
        ([{"id": 1, "file_name": "../1.jpg"}], "image has an unsafe file name: 1, namely image 1"),
        ([{"id": 1, "file_name": "1.jpg"}] * 2, "image id is repeated: 1"),
        ([{"id": "x", "file_name": "1.jpg"}], "id is text instead of a number"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(tmp_path, images, words):
    with pytest.raises(InputError, match=words):
        read_images(write(tmp_path / "test.json", images=images))


def test_detections_are_no_list_of_images(tmp_path):
    path = tmp_path / "found.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="not one JSON object but a list"):
        read_images(path)
