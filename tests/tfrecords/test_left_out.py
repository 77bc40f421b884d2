"""Damaged records in training: errors, or counted, named and left out."""

import re
from collections import Counter

import pytest
import tensorflow as tf

from inatdet.errors import InputError
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.left_out import LeftOut
from inatdet.tfrecords.streaming import TrainingStream
from inatdet.training.progress import LeftOutRemark
from tests import records

IMAGES = 20


@pytest.fixture
def data(tmp_path):
    """20 images in two files of ten."""
    pattern = records.write(tmp_path, IMAGES)
    (path,) = tmp_path.glob("train-00000-*")
    found = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    path.unlink()
    for shard in range(2):
        write(tmp_path / f"train-{shard:05}-of-00002.tfrecord", found[shard::2])
    return pattern


def write(path, content):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in content:
            writer.write(record)


def file(data, shard=0):
    return data.replace("-*", f"-{shard:05}-of-00002.tfrecord")


def spoil_image(path, number, cut=200):
    """Cuts a record's JPEG off; the record itself is whole."""
    content = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    example = tf.train.Example.FromString(content[number])
    jpeg = example.features.feature["image/encoded"].bytes_list
    jpeg.value[:] = [jpeg.value[0][:-cut]]
    content[number] = example.SerializeToString()
    write(path, content)


def flip_bit(path, place):
    with open(path, "r+b") as opened:
        opened.seek(place)
        byte = opened.read(1)
        opened.seek(place)
        opened.write(bytes([byte[0] ^ 4]))


def begin_of(path, number):
    """Where a record begins in a file, in bytes."""
    content = list(tf.data.TFRecordDataset(path).take(number).as_numpy_iterator())
    return sum(len(record) + 16 for record in content)


def epoch(data, left_out, count=60, **settings):
    """How often each image came."""
    stream = TrainingStream(data, seed=1, left_out=left_out, **settings)
    ids = [
        int(tf.train.Example.FromString(r).features.feature["image/source_id"].bytes_list.value[0])
        for r in stream.after(0).take(count).as_numpy_iterator()
    ]
    return Counter(ids)


@pytest.mark.slow
def test_whole_records_are_all_shown(data):
    left_out = LeftOut()
    assert epoch(data, left_out) == dict.fromkeys(range(IMAGES), 3)
    assert (left_out.count, str(left_out)) == (0, "")


@pytest.mark.parametrize("cache", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_images_that_cannot_be_decoded(data, cache):
    for number in (2, 5):
        spoil_image(file(data, 1), number)
    left_out = LeftOut()
    assert epoch(data, left_out, 54, cache=cache) == dict.fromkeys(set(range(20)) - {5, 11}, 3)
    assert left_out.count == 2
    assert str(left_out) == (
        f"{file(data, 1)}: the image of record 3 cannot be decoded as a JPEG; "
        f"{file(data, 1)}: the image of record 6 cannot be decoded as a JPEG"
    )


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 2, 100, 1500])
def test_a_trial_fails_where_decoding_does(data, cut):
    spoil_image(file(data), 0, cut)
    left_out = LeftOut()
    epoch(data, left_out, 40)
    record = next(tf.data.TFRecordDataset(file(data)).take(1).as_numpy_iterator())
    jpeg = tf.train.Example.FromString(record).features.feature["image/encoded"].bytes_list.value[0]
    try:
        tf.io.decode_jpeg(jpeg, channels=3)
    except tf.errors.InvalidArgumentError:
        assert left_out.count == 1
    else:
        assert left_out.count == 0


# In its length, the checksum of that, and its data.
@pytest.mark.parametrize(
    "offset", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (9, 500))]
)
def test_a_damaged_frame_ends_its_file(data, offset):
    flip_bit(file(data), begin_of(file(data), 6) + offset)
    left_out = LeftOut()
    shown = {2 * i for i in range(6)} | {2 * i + 1 for i in range(10)}
    assert epoch(data, left_out, 64) == dict.fromkeys(shown, 4)
    assert str(left_out) == f"{file(data)}: damaged after 6 records, the rest is not read"
    assert left_out.count >= 1


@pytest.mark.slow
def test_a_file_that_is_cut_off(data):
    path = file(data)
    with open(path, "r+b") as opened:
        opened.truncate(begin_of(path, 6) + 100)
    left_out = LeftOut()
    assert len(epoch(data, left_out, 64)) == 16
    assert str(left_out) == f"{path}: damaged after 6 records, the rest is not read"


@pytest.mark.slow
def test_by_default_they_are_errors(data):
    flip_bit(file(data), begin_of(file(data), 6) + 500)
    with pytest.raises(InputError, match=r"00000-of-00002.*: damaged after 6 records"), \
            reading_errors(data):  # fmt: skip
        epoch(data, None)


@pytest.mark.slow
def test_where_more_than_half_is_damaged_it_is_an_error(data):
    for number in range(10):
        spoil_image(file(data), number)
    assert len(epoch(data, LeftOut(), 30)) == 10
    spoil_image(file(data, 1), 3)
    with pytest.raises(InputError, match=r"image 0 \(record 1\) cannot be decoded"), \
            reading_errors(data):  # fmt: skip
        epoch(data, LeftOut(), 30)


def test_a_remark_when_there_are_new_ones(data):
    left_out, lines = LeftOut(), []
    remark = LeftOutRemark(left_out, lines.append)
    remark({})
    assert lines == []
    for number in range(5):
        spoil_image(file(data), number)
    epoch(data, left_out)
    remark({})
    remark({})
    (line,) = lines
    assert line.startswith("warning: 5 damaged images are left out so far: ")
    assert len(re.findall("cannot be decoded as a JPEG", line)) == 3
    assert "; and 2 more; `inatdet check" in line
