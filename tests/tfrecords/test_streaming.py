"""Training streams: each record once per epoch, and a stream that begins anywhere."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

from inatdet.errors import InputError
from inatdet.tfrecords import streaming
from inatdet.tfrecords.order import ELEMENTS
from inatdet.tfrecords.sampling import Resampler, Sampling
from inatdet.tfrecords.streaming import TrainingStream, in_file_order, map_with_seeds

SIZES = (9, 2, 0, 14, 5)  # 30 records
SETTINGS = {"seed": 3, "shuffle_buffer": 1}  # so that an epoch has several blocks


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("records"))


def write(folder, sizes=SIZES):
    """Records that are their numbers in text."""
    numbers = iter(range(sum(sizes)))
    for file, size in enumerate(sizes):
        path = str(folder / f"train-{file:05}-of-{len(sizes):05}.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(size):
                writer.write(str(next(numbers)))
    return str(folder / "train-*")


def numbers(data, count):
    return [int(record) for record in data.take(count).as_numpy_iterator()]


def is_odd(record):
    return tf.strings.to_number(record, tf.int64) % 2 == 1


class ByNumber(Resampler):
    """Shows record n n / 10 times, so that some are never shown."""

    def __init__(self):
        super().__init__(Sampling.CLASS_BALANCED, None, ())

    def expected(self, serialized):
        return tf.strings.to_number(serialized) / 10


WAYS = {
    "plain": {},
    "shuffled": {"shuffle_buffer": 100},
    "filtered": {"keep": is_odd},
    "cached": {"cache": True, "keep": is_odd, "shuffle_buffer": 4},
    "resampled": {"resampler": ByNumber(), "shuffle_buffer": 3},
    "cached and resampled": {"resampler": ByNumber(), "cache": True},
    "second of two": {"input_context": tf.distribute.InputContext(2, 1, 2)},
}


@pytest.mark.parametrize(
    "way",
    [
        "resampled",
        *(pytest.param(w, marks=pytest.mark.slow) for w in WAYS if w != "resampled"),
    ],
)
def test_a_stream_begins_anywhere(data, way):
    def stream():
        return TrainingStream(data, **(SETTINGS | WAYS[way]))

    whole = numbers(stream().after(0), 100)
    for images in (8, 37, 61):
        assert numbers(stream().after(images), 100 - images) == whole[images:]


def test_each_record_once_per_epoch_in_another_order(data):
    epochs = np.reshape(numbers(TrainingStream(data, **SETTINGS).after(0), 300), [10, 30])
    assert (np.sort(epochs) == np.arange(30)).all()
    assert len(np.unique(epochs, axis=0)) > 4
    other = numbers(TrainingStream(data, seed=4, shuffle_buffer=1).after(0), 30)
    assert other != epochs[0].tolist()


@pytest.mark.slow
def test_the_seed_of_the_process_plays_no_part(data):
    found = []
    for seed in (0, 1):
        tf.random.set_seed(seed)
        found.append(numbers(TrainingStream(data, seed=3, shuffle_buffer=8).after(0), 60))
    assert found[0] == found[1]


@pytest.mark.slow
def test_shuffling_goes_beyond_a_file(tmp_path):
    stream = TrainingStream(write(tmp_path, (100,)), seed=1, shuffle_buffer=100)
    epoch = np.array(numbers(stream.after(0), 100))
    assert abs(np.corrcoef(epoch, np.arange(100))[0, 1]) < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("pipelines", [2, 3, 8])
@pytest.mark.parametrize("sizes", [SIZES, (30,), (29, 1)])
def test_pipelines_share_an_epoch(tmp_path, pipelines, sizes):
    data = write(tmp_path, sizes)
    counts = Counter()
    for which in range(pipelines):
        context = tf.distribute.InputContext(pipelines, which, pipelines)
        part = 30 * (which + 1) // pipelines - 30 * which // pipelines
        stream = TrainingStream(data, **SETTINGS, input_context=context)
        counts.update(numbers(stream.after(3 * part), part))  # the fourth epoch
    assert counts == dict.fromkeys(range(30), 1)


@pytest.mark.slow
def test_which_pipeline_may_be_known_only_where_it_runs(data):
    """As on the workers of a cluster, all of which run one graph."""

    @tf.function
    def first_of(which):
        context = tf.distribute.InputContext(3, which, 3)
        stream = TrainingStream(data, **SETTINGS, keep=is_odd, input_context=context)
        return next(iter(stream.after(7).batch(20)))

    for which in range(3):
        context = tf.distribute.InputContext(3, which, 3)
        stream = TrainingStream(data, **SETTINGS, keep=is_odd, input_context=context)
        expected = numbers(stream.after(7), 20)
        assert first_of(tf.constant(which, tf.int64)).numpy().astype(int).tolist() == expected


def test_workers_without_images(data):
    context = tf.distribute.InputContext(31, 0, 31)
    with pytest.raises(InputError, match=r"has 30 images, too few for 31 workers"):
        TrainingStream(data, **SETTINGS, input_context=context)
    last = TrainingStream(
        data,
        **SETTINGS,
        keep=lambda record: record == "29",
        input_context=tf.distribute.InputContext(2, 0, 2),
    )
    with pytest.raises(InputError, match="one of 2 workers has no image to train on"):
        last.after(0)


def test_no_record_of_use_ends_the_stream(data):
    stream = TrainingStream(data, **SETTINGS, keep=lambda record: record == "none")
    assert numbers(stream.after(0), 10) == []


def test_cached_records_are_read_once(tmp_path):
    data = write(tmp_path, (6,))
    stream = iter(TrainingStream(data, seed=1, cache=True).after(0))
    first = {int(next(stream)) for _ in range(6)}
    (tmp_path / "train-00000-of-00001.tfrecord").unlink()
    assert first == {int(next(stream)) for _ in range(6)} == set(range(6))


@pytest.mark.slow
def test_what_was_counted_is_not_counted_again(data, monkeypatch):
    def fails(*args, **settings):
        raise AssertionError("all records would be read")

    monkeypatch.setattr(streaming, "expected_copies", fails)
    TrainingStream(data, **SETTINGS).after(17)  # nothing is left out
    TrainingStream(data, **SETTINGS, keep=is_odd).after(0)  # nothing was seen


def test_outside_of_training_records_come_in_file_order(data):
    assert numbers(in_file_order(data), 100) == list(range(30))
    assert numbers(in_file_order(data, keep=is_odd, cache=True), 100) == list(range(1, 30, 2))
    for pipelines in (2, 3, 7):
        parts = [
            numbers(in_file_order(data, input_context=tf.distribute.InputContext(pipelines, i)), 99)
            for i in range(pipelines)
        ]
        assert sorted(chain.from_iterable(parts)) == list(range(30))


def test_seeds_go_with_the_number_of_an_element(data):
    seed_of = TrainingStream(data, **SETTINGS).order.seeds(ELEMENTS)

    def seeds(first, count):
        elements = tf.data.Dataset.range(count)
        pairs = map_with_seeds(elements, lambda one, seed: (one, seed), seed_of, first)
        return [(int(one), int(seed)) for one, seed in pairs]

    whole = seeds(0, 20)
    assert [one for one, _ in whole] == list(range(20))
    assert len({seed for _, seed in whole}) == 20
    assert [seed for _, seed in seeds(5, 15)] == [seed for _, seed in whole[5:]]
