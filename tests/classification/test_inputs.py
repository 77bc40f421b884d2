import collections

import numpy as np
import pytest
import tensorflow as tf

from inatdet.classification import crops, inputs
from inatdet.classification.config import AugmentationConfig
from inatdet.classification.task import ClassifierTask
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import Start
from tests import records
from tests.classification.settings import training_on

TAXONOMY = records.taxonomy()
IMAGES = 16
LABEL_OF = TAXONOMY.label_of_category(Granularity.SPECIES)
EXPECTED = {i: LABEL_OF[records.CATEGORIES[i % 3].id] for i in range(IMAGES)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), IMAGES)


@pytest.fixture(scope="module")
def without_labels(data, tmp_path_factory):
    """The same records, but every other image has the boxes of two species."""
    folder = tmp_path_factory.mktemp("records")
    with tf.io.TFRecordWriter(str(folder / "train-00000-of-00001.tfrecord")) as writer:
        for number, record in enumerate(tf.data.Dataset.list_files(data).flat_map(
            tf.data.TFRecordDataset).as_numpy_iterator()):  # fmt: skip
            example = tf.train.Example.FromString(record)
            if number % 2:
                category = example.features.feature["image/object/category_id"].int64_list
                category.value[:] = [0, 3]
            writer.write(example.SerializeToString())
    return str(folder / "train-*")


def batches(data, is_training, batch_size=4, lookup=None, **options):
    return inputs.make_dataset(
        data,
        lookup or LabelLookup(TAXONOMY, Granularity.SPECIES),
        batch_size=batch_size,
        image_size=32,
        is_training=is_training,
        augmentation=AugmentationConfig(),
        **options,
    )


def seen(data):
    """The labels by image, and how often each image was seen."""
    found, counts = {}, collections.Counter()
    for batch in data:
        ids, labels = batch["image_id"].numpy().tolist(), batch["label"].numpy().tolist()
        found.update(zip(ids, labels))
        counts.update(ids)
    return found, counts


def test_each_image_once_with_its_label_and_its_middle(data):
    whole = batches(data, False, batch_size=5, central_fraction=0.875)
    sizes = [batch["image"].shape.as_list() for batch in whole]
    assert sizes == [[5, 32, 32, 3]] * 3 + [[1, 32, 32, 3]]
    labels, counts = seen(whole)
    assert labels == EXPECTED
    assert set(counts.values()) == {1}
    first = next(iter(whole))
    assert first["image_id"].numpy().tolist() == [0, 1, 2, 3, 4]
    assert {k: v.dtype for k, v in first.items()} == {
        "image": tf.float32, "label": tf.int32, "image_id": tf.int64
    }  # fmt: skip
    record = next(iter(tf.data.Dataset.list_files(data).flat_map(tf.data.TFRecordDataset)))
    pixels = tf.io.decode_jpeg(examples.decode_image(record)["encoded"], channels=3)
    middle = tf.image.resize(tf.image.central_crop(pixels, 0.875), [32, 32])
    # 84 of 96 pixels are halved once.
    assert np.abs(first["image"][0] - middle).mean() < 25
    unshrunk = next(iter(batches(data, False, central_fraction=0.875, shrink_while_decoding=False)))
    # Except at the edges, where colors may lack their neighbours; see test_crops.py.
    np.testing.assert_array_equal(unshrunk["image"][0, 1:-1, 1:-1], middle[1:-1, 1:-1])


def test_labels_are_those_of_the_level(data):
    lookup = LabelLookup(TAXONOMY, Granularity.SUPER)
    labels, _ = seen(batches(data, False, lookup=lookup))
    label_of = TAXONOMY.label_of_category(Granularity.SUPER)
    assert labels == {i: label_of[records.CATEGORIES[i % 3].id] for i in range(IMAGES)}


def test_images_without_a_label_are_not_trained_on(without_labels):
    labels, _ = seen(batches(without_labels, False))
    assert labels == {i: 0 if i % 2 else label for i, label in EXPECTED.items()}
    labels, counts = seen(batches(without_labels, True, seed=1).take(10))
    assert labels == {i: label for i, label in EXPECTED.items() if not i % 2}
    assert set(counts.values()) == {5}  # 40 images of 8, in whole epochs


