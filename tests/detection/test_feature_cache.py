"""Cached features of a stand-in for the trunk, which is computed in no time."""

import json
import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet import locks, outputs
from inatdet.detection import feature_store, inputs
from inatdet.detection.experiments import read_experiment
from inatdet.detection.feature_cache import FeatureCache
from inatdet.detection.feature_plan import PlannedFeatures
from inatdet.errors import InputError
from inatdet.networks import backbones
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.training.estimates import LEAST_STEPS
from tests import records

IMAGES = 10
CHANNELS = 5


class Trunk:
    """A convolution of stride 16 in place of a detector's trunk.

    Attributes:
        calls: how often it was called.
        dies_after: how often it can be.
    """

    def __init__(self, dies_after=1000):
        self._conv = tf_keras.layers.Conv2D(CHANNELS, 16, 16, padding="same")
        self._conv.build([None, None, None, 3])
        rng = np.random.default_rng(0)
        self._conv.set_weights([rng.normal(size=w.shape) for w in self._conv.weights])
        self.calls, self._dies_after = 0, dies_after
        self.first_stage = self
        self.distribute_strategy = tf.distribute.get_strategy()
        self.backbone_parts = (
            SimpleNamespace(
                get_weights=self._conv.get_weights,
                compute_dtype="float32",
                output_shape=(None, None, None, CHANNELS),
            ),
        )

    def change(self):
        """Trains it, so to speak."""
        self._conv.bias.assign_add(tf.ones([CHANNELS]))

    def features_of(self, image, image_size, training):
        def count():
            self.calls += 1
            if self.calls > self._dies_after:
                raise RuntimeError("no more")

        assert not training
        counted = tf.py_function(count, [], [])
        with tf.control_dependencies([counted]):
            scaled = backbones.scale_pixels(CONFIG.backbone, image, image_size)
            return self._conv(scaled)


CONFIG = read_experiment([]).task.model


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(feature_store, "IMAGES_PER_PART", 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=IMAGES)


@pytest.fixture
def task(data, tmp_path):
    return settings(data, tmp_path)


def settings(data, folder, more=""):
    params = read_experiment(
        [],
        f"task.train_data.input_path={data},task.feature_cache={folder}/features,"
        f"task.model.backbone.frozen_until=mixed7,task.short_edge=64,task.long_edge=128{more}",
    )
    return params.task


def filled(task, trunk):
    """A cache, and what it said when it was filled."""
    cache, lines = FeatureCache(task), []
    cache.fill(trunk, lines.append)
    return cache, lines


def jpegs(data):
    return [
        examples.decode(record)["encoded"]
        for record in tf.data.TFRecordDataset(tf.io.gfile.glob(data))
    ]


def alone(jpeg, flip, trunk):
    """The features of one image, in bfloat16, computed directly."""
    image = tf.io.decode_jpeg(jpeg, channels=3)
    image = tf.image.flip_left_right(image) if flip else image
    size = [64, 85] if image.shape[1] > image.shape[0] else [85, 64]
    image = tf.image.resize(image, size)[tf.newaxis]
    return tf.cast(trunk.features_of(image, tf.constant([size]), False), tf.bfloat16)[0]


def folders(task):
    return [path[:-15] for path in tf.io.gfile.glob(f"{task.feature_cache}/*/made_with.json")]


def test_each_image_has_its_own_features(task, data):
    trunk = Trunk()
    cache, lines = filled(task, trunk)
    assert trunk.calls == IMAGES
    size = IMAGES * 4 * 6 * CHANNELS * 2 * 2
    assert lines[0].startswith(f"computing the features of {IMAGES} images, {size / 1e6:,.0f} MB")
    encoded = jpegs(data)
    flips = [False, True, True, False]
    found = cache.features_of(tf.stack(encoded[:4]), tf.constant(flips))
    assert found.shape == [4, 6, 6, CHANNELS]  # of 6x4 and 4x6
    for one, jpeg, flip in zip(found, encoded, flips):
        expected = alone(jpeg, flip, trunk)
        rows, columns = expected.shape[:2]
        np.testing.assert_allclose(
            tf.cast(one[:rows, :columns], tf.float32), tf.cast(expected, tf.float32), rtol=2**-7
        )
        assert not np.any(one[rows:]) and not np.any(one[:, columns:])


def test_a_second_run_computes_nothing(task, data, tmp_path):
    filled(task, Trunk())
    trunk = Trunk()
    lines = filled(settings(data, tmp_path, ",task.granularity=generic,task.seed=7"), trunk)[1]
    assert trunk.calls == 0
    (folder,) = folders(task)
    assert lines == [f"using the features of {IMAGES} images in {folder}"]


@pytest.mark.parametrize(
    "more", [",task.short_edge=48", ",task.long_edge=80", ",task.model.backbone.padding=valid"]
)
def test_other_settings_have_other_features(task, data, tmp_path, more):
    filled(task, Trunk())
    trunk = Trunk()
    filled(settings(data, tmp_path, more), trunk)
    assert trunk.calls == IMAGES
    assert len(folders(task)) == 2


def test_other_weights_have_other_features(task):
    filled(task, Trunk())
    trunk = Trunk()
    trunk.change()
    filled(task, trunk)
    assert trunk.calls == IMAGES


def test_other_records_have_other_features(task, tmp_path):
    filled(task, Trunk())
    trunk = Trunk()
    other = records.write(tmp_path / "other", count=IMAGES, seed=1)
    filled(settings(other, tmp_path), trunk)
    assert trunk.calls == IMAGES


