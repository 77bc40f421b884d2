import json

import numpy as np
import pytest

from inatdet.detection import feature_store
from inatdet.detection.feature_store import FeatureStore
from inatdet.errors import InputError

VIEWS, CHANNELS = 2, 3


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(feature_store, "IMAGES_PER_PART", 4)


@pytest.fixture
def maps(rng):
    """Of ten images, of many shapes, by key."""
    shapes = [(1, 1), (1, 7), (7, 1), (3, 5), (5, 3), (3, 5), (2, 2), (4, 6), (1, 1), (6, 4)]
    keys = rng.integers(0, 2**63 - 1, len(shapes)).tolist()
    return {
        key: rng.integers(0, 2**16, (VIEWS, *shape, CHANNELS)).astype(np.uint16)
        for key, shape in zip(keys, shapes)
    }


@pytest.fixture
def store(tmp_path, maps):
    store = FeatureStore(str(tmp_path / "features"), VIEWS)
    write(store, maps, range(3))
    return store


def write(store, maps, parts):
    keys = list(maps)
    for part in parts:
        of_part = keys[4 * part : 4 * part + 4]
        store.write(part, of_part, [maps[key] for key in of_part])


def missing(store):
    return store.missing(10, lambda count: None)


def test_what_is_written_is_read(store, maps, rng):
    assert missing(store) == []
    reader = store.open(10)
    for _ in range(20):
        keys, views = rng.choice(list(maps), 3), rng.integers(0, VIEWS, 3)
        found = reader.batch(keys, views)
        expected = [maps[int(key)][view] for key, view in zip(keys, views)]
        assert found.shape[1:3] == tuple(np.max([one.shape[:2] for one in expected], axis=0))
        for one, wanted in zip(found, expected):
            rows, columns = wanted.shape[:2]
            np.testing.assert_array_equal(one[:rows, :columns], wanted)
            assert not one[rows:].any() and not one[:, columns:].any()


def test_flags_are_views(store, maps):
    key = next(iter(maps))
    found = store.open(10).batch(np.array([key, key]), np.array([False, True]))
    np.testing.assert_array_equal(found, maps[key])


def test_an_image_that_is_there_twice(tmp_path, maps):
    store, (key, one) = FeatureStore(str(tmp_path), VIEWS), next(iter(maps.items()))
    store.write(0, [key, key], [one, one])
    np.testing.assert_array_equal(store.open(2).batch(np.array([key]), [0])[0], one[0])


def test_another_image(store, maps):
    for key in (0, 2**63 - 1):
        with pytest.raises(InputError, match="of other images"):
            store.open(10).batch(np.array([next(iter(maps)), key]), np.array([0, 0]))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def change(path, name, value):
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))


DAMAGE = {
    "cells cut off": lambda cells, list_: cells.write_bytes(cells.read_bytes()[:-2]),
    "cells empty": lambda cells, list_: cells.write_bytes(b""),
    "cells missing": lambda cells, list_: cells.unlink(),
    "a flipped bit": lambda cells, list_: flip(cells, -1),
    "list missing": lambda cells, list_: list_.unlink(),
    "list empty": lambda cells, list_: list_.write_bytes(b""),
    "list of something else": lambda cells, list_: list_.write_text("[]"),
    "a shape lost": lambda cells, list_: change(list_, "shapes", [[1, 1]]),
    "shapes without numbers": lambda cells, list_: change(list_, "shapes", [["a", 1]] * 4),
    "another checksum": lambda cells, list_: change(list_, "crc32", 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_missing_until_it_is_written_again(store, maps, tmp_path, damage):
    folder = tmp_path / "features"
    DAMAGE[damage](folder / "000001.npy", folder / "000001.json")
    assert missing(store) == [1]
    write(store, maps, [1])
    assert missing(store) == []


def test_nothing_is_there_at_first(tmp_path):
    counted = []
    assert FeatureStore(str(tmp_path / "none"), VIEWS).missing(10, counted.append) == [0, 1, 2]
    assert counted == [4, 4, 2]
