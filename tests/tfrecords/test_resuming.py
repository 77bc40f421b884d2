"""Tests of resuming an interrupted run, and of what is written again."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os

import numpy as np
import pytest

from inatdet import files
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.tfrecords import writing
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import counts, dataset_in, edit, examples, shards


@pytest.fixture
def dataset(tmp_path):
    """One shard is written after the other, so that it is known which are finished."""
    return dataclasses.replace(dataset_in(tmp_path), threads=1)


@pytest.fixture
def interrupted(dataset, monkeypatch):
    """A run that ended in the third shard, and the names of the shards it wrote."""
    write = writing.write_shard

    def stop_at_third(path, *rest):
        if "00002-of" in path:
            raise KeyboardInterrupt
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        convert(dataset)
    written: list[str] = []

    def record(path, *rest):
        written.append(os.path.basename(path)[6:11])
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", record)
    return written


def test_resuming_gives_the_same_files(dataset, interrupted):
    assert len(shards(dataset)) == 2
    assert not os.path.exists(os.path.join(dataset.output_dir, "train.json"))
    summary = convert(dataset)
    assert interrupted == ["00002", "00003"]
    fresh = dataclasses.replace(dataset, output_dir=dataset.output_dir + "-fresh")
    assert convert(fresh) == summary and shards(fresh) == shards(dataset)
    with open(os.path.join(dataset.output_dir, "train.json")) as file:
        resumed = file.read()
    with open(os.path.join(fresh.output_dir, "train.json")) as file:
        assert file.read() == resumed
    interrupted.clear()
    assert convert(dataset) == summary and interrupted == []


def damage_shard(dataset):
    path = os.path.join(dataset.output_dir, "train-00000-of-00004.tfrecord")
    with open(path, "ab") as file:
        file.write(b"x")


def damage_record_of_shard(dataset):
    path = os.path.join(dataset.output_dir, ".train-00001-of-00004.tfrecord.finished")
    with open(path, "r+") as file:
        file.truncate(os.path.getsize(path) - 5)


def lose_records_of_shards(dataset):
    for path in glob.glob(os.path.join(dataset.output_dir, ".*.finished")):
        os.remove(path)


def change_box(dataset):
    edit(dataset, lambda record: record["annotations"][0].update(bbox=[0, 0, 1, 1]))


def rename_annotations(dataset):
    renamed = os.path.join(os.path.dirname(dataset.annotations), "renamed.json")
    os.rename(dataset.annotations, renamed)
    object.__setattr__(dataset, "annotations", renamed)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (damage_shard, ["00000", "00002", "00003"]),
        (damage_record_of_shard, ["00001", "00002", "00003"]),
        (lose_records_of_shards, ["00000", "00001", "00002", "00003"]),
        (change_box, ["00000", "00001", "00002", "00003"]),
        (rename_annotations, ["00002", "00003"]),
    ],
)
def test_what_cannot_be_reused_is_written_again(dataset, interrupted, change, again):
    change(dataset)
    convert(dataset)
    assert interrupted == again
    fresh = dataclasses.replace(dataset, output_dir=dataset.output_dir + "-fresh")
    convert(fresh)
    assert shards(fresh) == shards(dataset)


def test_counts_are_added_to_a_split_that_was_written_without_them(dataset, interrupted):
    convert(dataset)
    interrupted.clear()
    os.remove(os.path.join(dataset.output_dir, "train.label_counts.json"))
    convert(dataset)
    assert interrupted == []  # no shard was written again
    ids = np.concatenate([e["category_ids"] for e in examples(dataset)])
    assert counts(dataset).boxes == tuple(np.unique(ids, return_counts=True)[1].tolist())
    assert counts(dataset).total_images == 18


@pytest.mark.parametrize("changes", [{"seed": 1}, {"granularity": Granularity.SUPER}])
def test_other_settings_start_from_the_beginning(dataset, interrupted, changes):
    convert(dataclasses.replace(dataset, **changes))
    assert interrupted == ["00000", "00001", "00002", "00003"]


def test_stale_shards_are_removed(dataset):
    convert(dataset)
    with open(os.path.join(dataset.output_dir, "val-00000-of-00001.tfrecord"), "w"):
        pass
    convert(dataclasses.replace(dataset, num_shards=3))
    left = [name for name in os.listdir(dataset.output_dir) if "tfrecord" in name]
    expected = [f"train-{i:05d}-of-00003.tfrecord" for i in range(3)]
    assert sorted(left) == [*expected, "val-00000-of-00001.tfrecord"]


def test_what_killed_runs_left_is_removed(dataset):
    convert(dataset)
    written = sorted(os.listdir(dataset.output_dir))
    names = [name for name in written if not name.startswith("train-")]
    for name in [*names, "val-00001-of-00004.tfrecord", ".train-00001-of-00004.tfrecord.finished"]:
        with (
            contextlib.suppress(KeyboardInterrupt),
            atomic_path(os.path.join(dataset.output_dir, name)) as temporary,
        ):
            os.link(temporary, f"{temporary}.k1lled.inatdet-unfinished")
            raise KeyboardInterrupt
    others = [".mine.json", "notes.inatdet-unfinished", ".train-00001.txt.k1lled_0"]
    for name in others:
        with open(os.path.join(dataset.output_dir, name), "w"):
            pass
    assert len(os.listdir(dataset.output_dir)) == len(written) + len(names) + 2 + len(others)
    files._SEEN_FOLDERS.clear()  # as in the next process
    convert(dataset)
    assert sorted(os.listdir(dataset.output_dir)) == sorted(written + others)


def test_a_lost_shard_of_a_complete_split_is_written_again(dataset):
    convert(dataset)
    before = shards(dataset)
    os.remove(os.path.join(dataset.output_dir, "train-00002-of-00004.tfrecord"))
    convert(dataset)
    assert shards(dataset) == before


def test_images_that_changed_since_are_written_again(dataset, interrupted):
    convert(dataset)
    interrupted.clear()
    before, (changed,) = shards(dataset), [e for e in examples(dataset) if e["image_id"] == 107]
    path = os.path.join(dataset.images_dir, "pictures", "7.jpg")
    time = os.stat(path).st_mtime_ns
    os.utime(path, ns=(time + 1000, time + 1000))
    summary = convert(dataset)
    assert len(interrupted) == 1 and "images of 1 shard changed" in summary["notes"][0]
    assert shards(dataset) == before, "only the time was another"
    with open(path, "ab") as file:
        file.write(b"more")
    os.utime(path, ns=(time + 1000, time + 1000))
    interrupted.clear()
    convert(dataset)
    assert len(interrupted) == 1
    (again,) = [e for e in examples(dataset) if e["image_id"] == 107]
    assert again["encoded"] == changed["encoded"] + b"more"
    interrupted.clear()
    assert convert(dataset)["notes"] == [] and interrupted == []


def as_of_version_1(dataset):
    """Makes a manifest what the first version wrote, and the shards as good as unordered."""
    path = os.path.join(dataset.output_dir, "train.json")
    with open(path) as file:
        content = json.load(file)
    del content["format"], content["version"], content["arguments"]
    content["settings"] |= {"annotations": "boxes.json"}
    for shard in content["files"]:
        del shard["crc32c"], shard["sources"]
    with open(path, "w") as file:
        json.dump(content, file)


def test_what_an_earlier_version_wrote_is_written_again(dataset, interrupted):
    convert(dataset)
    before = shards(dataset)
    interrupted.clear()
    as_of_version_1(dataset)
    assert count_images(os.path.join(dataset.output_dir, "train-*")) == 18, "readers take it"
    (note,) = convert(dataset)["notes"]
    assert "an earlier version" in note and "written again" in note
    assert len(interrupted) == 4 and shards(dataset) == before
    with open(os.path.join(dataset.output_dir, ".train.journal"), "w") as file:
        file.write("{}")  # a run of that version that was interrupted
    os.remove(os.path.join(dataset.output_dir, "train.json"))
    (note,) = convert(dataset)["notes"]
    assert "an earlier version" in note
    assert not os.path.exists(os.path.join(dataset.output_dir, ".train.journal"))
    assert convert(dataset)["notes"] == []


def of_version_99(path):
    with open(path) as file:
        text = file.read()
    assert text.count('"version": 2') == 1
    with open(path, "w") as file:
        file.write(text.replace('"version": 2', '"version": 99'))


def test_newer_versions_are_refused(dataset, interrupted):
    of_shard = os.path.join(dataset.output_dir, ".train-00001-of-00004.tfrecord.finished")
    of_version_99(of_shard)
    with pytest.raises(InputError, match=r"\.finished: has format version 99.* remove it"):
        convert(dataset)
    assert len(shards(dataset)) == 2
    os.remove(of_shard)
    convert(dataset)
    of_version_99(os.path.join(dataset.output_dir, "train.json"))
    message = r"train\.json: has format version 99, .* `inatdet tfrecords` again"
    with pytest.raises(InputError, match=message):
        convert(dataset)
    assert count_images(os.path.join(dataset.output_dir, "train-*")) is None
    assert len(shards(dataset)) == 4