def test_an_interrupted_run_is_gone_on_with(task):
    dies = Trunk(dies_after=5)
    with pytest.raises(tf.errors.UnknownError, match="no more"):
        filled(task, dies)
    trunk = Trunk()
    lines = filled(task, trunk)[1]
    assert trunk.calls == IMAGES - 4  # one part was written
    assert lines[0].startswith("going on behind 4 images: computing the features of 6 images")


@pytest.mark.parametrize("name", ["000001.npy", "000002.json"])
def test_damage_is_noticed_and_mended(task, data, name):
    before = filled(task, Trunk())[0].features_of(tf.stack(jpegs(data)), [False] * IMAGES)
    (folder,) = folders(task)
    with open(f"{folder}/{name}", "r+b") as file:
        file.seek(-9, 2)
        file.write(b"damage")
    trunk = Trunk()
    cache, lines = filled(task, trunk)
    lost = 4 if name == "000001.npy" else 2
    assert lines[0].startswith(f"warning: the features of {lost} of {IMAGES} images in {folder}")
    assert trunk.calls == lost
    after = cache.features_of(tf.stack(jpegs(data)), [False] * IMAGES)
    np.testing.assert_array_equal(tf.cast(before, tf.float32), tf.cast(after, tf.float32))


def test_too_little_room(task, monkeypatch):
    needed = IMAGES * 4 * 6 * CHANNELS * 2 * 2
    monkeypatch.setattr(outputs, "free_space", lambda folder: needed - 1)
    trunk = Trunk()
    with pytest.raises(InputError, match=r"take .* but only .* are free; free space"):
        filled(task, trunk)
    assert trunk.calls == 0
    monkeypatch.setattr(outputs, "free_space", lambda folder: needed)
    filled(task, trunk)


def test_another_process_is_waited_for(task):
    filled(task, Trunk())
    (folder,) = folders(task)
    lines, said = [], threading.Event()

    def notify(line):
        lines.append(line)
        said.set()

    with locks.only_writer_of(folder):
        waiting = threading.Thread(target=FeatureCache(task).fill, args=(Trunk(), notify))
        waiting.start()
        assert said.wait(60)
    waiting.join(60)
    assert lines[0].startswith("waiting for another process, which computes these features")
    assert lines[1].startswith("using the features of ")


def test_what_features_were_made_with_is_written_beside_them(task):
    filled(task, Trunk())
    (folder,) = folders(task)
    with open(f"{folder}/made_with.json", encoding="utf-8") as file:
        assert {"records", "weights", "short_edge"} < json.load(file).keys()


def batches(data, features_of):
    dataset = inputs.make_dataset(
        data,
        LabelLookup(records.taxonomy(), "species"),
        batch_size=3,
        short_edge=64,
        long_edge=128,
        is_training=True,
        seed=3,
        features_of=features_of,
    )
    return list(dataset.take(6))


def test_the_order_is_that_of_images(task, data):
    trunk = Trunk()
    cache = filled(task, trunk)[0]
    plain = batches(data, None)
    cached = batches(data, cache.features_of)
    for one, other in zip(plain, cached):
        image, features = one.pop("image"), other.pop("features")
        assert one.keys() == other.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])
        # Groups have images of one size here, so that padding plays no part.
        expected = trunk.features_of(image, one["image_size"], False)
        np.testing.assert_allclose(tf.cast(features, tf.float32), expected, rtol=2**-7, atol=1e-3)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.model.backbone.frozen_until=mixed6", "frozen_until to mixed7, its last block"),
        ("task.model.backbone.frozen_until=''", "frozen_until to mixed7, its last block"),
        ("task.train_data.on_bad=skip", "on_bad=skip is impossible with it"),
        ("runtime.distribution_strategy=multi_worker_mirrored", "for training in one process"),
    ],
)
def test_settings_that_do_not_go_with_it(override, words):
    with pytest.raises(InputError, match=words):
        read_experiment(
            [],
            "task.model.backbone.frozen_until=mixed7,task.feature_cache=somewhere," + override,
        )


def test_a_pyramid_needs_more_than_the_trunk():
    with pytest.raises(InputError, match="a feature pyramid needs more"):
        read_experiment(
            ["pipelines/fpn_species.yaml"],
            "task.model.backbone.frozen_until=mixed7,task.feature_cache=somewhere",
        )


def test_a_plan_measures_a_few_and_keeps_none(task, data):
    trunk, planned = Trunk(), PlannedFeatures(task)
    found = planned.measure(trunk, 1, 0.0)
    assert trunk.calls == IMAGES <= LEAST_STEPS
    assert (found.images, found.bytes) == (IMAGES, IMAGES * 4 * 6 * CHANNELS * 2 * 2)
    assert 0 < found.time.least <= found.time.likely <= found.time.most
    assert not os.path.exists(task.feature_cache)

    cache, _ = filled(task, trunk)
    given = tf.stack(jpegs(data)[:4]), tf.constant([False, True, True, False])
    invented, real = planned.features_of(*given), cache.features_of(*given)
    assert (invented.shape, invented.dtype) == (real.shape, real.dtype)

    found = planned.measure(trunk, 1, 0.0)
    assert (found.images, found.bytes, found.time.most) == (IMAGES, 0, 0.0)
    trunk.change()
    assert planned.measure(trunk, 1, 0.0).bytes > 0


def test_a_plan_of_nothing(task, monkeypatch):
    monkeypatch.setattr(examples, "is_boxed", lambda serialized: tf.constant(False))
    found = PlannedFeatures(task).measure(Trunk(), 1, 0.0)
    assert (found.images, found.bytes) == (0, 0)
