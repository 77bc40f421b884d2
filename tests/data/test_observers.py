"""Who took each image."""

import json

import pytest

import inatdet
from inatdet.errors import InputError


@pytest.fixture
def read(tmp_path):
    def _read(content):
        path = tmp_path / "observers.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return inatdet.read_observers(path)

    return _read


def test_a_list_as_inat2017_has_it(read):
    entries = [
        {"lat": 1.5, "lon": 2.0, "date": "2016-01-02", "id": 0, "user_id": 12},
        {"lat": None, "lon": None, "date": None, "id": 3, "user_id": 12},
        {"id": 4, "user_id": None},
        {"id": 5.0, "observer": "kim"},
    ]
    assert read(entries) == {0: 12, 3: 12, 5: "kim"}


def test_images_that_name_their_observer(read):
    images = [{"id": 1, "file_name": "1.jpg", "observer_id": 7}, {"id": 2, "file_name": "2.jpg"}]
    assert read({"images": images, "categories": [], "annotations": []}) == {1: 7}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no entry says who took an image"),
        ([{"id": 1}], "no entry says who took an image; each needs the id of an image"),
        ([{"user_id": 1}], "entry 1 is {'user_id': 1}; each needs"),
        ([{"id": 1, "user_id": [2]}], "entry 1 is"),
        ([{"id": 1, "user_id": 2}, {"id": 1, "user_id": 3}], "image 1 has two observers, 2 and 3"),
        ([7], "entry 1 is no object, but 7"),
        ({"images": [7]}, "an image is 7"),
        ({"categories": []}, "has no 'images'"),
        ("id,user\n1,2\n", "is no JSON list of observers"),
        ("\x1f\x8b", "is compressed|is no JSON list"),
    ],
)
def test_one_sentence_says_what_is_wrong(read, content, words):
    with pytest.raises(InputError, match=words) as error:
        read(content)
    assert "observers.json: " in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        inatdet.read_observers(tmp_path / "nothing.json")
