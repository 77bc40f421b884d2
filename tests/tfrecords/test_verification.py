"""Damaged records are named, and good ones pass."""

from __future__ import annotations

import dataclasses
import os

import pytest
import tensorflow as tf

from inatdet.data.checking import OnBad
from inatdet.data.findings import Level
from inatdet.errors import InputError
from inatdet.tfrecords.damage import find_damage
from inatdet.tfrecords.frames import FrameReader
from inatdet.tfrecords.verification import total_bytes, verify
from inatdet.tfrecords.writing import convert
from tests.data.odd_jpegs import picture, turned, with_hole
from tests.tfrecords.conversions import edit, examples


@pytest.fixture
def pattern(dataset):
    """The pattern of shards that were written."""
    convert(dataset)
    return os.path.join(dataset.output_dir, "train-*.tfrecord")


def path_of(pattern, number):
    return pattern.replace("*", f"{number:05}-of-00004")


def frames_of(path):
    with open(path, "rb") as file:
        return list(FrameReader(file))


def found_in(*patterns, **options):
    found = verify(patterns, **options)
    return [
        (f.shard[6:11], f.record, f.image_id, f.level.value, str(f.kind)) for f in found.findings
    ]


def flip(path, place):
    with open(path, "r+b") as file:
        file.seek(place)
        (old,) = file.read(1)
        file.seek(place)
        file.write(bytes([old ^ 4]))


@pytest.mark.parametrize("decode", [False, True])
def test_good_shards_have_no_findings(pattern, dataset, decode):
    read = []
    found = verify(
        [pattern], decode=decode, images_dir=dataset.images_dir, threads=2, advance=read.append
    )
    assert (found.shards, found.records, found.findings) == (4, 18, ())
    assert sum(read) == total_bytes([pattern])


