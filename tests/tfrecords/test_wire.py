"""Examples and files of records, compared byte for byte with what TensorFlow writes."""

from __future__ import annotations

import io

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.tfrecords.frames import FrameReader, FrameWriter
from inatdet.tfrecords.wire import (
    bytes_list,
    decode_example,
    encode_example,
    float_list,
    int64_list,
    large_bytes,
)

FLOATS = st.lists(st.floats(width=32, allow_nan=False))
INTS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300))
BYTES = st.lists(st.binary(max_size=300))


def theirs(features):
    """The same example made by TensorFlow."""
    kinds = {
        bytes_list: lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=v)),
        float_list: lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=v)),
        int64_list: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=v)),
    }
    feature = {name: kinds[make](values) for name, (make, values) in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature))


def ours(features):
    pieces = encode_example({name: make(values) for name, (make, values) in features.items()})
    return b"".join(pieces)


def features(values):
    kinds = st.sampled_from([(bytes_list, BYTES), (float_list, FLOATS), (int64_list, INTS)])
    one = kinds.flatmap(lambda kind: st.tuples(st.just(kind[0]), kind[1]))
    return st.dictionaries(values, one, max_size=5)


@settings(max_examples=50, deadline=None)
@given(features(st.text(st.characters(exclude_categories=["Cs"]), max_size=200)))
def test_examples_are_those_of_tensorflow(some):
    example, data = theirs(some), ours(some)
    assert tf.train.Example.FromString(data) == example
    assert decode_example(data) == {name: list(values) for name, (_, values) in some.items()}


@settings(max_examples=50, deadline=None)
@given(features(st.text("aZ/_9", min_size=3, max_size=3)))
def test_bytes_are_those_of_tensorflow(some):
    """No name begins with another here: those, protocol buffers sort in an order of their own."""
    assert ours(some) == theirs(some).SerializeToString(deterministic=True)


@settings(max_examples=50, deadline=None)
@given(features(st.text("aZ/_9", max_size=3)), st.dictionaries(st.text("b/"), st.binary()))
def test_large_values_are_not_copied(some, large):
    small = {name: make(values) for name, (make, values) in some.items()}
    pieces = encode_example(small | {name: large_bytes(value) for name, value in large.items()})
    joined = encode_example(small | {name: bytes_list([value]) for name, value in large.items()})
    assert [b"".join(pieces)] == joined
    assert all(any(value is piece for piece in pieces) for value in large.values() if value)
    file = io.BytesIO()
    frames = FrameWriter(file)
    frames.write(*pieces)
    assert (file.getvalue(), frames.crc32c) == written(joined)


def test_an_example_with_nothing_in_it():
    assert encode_example({}) == [b"\x0a\x00"]
    assert decode_example(b"") == decode_example(b"\x0a\x00") == {}


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_example_is_refused_or_is_one_for_tensorflow_too(data):
    try:
        found = decode_example(data)
    except ValueError:
        return
    assert all(isinstance(values, list) for values in found.values())


@pytest.mark.parametrize("cut", [*range(1, 12), 30, 59])
def test_examples_that_end_early_are_refused(cut):
    whole = ours({"a": (bytes_list, [b"x" * 40]), "b": (int64_list, [1, 2**40])})
    with pytest.raises(ValueError, match=r"buffer|example"):
        decode_example(whole[:-cut])


def written(records):
    file = io.BytesIO()
    frames = FrameWriter(file)
    for record in records:
        frames.write(record)
    assert frames.bytes == len(file.getvalue())
    return file.getvalue(), frames.crc32c


def test_files_are_those_of_tensorflow(tmp_path):
    records = [b"", b"a", bytes(range(256)) * 5000, b"\0" * 7]
    path = str(tmp_path / "theirs.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    data, crc = written(records)
    with open(path, "rb") as file:
        assert file.read() == data
    frames = FrameReader(io.BytesIO(data))
    found = list(frames)
    assert [frame.data for frame in found] == records
    assert [frame.number for frame in found] == [1, 2, 3, 4]
    assert [frame.offset for frame in found] == [0, 16, 33, 33 + 16 + 256 * 5000]
    assert not any(frame.fault for frame in found)
    assert (frames.bytes, frames.crc32c) == (len(data), crc)


def test_the_crc_of_known_data():
    assert written([])[1] == "00000000"
    file = FrameReader(io.BytesIO(b"123456789"))
    assert [frame.fault for frame in file] == ["the file ends within it"]
    assert file.crc32c == "e3069283"  # the check value of CRC-32C (RFC 3720)


@pytest.mark.parametrize("place", [*range(20), 25, 33, 39, 40, 59])
def test_every_flipped_bit_is_noticed_in_its_record(place):
    data = bytearray(written([b"abcd", b"efgh", b"ijkl"])[0])  # 20 bytes each
    data[place] ^= 1 << place % 8
    found = [frame.number for frame in FrameReader(io.BytesIO(bytes(data))) if frame.fault]
    assert found == [place // 20 + 1]


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_file_that_ends_early(cut):
    data = written([b"abcd", b"efgh"])[0]
    *whole, last = FrameReader(io.BytesIO(data[:-cut]))
    assert [frame.fault for frame in whole] == [""]
    assert last.number == 2 and "ends within" in last.fault
