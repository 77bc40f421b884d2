"""Several processes write one split."""

from __future__ import annotations

import contextlib
import dataclasses
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.errors import InputError
from inatdet.locks import only_writer_of
from inatdet.tfrecords import writing
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.parts import check_part, shards_of_part
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import edit, shards


@settings(deadline=None)
@given(st.integers(1, 70), st.integers(1, 90))
def test_parts_are_disjoint_equal_and_complete(parts, count):
    found = [shards_of_part(f"{i}/{parts}", count) for i in range(parts)]
    assert [shard for part in found for shard in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize(
    ("text", "found"), [("", range(8)), ("2-4", range(2, 5)), ("7", range(7, 8)), ("0/1", range(8))]
)
def test_ranges(text, found):
    assert shards_of_part(text, 8) == found


@pytest.mark.parametrize("text", ["8", "5-8", "4-2"])
def test_shards_that_are_not_there(text):
    with pytest.raises(InputError, match="there are 8 shards, 0 to 7"):
        shards_of_part(text, 8)


@pytest.mark.parametrize("text", ["x", "1/", "/3", "-1", "1-2-3", "1/2/3", "16/16", "0/0", " 1"])
def test_what_is_no_part(text):
    with pytest.raises(InputError, match=f"--shards={text}"):
        check_part(text)


def of(dataset, part, **changes):
    return dataclasses.replace(dataset, shards=part, **changes)


def all_files(dataset):
    found = {}
    for name in sorted(os.listdir(dataset.output_dir)):
        with open(os.path.join(dataset.output_dir, name), "rb") as file:
            found[name] = file.read()
    return found


@pytest.fixture
def whole(dataset):
    """The files of an undivided run."""
    alone = dataclasses.replace(dataset, output_dir=f"{dataset.output_dir}-whole")
    convert(alone)
    return all_files(alone)


def test_parts_give_the_files_of_an_undivided_run(dataset, whole):
    unwritten = []
    for part in ("2/3", "0/3", "1/3"):
        summary = convert(of(dataset, part))
        unwritten.append(summary.get("unwritten"))
    assert unwritten == [2, 1, None] and summary["images"] == 18
    assert all_files(dataset) == whole


def test_more_parts_than_shards(dataset, whole):
    for part in range(7):
        convert(of(dataset, f"{part}/7"))
    assert all_files(dataset) == whole


def test_a_run_of_the_whole_completes_what_parts_left(dataset, whole):
    convert(of(dataset, "2-3"))
    assert count_images(os.path.join(dataset.output_dir, "train-*")) is None
    convert(dataset)
    assert all_files(dataset) == whole


def test_a_part_writes_only_its_own_shards_again(dataset, whole):
    convert(dataset)
    for number in (0, 3):
        os.remove(os.path.join(dataset.output_dir, f"train-0000{number}-of-00004.tfrecord"))
    assert convert(of(dataset, "0"))["unwritten"] == 1
    convert(of(dataset, "3"))
    assert all_files(dataset) == whole


def test_shards_of_other_settings_do_not_count(dataset, whole):
    convert(of(dataset, "0/2", seed=5))
    convert(of(dataset, "1/2"))
    assert convert(of(dataset, "1/2"))["unwritten"] == 2
    convert(of(dataset, "0/2"))
    assert all_files(dataset) == whole
    convert(of(dataset, "0/2", num_shards=2))
    convert(of(dataset, "1/2", num_shards=2))
    assert sorted(shards(dataset)) == [f"train-0000{i}-of-00002.tfrecord" for i in range(2)]
    edit(dataset, lambda record: record["annotations"][0].update(bbox=[0, 0, 1, 1]))
    assert convert(of(dataset, "0/2", num_shards=2))["unwritten"] == 1


def test_a_part_that_stopped_leaves_no_shard_with_old_images(dataset, monkeypatch):
    convert(of(dataset, "0-2"))
    path = os.path.join(dataset.images_dir, "pictures", "7.jpg")
    for number in range(3):  # the first has the image, or the second, or the third
        os.utime(path, (1, 1 + number))
        with monkeypatch.context() as stopped:
            stopped.setattr(writing, "write_shard", None)
            with contextlib.suppress(TypeError):
                convert(of(dataset, str(number)))
    assert convert(of(dataset, "3"))["unwritten"] >= 1
    convert(dataset)
    assert convert(of(dataset, "3")).get("unwritten") is None


def test_no_two_processes_write_the_same_shard(dataset):
    with (
        only_writer_of(os.path.join(dataset.output_dir, "train-00001-of-00004.tfrecord")),
        pytest.raises(InputError, match=r"00001-of-00004\.tfrecord: process .* is writing there"),
    ):
        convert(of(dataset, "0-1"))
    convert(of(dataset, "2-3"))
    assert "unwritten" not in convert(of(dataset, "0-1"))


def test_who_ends_at_the_same_time_leaves_the_joining_to_the_other(dataset, whole):
    convert(of(dataset, "0-2"))
    with only_writer_of(os.path.join(dataset.output_dir, "train.json")):
        convert(of(dataset, "3"))
    assert "train.json" not in all_files(dataset)
    convert(of(dataset, "3"))
    assert all_files(dataset) == whole
