"""How often each image is shown, compared with NumPy, and that a seed repeats it."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import inputs
from inatdet.tfrecords import encoding
from inatdet.tfrecords.copies import CopiesFile, expected_copies
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import Order
from inatdet.tfrecords.sampling import (
    Resampler,
    Sampling,
    factors_of,
    is_single_instance,
)

TAXONOMY = Taxonomy.from_categories(
    [Category(i, f"Species {i}", "Aves" if i < 3 else "Insecta") for i in range(5)], set(range(5))
)
LOOKUP = LabelLookup(TAXONOMY, Granularity.SPECIES)
# Labels 1..5 of the images; the fourth box of the last image is around a crowd.
IMAGES = [(1,)] * 60 + [(2,)] * 9 + [(2, 2, 3), (3,), (1, 4), ()] + [(4, 1, 1, 5)]
CROWD = {len(IMAGES) - 1: 3}
THRESHOLD = 0.3


def serialized(image_id):
    labels = IMAGES[image_id]
    is_crowd = np.arange(len(labels)) == CROWD.get(image_id, -1)
    return encoding.encode(
        Image(image_id, f"{image_id}.jpg", 8, 8),
        b"no picture",
        np.tile([1.0, 2.0, 3.0, 4.0], (len(labels), 1)),
        np.array(labels, int) - 1,
        np.ones(len(labels)),
        is_crowd,
        TAXONOMY,
    )


RECORDS = [serialized(image_id) for image_id in range(len(IMAGES))]
RECORD_ID = {record: image_id for image_id, record in enumerate(RECORDS)}


def numpy_counts():
    """Images and boxes per label, one image at a time."""
    images, boxes = np.zeros(5, int), np.zeros(5, int)
    for image_id, labels in enumerate(IMAGES):
        for place, label in enumerate(labels):
            boxes[label - 1] += CROWD.get(image_id) != place
        for label in {v for i, v in enumerate(labels) if CROWD.get(image_id) != i}:
            images[label - 1] += 1
    return LabelCounts(len(IMAGES), tuple(images.tolist()), tuple(boxes.tolist()))


def expected_copies_by_hand(sampling):
    """The formulas of the papers, image by image."""
    counts = numpy_counts()
    shown = [label for label in range(1, 6) if counts.images[label - 1]]
    copies = []
    for image_id, labels in enumerate(IMAGES):
        here = {v for i, v in enumerate(labels) if CROWD.get(image_id) != i}
        if sampling is Sampling.REPEAT_FACTOR:
            share = {c: counts.images[c - 1] / len(IMAGES) for c in here}
            copies.append(max([1.0, *(max(1, (THRESHOLD / share[c]) ** 0.5) for c in here)]))
        else:
            chance = sum(1 / len(shown) / counts.images[c - 1] for c in here)
            copies.append(len(IMAGES) * chance)
    return np.array(copies)


def resampler(sampling):
    factors = factors_of(sampling, numpy_counts(), THRESHOLD)
    return Resampler(sampling, LOOKUP, tuple(factors.tolist()))


def epochs(sampling, count, seed):
    """int `[count, images]`: how often each image came in each repetition."""
    data = tf.data.Dataset.from_tensor_slices(
        {"record": RECORDS, "number": np.arange(len(RECORDS))}
    )
    order = Order((len(RECORDS),), seed, 1000)
    seen = np.zeros([count, len(IMAGES)], int)
    for epoch in range(count):
        draws = order.copy_draws(epoch, 0)
        shown = resampler(sampling).repeated(data, lambda one, draws=draws: draws[one["number"]])
        for image_id, times in Counter(int(one["number"]) for one in shown).items():
            seen[epoch, image_id] = times
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [Sampling.REPEAT_FACTOR, Sampling.CLASS_BALANCED])
def test_images_come_as_often_as_the_paper_says(sampling):
    expected = expected_copies_by_hand(sampling)
    seen = epochs(sampling, 120, seed=5)
    assert (seen >= np.floor(expected - 1e-6)).all()
    assert (seen <= np.ceil(expected + 1e-6)).all()
    # Each image's mean within five deviations of a coin with the fraction's bias.
    bias = expected % 1
    error = np.abs(seen.mean(axis=0) - expected)
    assert (error <= 5 * np.sqrt(bias * (1 - bias) / len(seen)) + 1e-6).all()
    assert len(np.unique(seen, axis=0)) > 100  # drawn again each time


def test_every_label_is_as_likely_as_another_when_balanced():
    expected = expected_copies_by_hand(Sampling.CLASS_BALANCED)
    assert expected.sum() == pytest.approx(len(IMAGES))  # an epoch stays as long
    single = np.array([len(set(labels)) == 1 for labels in IMAGES])
    of_two = sum(e for e, labels in zip(expected, IMAGES) if set(labels) == {2})
    of_three = sum(e for e, labels in zip(expected, IMAGES) if set(labels) == {3})
    assert single[60:69].all()
    # A quarter each; 9 of the 10 images with label 2, 1 of the 2 with label 3, have no other.
    assert of_two == pytest.approx(len(IMAGES) / 4 * 9 / 10)
    assert of_three == pytest.approx(len(IMAGES) / 4 / 2)
    assert expected[IMAGES.index(())] == 0


def test_a_seed_repeats_the_draws():
    a, b, c = (epochs(Sampling.REPEAT_FACTOR, 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_factors_of_labels_that_no_image_has():
    counts = LabelCounts(4, (4, 0, 1), (4, 0, 2))
    assert factors_of(Sampling.NONE, counts, 1.0).tolist() == [1, 1, 1]
    assert factors_of(Sampling.REPEAT_FACTOR, counts, 1.0).tolist() == [1, 1, 2]
    assert factors_of(Sampling.CLASS_BALANCED, counts, 1.0).tolist() == [0.5, 0, 2]


def test_only_images_with_one_box():
    kept = tf.data.Dataset.from_tensor_slices(RECORDS).filter(is_single_instance)
    found = [RECORD_ID[record] for record in kept.as_numpy_iterator()]
    assert found == [i for i, labels in enumerate(IMAGES) if len(labels) == 1]
    crowd = tf.train.Example.FromString(serialized(60))
    crowd.features.feature["image/object/is_crowd"].int64_list.value[:] = [1]
    assert not is_single_instance(crowd.SerializeToString())


def test_expected_copies_of_records_in_files(tmp_path):
    """Of two files, the second cut off."""
    files = [str(tmp_path / name) for name in "ab"]
    for file, content in zip(files, (RECORDS[:20], RECORDS[20:])):
        with tf.io.TFRecordWriter(file) as writer:
            for record in content:
                writer.write(record)
    sizes = [20, len(RECORDS) - 20]
    for sampling in (Sampling.REPEAT_FACTOR, Sampling.CLASS_BALANCED):
        found = expected_copies(files, sizes, None, resampler(sampling))
        assert [len(part) for part in found] == sizes
        np.testing.assert_allclose(np.concatenate(found), expected_copies_by_hand(sampling), 1e-5)
    single = [len(labels) == 1 for labels in IMAGES]
    found = expected_copies(files, sizes, is_single_instance, None)
    np.testing.assert_array_equal(np.concatenate(found), single)
    both = expected_copies(files, sizes, is_single_instance, resampler(Sampling.CLASS_BALANCED))
    np.testing.assert_allclose(
        np.concatenate(both), single * expected_copies_by_hand(Sampling.CLASS_BALANCED), 1e-5
    )
    with open(files[1], "r+b") as file:
        file.truncate(100)
    with pytest.raises(tf.errors.DataLossError):
        expected_copies(files, sizes, is_single_instance, None)
    found = expected_copies(files, sizes, is_single_instance, None, ignore_errors=True)
    assert found[0].tolist() == single[:20]
    assert found[1].tolist() == [0.0] * sizes[1]


def test_what_was_counted_is_kept_for_the_same_records_and_settings(tmp_path):
    file = tmp_path / "a.tfrecord"
    file.write_bytes(b"x" * 10)
    path, expected, counted = str(tmp_path / "copies.npz"), [np.float32([0, 1.5])], []

    def read(settings="one", sizes=(2,)):
        before = len(counted)
        count = lambda: counted.append(1) or expected  # noqa: E731
        (found,) = CopiesFile(path, settings).read_or([str(file)], sizes, count)
        np.testing.assert_array_equal(found, expected[0])
        return len(counted) > before

    assert [read(), read(), read("other"), read("other"), read()] == [1, 0, 1, 0, 1]
    file.write_bytes(b"x" * 11)
    assert [read(), read()] == [1, 0]
    for damage in (b"", b"no archive", (tmp_path / "copies.npz").read_bytes()[:-30]):
        (tmp_path / "copies.npz").write_bytes(damage)
        assert [read(), read()] == [1, 0]


def read_ids(folder, pipelines=1, which=0, **settings):
    """A long stretch of the image ids that one of several input pipelines gives."""
    context = tf.distribute.InputContext(pipelines, which, pipelines)
    options = {"batch_size": 1, "short_edge": 8, "long_edge": 8, "is_training": True}
    data = inputs.make_dataset(
        str(folder / "train-*"), LOOKUP, **options, **settings, input_context=context
    )
    return [int(batch["image_id"][0]) for batch in data.take(400)]


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
def test_in_the_input_of_several_workers(tmp_path, shards):
    jpeg = tf.io.encode_jpeg(np.zeros((8, 8, 3), np.uint8)).numpy()
    for shard in range(shards):
        path = str(tmp_path / f"train-{shard:05}-of-{shards:05}.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for record in RECORDS[shard::shards]:
                example = tf.train.Example.FromString(record)
                example.features.feature["image/encoded"].bytes_list.value[:] = [jpeg]
                writer.write(example.SerializeToString())
    settings = {"resampler": resampler(Sampling.REPEAT_FACTOR), "seed": 3, "shuffle_buffer": 50}
    workers = [read_ids(tmp_path, 2, which, **settings) for which in range(2)]
    assert not set(workers[0]) & set(workers[1])  # each its own images
    assert workers[1] == read_ids(tmp_path, 2, 1, **settings)
    times = Counter(workers[0] + workers[1])
    assert set(times) == set(range(len(IMAGES)))
    rare, common = IMAGES.index((3,)), IMAGES.index((1,))
    assert times[rare] > 2 * times[common]  # 3.3 times as often in a long run
    alone = read_ids(tmp_path, single_instance=True, cache=True, **settings)
    assert {len(IMAGES[image_id]) for image_id in alone} == {1}