def test_training_shows_each_image_once_per_epoch_and_varies_it(data):
    two_epochs = batches(data, True, seed=1).take(8)
    labels, counts = seen(two_epochs)
    assert labels == EXPECTED
    assert set(counts.values()) == {2}
    images = collections.defaultdict(list)
    for batch in two_epochs:
        for image_id, image in zip(batch["image_id"].numpy(), batch["image"].numpy()):
            assert image.min() >= 0
            assert image.max() <= 255
            images[image_id].append(image)
    assert all(np.abs(one - other).max() > 10 for one, other in images.values())


@pytest.mark.slow
def test_a_seed_repeats_training(data):
    def drawn(seed):
        return [(b["image"].numpy(), b["image_id"].numpy()) for b in
                batches(data, True, seed=seed).take(5)]  # fmt: skip

    for (image, ids), (same_image, same_ids) in zip(drawn(3), drawn(3)):
        np.testing.assert_array_equal(image, same_image)
        np.testing.assert_array_equal(ids, same_ids)
    assert any((a[1] != b[1]).any() for a, b in zip(drawn(3), drawn(4)))


def test_half_of_the_images_are_flipped_and_three_tenths_recolored(monkeypatch):
    """Drawn from the seeds of images, one for each."""
    shown = []
    monkeypatch.setattr(crops, "decode", lambda *args, flip: tf.cast(flip, tf.float32) * tf.ones(
        [2, 2, 3]))  # fmt: skip
    monkeypatch.setattr(inputs.colors, "distort", lambda image, seed: image + 10)
    jpeg = tf.io.encode_jpeg(np.zeros((20, 20, 3), np.uint8))
    varied = tf.function(
        lambda seed: inputs._varied(
            jpeg, tf.constant([0, 0, 20, 20]), seed, AugmentationConfig(), 2, True
        )[0, 0, 0]
    )
    shown = np.array([float(varied(tf.constant(seed, tf.int64))) for seed in range(600)])
    flips, recolored = shown % 10, shown >= 10
    assert abs(flips.mean() - 0.5) < 0.07
    assert abs(recolored.mean() - 0.3) < 0.07
    assert abs((flips[recolored]).mean() - 0.5) < 0.12


@pytest.mark.slow
@pytest.mark.parametrize("cache", [False, True])
def test_training_goes_on_where_it_was(without_labels, cache):
    settings = {"seed": 3, "shuffle_buffer": 2, "batch_size": 3, "cache": cache}
    expected = list(batches(without_labels, True, **settings).take(12))
    for before in (1, 5, 9):
        found = batches(without_labels, True, start=Start(0, 3 * before), **settings)
        for one, other in zip(expected[before:], found):
            for name, value in one.items():
                np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_the_images(data, workers):
    counts = collections.Counter()
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, workers)
        counts += seen(batches(data, False, input_context=context))[1]
    assert counts == dict.fromkeys(range(IMAGES), 1)


def test_rare_labels_are_shown_more_often(tmp_path):
    data = records.write(tmp_path / "records", 9)  # three of each label
    params = training_on(data, 1, "task.train_data.sampling=class_balanced")
    task = ClassifierTask(params.task)

    def shares():
        found = collections.Counter()
        for batch in task.build_inputs(params.task.train_data).take(100):
            found.update(batch["label"].numpy().tolist())
        return [found[label] / 400 for label in (1, 2, 3)]

    np.testing.assert_allclose(shares(), [1 / 3] * 3, atol=0.07)
    assert task.read_counts(params.task.train_data).boxes == (3, 3, 3)


def test_without_files(tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        batches(str(tmp_path / "none-*"), True)


@pytest.mark.parametrize("is_training", [True, False])
def test_no_thread_tunes_the_input(data, is_training):
    assert batches(data, is_training).options().autotune.enabled is False