def test_flipped_bits_name_the_record(pattern):
    path = path_of(pattern, 2)
    third = frames_of(path)[2]
    image_id = int(tf.train.Example.FromString(third.data).features.feature[
        "image/source_id"].bytes_list.value[0])  # fmt: skip
    flip(path, third.offset + 12 + len(third.data) // 2)  # in the picture
    damaged = ("00002", 3, image_id, "problem", "record is damaged")
    whole = ("00002", None, None, "problem", "shard is not as it was written")
    assert found_in(pattern) == [whole, damaged]
    (_, finding) = verify([pattern]).findings
    assert finding.offset == third.offset and "checksum" in finding.what
    assert "damaged after 2 records" in find_damage(path), "TensorFlow finds it there, too"
    flip(path, third.offset + 12 + len(third.data) // 2)
    assert found_in(pattern) == []
    flip(path, third.offset + 2)  # in its length
    assert found_in(pattern) == [whole, ("00002", 3, None, "problem", "record is damaged")]


def test_a_shard_that_was_cut_off(pattern):
    path = path_of(pattern, 1)
    last = frames_of(path)[-1]
    with open(path, "r+b") as file:
        file.truncate(last.offset + 500)
    found = verify([pattern]).findings
    assert [(f.record, str(f.kind)) for f in found] == [
        (None, "shard is not as it was written"), (5, "record is damaged"),
    ]  # fmt: skip
    assert "bytes" in found[0].what and "crc32c" in found[0].what and "ends within" in found[1].what


def test_whole_records_that_are_lost_or_not_ours(pattern):
    path = path_of(pattern, 3)
    records = [frame.data for frame in frames_of(path)]
    with tf.io.TFRecordWriter(path) as writer:
        for record in [*records[:-1], b"no record"]:
            writer.write(record)
    found = verify([pattern]).findings
    assert [str(f.kind) for f in found] == [
        "shard is not as it was written",
        "record is none of inatdet's",
    ]
    with tf.io.TFRecordWriter(path) as writer:
        for record in records[:-1]:
            writer.write(record)
    (finding,) = verify([pattern]).findings
    assert "images 3, not 4" in finding.what and "boxes 3, not 4" in finding.what
    with tf.io.TFRecordWriter(path) as writer:
        for record in records[::-1]:
            writer.write(record)
    (finding,) = verify([pattern]).findings
    assert "crc32c" in finding.what and "images" not in finding.what


def test_missing_shards_and_manifests(pattern, dataset):
    os.remove(path_of(pattern, 1))
    assert found_in(pattern) == [("00001", None, None, "problem", "shard is missing")]
    os.remove(os.path.join(dataset.output_dir, "train.json"))
    kinds = [kind for *_, kind in found_in(pattern)]
    assert kinds == ["shard is missing", "split has no manifest"]
    convert(dataset)
    assert found_in(pattern) == []


def test_parts_that_were_not_joined(dataset):
    convert(dataclasses.replace(dataset, shards="0-1"))
    pattern = os.path.join(dataset.output_dir, "train-*")
    assert [kind for *_, kind in found_in(pattern)] == ["shard is missing", "split has no manifest"]
    convert(dataclasses.replace(dataset, shards="2-3"))
    assert found_in(pattern) == []


def test_images_that_changed_since(pattern, dataset):
    folder = os.path.join(dataset.images_dir, "pictures")
    os.remove(os.path.join(folder, "3.jpg"))
    time = os.stat(os.path.join(folder, "7.jpg")).st_mtime_ns
    flip(os.path.join(folder, "7.jpg"), 100)
    os.utime(os.path.join(folder, "7.jpg"), ns=(time, time))  # which only the hash shows
    found = found_in(pattern, images_dir=dataset.images_dir)
    assert sorted(image_id for _, _, image_id, *_ in found) == [103, 107]
    assert {kind for *_, kind in found} == {"image file changed since"}


def replace_picture(dataset, i, data):
    with open(os.path.join(dataset.images_dir, "pictures", f"{i}.jpg"), "wb") as file:
        file.write(data)


def test_what_decoding_finds(dataset):
    def all_of_one_size(record):
        for image in record["images"]:
            image.update(width=60, height=40)

    edit(dataset, all_of_one_size)
    for i in range(20):
        replace_picture(dataset, i, picture(seed=i))
    replace_picture(dataset, 1, picture(mode="L"))
    replace_picture(dataset, 2, picture(mode="CMYK"))
    replace_picture(dataset, 3, turned(3, seed=3))
    replace_picture(dataset, 5, with_hole(picture(seed=5)))
    replace_picture(dataset, 7, picture(seed=6))
    convert(dataset)
    pattern = os.path.join(dataset.output_dir, "train-*.tfrecord")
    assert found_in(pattern) == []
    by_image = {image_id: kind for _, _, image_id, _, kind in found_in(pattern, decode=True)}
    same = {107, 106} & by_image.keys()
    assert len(same) == 1
    assert by_image == {
        101: "image is gray",
        102: "image is CMYK",
        103: "EXIF orientation is ignored",
        105: "image file has damaged data",
        same.pop(): "same content as another file",
    }
    kinds = {"gray": 101, "cmyk": 102, "turned": 103, "hole": 105}
    summary = convert(dataclasses.replace(dataset, leave_out=tuple(kinds)))
    written = {int(example["image_id"]) for example in examples(dataset)}
    assert summary["images"] == 14 and not written & set(kinds.values())
    assert sum(summary["left_out"].values()) == 6  # and two without a box
    before = os.stat(path_of(pattern, 0)).st_ino
    assert convert(dataclasses.replace(dataset, leave_out=tuple(kinds))) == summary
    assert os.stat(path_of(pattern, 0)).st_ino == before, "nothing is written again"
    assert [kind for *_, kind in found_in(pattern, decode=True)] == ["same content as another file"]
    listed = os.path.join(os.path.dirname(dataset.output_dir), "problems.csv")
    with open(listed, "w") as file:
        file.write("image_id,kind\n106,same\n,about the file\n107,same\n")
    summary = convert(dataclasses.replace(dataset, leave_out_listed=listed))
    assert summary["images"] == 16
    assert summary["left_out"] == {
        "image is listed in --leave_out_listed": 2,
        "image has no box": 2,
    }


def test_pictures_that_two_splits_share(pattern, dataset):
    val = dataclasses.replace(dataset, split="val", num_shards=2, on_bad=OnBad.SKIP)
    convert(val)
    both = [pattern, pattern.replace("train", "val")]
    assert found_in(*both) == []
    found = verify(both, decode=True)
    assert found.records == 36 and found.count(Level.PROBLEM) == 0
    assert found.count(Level.REMARK) == 18
    assert all(f.shard.startswith("val-") and f.what.endswith("of train") for f in found.findings)


def test_pictures_of_another_size_than_the_record_says(pattern):
    path = path_of(pattern, 0)
    records = [frame.data for frame in frames_of(path)]
    example = tf.train.Example.FromString(records[1])
    example.features.feature["image/width"].int64_list.value[:] = [7]
    cut = tf.train.Example.FromString(records[2])
    jpeg = cut.features.feature["image/encoded"].bytes_list.value
    jpeg[0] = jpeg[0][:-60]
    with tf.io.TFRecordWriter(path) as writer:
        for record in (records[0], example.SerializeToString(), cut.SerializeToString()):
            writer.write(record)
    kinds = [(record, kind) for _, record, _, _, kind in found_in(pattern, decode=True) if record]
    assert kinds == [
        (2, "image file has another size"),
        (3, "picture in a record is damaged"),
        (3, "image file is damaged"),
    ]


def test_what_is_no_shard(tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        verify([str(tmp_path / "train-*")])
    (tmp_path / "other.tfrecord").touch()
    with pytest.raises(InputError, match=r"other\.tfrecord: is no shard"):
        verify([str(tmp_path / "*")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\n1\n", "no column image_id"),
        ("image_id\nx\n", "'x' is no image id"),
        (None, "cannot be read"),
    ],
)
def test_lists_of_images_that_cannot_be_read(dataset, tmp_path, text, words):
    path = tmp_path / "listed.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"listed\.csv.*{words}"):
        convert(dataclasses.replace(dataset, leave_out_listed=str(path)))
