"""Tests of examples: what goes in comes out, for us and for Model Garden's reader."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords.encoding import encode, version_of
from inatdet.tfrecords.examples import decode
from inatdet.tfrecords.keys import VERSION
from inatdet.tfrecords.lookup import LabelLookup

TAXONOMY = Taxonomy.from_categories(
    [
        Category(7, "Vespa crabro", "Insecta"),
        Category(0, "Pica pica", "Aves"),
        Category(3, "Apis mellifera", "Insecta"),
        Category(5, "Corvus corax", "Aves"),
        Category(9, "Quercus robur", "Plantae"),
    ],
    [0, 3, 7],
)
IMAGE = Image(2**40 + 1, "Aves/Pica pica/ü.jpg", width=200, height=100)


def jpeg_bytes(width: int = 200, height: int = 100) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


JPEG = jpeg_bytes()
BOXES = np.array([[20, 10, 60, 40], [0, 0, 200, 100], [150.5, 99, 10, 1]])
CATEGORY_IDS = np.array([7, 0, 3])
AREAS = np.array([1200, 10000, 5])
IS_CROWD = np.array([False, True, False])


def example_of(*boxes, granularity=Granularity.SPECIES) -> tf.train.Example:
    return tf.train.Example.FromString(encode(IMAGE, JPEG, *boxes, TAXONOMY, granularity))


@pytest.fixture(scope="module")
def example() -> tf.train.Example:
    return example_of(BOXES, CATEGORY_IDS, AREAS, IS_CROWD)


def test_records_stay_as_they_are():
    """Byte for byte: shards that an earlier version finished are not written again."""
    jpeg = b"\xff\xd8picture\xff\xd9"
    record = encode(IMAGE, jpeg, BOXES, CATEGORY_IDS, AREAS, IS_CROWD, TAXONOMY)
    assert hashlib.sha256(record).hexdigest() == (
        "f560dc2b94f499a746a8b9d928783781bddedccfc19f019b3073425ef9cf24b8"
    )


def check_round_trip(out):
    assert out["encoded"].numpy() == JPEG
    assert out["image_id"].numpy() == 2**40 + 1
    assert (out["height"].numpy(), out["width"].numpy()) == (100, 200)
    expected = [[0.1, 0.1, 0.5, 0.4], [0, 0, 1, 1], [0.99, 0.7525, 1, 0.8025]]
    np.testing.assert_allclose(out["boxes"], expected, atol=1e-7)
    assert out["category_ids"].numpy().tolist() == CATEGORY_IDS.tolist()
    assert out["is_crowd"].numpy().tolist() == [False, True, False]
    assert out["area"].numpy().tolist() == [1200, 10000, 5]
    assert {key: (value.dtype, value.shape.rank) for key, value in out.items()} == {
        "encoded": (tf.string, 0),
        "image_id": (tf.int64, 0),
        "height": (tf.int32, 0),
        "width": (tf.int32, 0),
        "boxes": (tf.float32, 2),
        "category_ids": (tf.int64, 1),
        "is_crowd": (tf.bool, 1),
        "area": (tf.float32, 1),
    }


def test_round_trip(example):
    check_round_trip(decode(tf.constant(example.SerializeToString())))


def test_round_trip_inside_tf_data(example):
    data = tf.data.Dataset.from_tensors(example.SerializeToString()).map(decode)
    assert data.element_spec["boxes"].shape.as_list() == [None, 4]
    check_round_trip(next(iter(data)))


def test_image_without_boxes():
    none = np.zeros(0)
    example = example_of(np.zeros((0, 4)), none, none, none)
    out = decode(tf.constant(example.SerializeToString()))
    assert out["boxes"].shape == (0, 4)
    for key in ("category_ids", "is_crowd", "area"):
        assert out[key].shape == (0,)


def test_categories_without_a_label():
    ids = np.array([5, 9, 0])
    example = example_of(BOXES, ids, AREAS, IS_CROWD)
    assert example.features.feature["image/object/class/label"].int64_list.value == [0, 0, 1]
    assert example.features.feature["image/object/class/text"].bytes_list.value[:2] == [b"", b""]
    ids = decode(tf.constant(example.SerializeToString()))["category_ids"]
    found = {g: LabelLookup(TAXONOMY, g)(ids).numpy().tolist() for g in ALWAYS}
    # By id: 0 Pica pica, 3 Apis mellifera, 7 Vespa crabro; Insecta before Aves.
    assert found == {"species": [0, 0, 1], "super": [2, 0, 2], "generic": [1, 1, 1]}
    with pytest.raises(KeyError, match="category 4"):
        encode(IMAGE, JPEG, BOXES[:1], [4], AREAS[:1], IS_CROWD[:1], TAXONOMY)


def test_labels_are_looked_up():
    lookup = LabelLookup(TAXONOMY, Granularity.SPECIES)
    ids = tf.constant([7, 4, 0, 3, 9, -1, 2**40, 5], tf.int64)
    assert lookup(ids).numpy().tolist() == [3, 0, 1, 2, 0, 0, 0, 0]
    assert lookup(tf.zeros([0], tf.int64)).shape == (0,)


def test_records_of_another_version(example):
    newer, older = tf.train.Example(), tf.train.Example()
    newer.CopyFrom(example)
    newer.features.feature["inatdet/version"].int64_list.value[:] = [VERSION + 1]
    older.CopyFrom(example)
    del older.features.feature["inatdet/version"]
    older.features.feature["image/object/class/label_species"].int64_list.value[:] = [1, 2, 3]
    for record, version in ((newer, VERSION + 1), (older, 1), (example, VERSION)):
        assert version_of(record.SerializeToString()) == version
    for record in (newer, older):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(record.SerializeToString()))
    assert version_of(b"nonsense") is None
    assert version_of(tf.train.Example().SerializeToString()) is None


def test_what_is_not_an_example():
    for serialized in (b"", b"nonsense", tf.train.Example().SerializeToString()):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(serialized))


@pytest.mark.parametrize(
    ("granularity", "labels", "names"),
    [
        (Granularity.SPECIES, [3, 1, 2], [b"Vespa crabro", b"Pica pica", b"Apis mellifera"]),
        (Granularity.SUPER, [1, 2, 1], [b"Insecta", b"Aves", b"Insecta"]),
        (Granularity.GENERIC, [1, 1, 1], [b"animal"] * 3),
    ],
)
def test_what_other_readers_see(granularity, labels, names):
    """Model Garden's own decoder reads it; the remaining fields are looked at one by one."""
    decoder = pytest.importorskip("official.vision.dataloaders.tf_example_decoder")
    example = example_of(BOXES, CATEGORY_IDS, AREAS, IS_CROWD, granularity=granularity)
    out = decoder.TfExampleDecoder().decode(tf.constant(example.SerializeToString()))
    assert out["source_id"].numpy() == str(2**40 + 1).encode()
    assert out["image"].shape == (100, 200, 3)
    assert out["groundtruth_classes"].numpy().tolist() == labels
    assert out["groundtruth_is_crowd"].numpy().tolist() == [False, True, False]
    np.testing.assert_allclose(out["groundtruth_area"], AREAS)
    np.testing.assert_allclose(
        out["groundtruth_boxes"],
        [[0.1, 0.1, 0.5, 0.4], [0, 0, 1, 1], [0.99, 0.7525, 1, 0.8025]],
        atol=1e-7,
    )
    feature = example.features.feature
    assert list(feature["image/object/class/text"].bytes_list.value) == names
    assert feature["image/filename"].bytes_list.value[0].decode() == IMAGE.file_name
    assert feature["image/format"].bytes_list.value[0] == b"jpeg"
    digest = feature["image/key/sha256"].bytes_list.value[0].decode()
    assert digest == hashlib.sha256(JPEG).hexdigest()
