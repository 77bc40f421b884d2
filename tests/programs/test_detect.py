import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.best_of_classes import BestOfClasses
from inatdet.data.categories import Category
from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import inference
from inatdet.errors import InputError
from inatdet.tfrecords.writing import convert
from inatdet.training import applying
from tests import devices, records, untrained
from tests.settings import small
from tests.tfrecords.conversions import dataset_in
from tests.tfrecords.labelled import ONLY_LABELS, labelled


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=11)


@pytest.fixture(scope="module")
def model_dir(data, tmp_path_factory):
    return untrained.save(data, tmp_path_factory.mktemp("model"), step=7)


def settings():
    return small("task.validation_data.batch_size=3")


@pytest.mark.parametrize("several", [False, True])
def test_every_image_once_in_its_own_pixels(data, model_dir, tmp_path, several):
    strategy = devices.mirrored() if several else None
    coarser = [Granularity.SUPER, Granularity.GENERIC]
    output = tmp_path / "found.parquet"
    seen = inference.detect(
        settings(), f"{model_dir}/ckpt-7", model_dir, data, str(output), coarser, strategy
    )
    assert seen == 11
    found = read_detections(output, Granularity.SPECIES, records.taxonomy())
    assert set(found.image_ids) == set(range(11))
    assert found.model == f"{os.path.basename(model_dir)}/ckpt-7"
    assert found.settings["nms_iou"] == 0.6
    # Odd images are 96 high and 128 wide, even ones the other way round.
    odd = found.image_ids % 2 == 1
    right, bottom = (found.boxes[:, :2] + found.boxes[:, 2:]).T
    assert (found.boxes >= 0).all()
    assert 96 < right[odd].max() < 128.01
    assert bottom[odd].max() < 96.01
    assert 96 < bottom[~odd].max() < 128.01
    assert right[~odd].max() < 96.01
    names = ["found.generic.parquet", "found.parquet", "found.super.parquet"]
    assert sorted(os.listdir(tmp_path)) == names
    for granularity in coarser:
        path = applying.marginal_path(str(output), granularity)
        coarse = read_detections(path, granularity, records.taxonomy())
        assert coarse.settings["merge"] == "marginal"
        assert coarse.settings["trained_on"] == "species"
        # A sum over species is at least its largest term.
        for image in range(11):
            best = found.scores[found.image_ids == image].max()
            assert coarse.scores[coarse.image_ids == image].max() >= best - 1e-6


def test_only_coarser_levels_can_be_summed(data, model_dir, tmp_path):
    with pytest.raises(InputError, match="must be one of the levels coarser than the model's"):
        inference.detect(
            settings(), f"{model_dir}/ckpt-7", model_dir, data, str(tmp_path / "x.parquet"),
            [Granularity.SPECIES],
        )  # fmt: skip


def test_a_checkpoint_of_another_detector(data, model_dir, tmp_path):
    params = settings()
    params.task.model.backbone.resnet.depth_multiplier = 0.5
    with pytest.raises(InputError, match="does not fit the model of the settings"):
        inference.detect(params, f"{model_dir}/ckpt-7", model_dir, data, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


def test_a_damaged_shard_is_named_and_nothing_is_written(data, model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=5)
    shard = pattern.replace("*", "00000-of-00001.tfrecord")
    with open(shard, "rb+") as file:
        file.truncate(os.path.getsize(shard) - 10)
    output = tmp_path / "found" / "x.parquet"
    with pytest.raises(InputError, match=f"{os.path.basename(shard)}.*write it again"):
        inference.detect(settings(), f"{model_dir}/ckpt-7", model_dir, pattern, str(output))
    assert os.listdir(output.parent) == []


def detect(model_dir, pattern, output, **more):
    return inference.detect(
        settings(), f"{model_dir}/ckpt-7", model_dir, pattern, str(output), **more
    )


def test_a_broken_summary_does_not_matter(model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=4)
    (tmp_path / "records" / "train.json").write_text('{"images": "many", "version": 99}')
    assert detect(model_dir, pattern, tmp_path / "x.parquet") == 4


def test_records_of_other_categories(model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=4)
    other = Taxonomy.from_categories([Category(1, "Alia", "Aves")], {1})
    other.save(tmp_path / "records" / "taxonomy.json")
    with pytest.raises(InputError, match=r"other categories than the model \(1 of 1, such as 1"):
        detect(model_dir, pattern, tmp_path / "x.parquet")
    assert detect(model_dir, pattern, tmp_path / "x.parquet", any_labels=True) == 4


def test_what_cannot_be_written_is_noticed_before_the_work(model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "DetectionTask", None)  # no model is built
    (tmp_path / "file").touch()
    (tmp_path / "x.generic.parquet").mkdir()
    for output in ("file/x.parquet", "x.parquet"):
        with pytest.raises(InputError, match=r"name a file|is not a folder"):
            detect(model_dir, "nowhere", tmp_path / output, coarser=[Granularity.GENERIC])


def test_records_without_a_record_are_no_result(model_dir, tmp_path):
    empty = tmp_path / "val-00000-of-00001.tfrecord"
    empty.touch()
    with pytest.raises(InputError, match=r"holds no image \(1 empty files\)"):
        detect(model_dir, str(empty), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == [empty.name]


def test_images_without_boxes_are_detected_in_where_there_are_no_others(model_dir, tmp_path):
    dataset = dataclasses.replace(labelled(dataset_in(tmp_path / "data")), annotations=None)
    convert(dataset)
    pattern = os.path.join(dataset.output_dir, "train-*")
    output, told = tmp_path / "x.parquet", []
    count = detect(model_dir, pattern, output, any_labels=True, notify=told.append)
    expected = set(range(100, 118)) | set(ONLY_LABELS)
    assert count == len(expected)
    found = read_detections(output, Granularity.SPECIES, records.taxonomy())
    assert set(found.image_ids.tolist()) <= expected
    assert len(set(found.image_ids.tolist())) > len(expected) / 2
    note = f"note: {pattern}: no image is annotated with boxes, so there is nothing to evaluate"
    assert told == [f"{note} these detections with"]


def test_records_of_another_program_are_named(model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=1)
    shard = pattern.replace("*", "00000-of-00001.tfrecord")
    (record,) = tf.data.TFRecordDataset(shard)
    example = tf.train.Example.FromString(record.numpy())
    for key in ("image/object/category_id", "inatdet/version"):
        del example.features.feature[key]
    with tf.io.TFRecordWriter(shard) as writer:
        writer.write(example.SerializeToString())
    with pytest.raises(InputError, match="record 1 is not an example of inatdet"):
        detect(model_dir, pattern, tmp_path / "x.parquet")


def test_an_interruption_leaves_nothing_and_says_so(data, model_dir, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing was written, so the same command begins"):
        detect(model_dir, data, tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == []


def test_a_model_folder_is_only_read(data, model_dir, tmp_path):
    before = sorted(os.listdir(model_dir))
    params = settings()
    params.task.taxonomy = f"{os.path.dirname(data)}/taxonomy.json"
    inference.detect(params, f"{model_dir}/ckpt-7", str(tmp_path), data, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"]
    assert sorted(os.listdir(model_dir)) == before


def test_the_best_of_each_class_over_all_images(data, model_dir, tmp_path, monkeypatch):
    found, told, append = {}, [], BestOfClasses.append

    def appended(self, *columns):
        found.setdefault(self, []).append(columns)
        append(self, *columns)

    monkeypatch.setattr(BestOfClasses, "append", appended)
    output = str(tmp_path / "cut.parquet")
    detect(
        model_dir, data, output, coarser=[Granularity.SUPER], most_per_class=4, most_per_image=30,
        notify=told.append,
    )  # fmt: skip
    paths = [output, applying.marginal_path(output, Granularity.SUPER)]
    levels = {Granularity.SPECIES: [4, 4, 4], Granularity.SUPER: [4, 8]}  # one insect, two birds
    for batches, path, (level, limits) in zip(found.values(), paths, levels.items()):
        ids, labels, scores, boxes = (np.concatenate(column) for column in zip(*batches))
        assert np.bincount(ids).tolist() == [30] * 11 or level is Granularity.SUPER
        rows = []
        for label, limit in enumerate(limits, 1):
            own = np.flatnonzero(labels == label)
            rows += own[np.lexsort((ids[own], -scores[own]))][:limit].tolist()
        cut = read_detections(path, level, records.taxonomy())
        assert cut.settings["most_per_class"] == 4
        assert cut.settings["max_detections"] == 30
        np.testing.assert_array_equal(np.bincount(cut.labels[level])[1:], limits)
        assert sorted(zip(cut.labels[level], cut.image_ids, cut.scores, *cut.boxes.T)) == sorted(
            zip(labels[rows], ids[rows], scores[rows], *boxes[rows].T)
        )
    assert told == []


@pytest.mark.slow
def test_an_interruption_while_the_best_are_written(data, model_dir, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inference.ClassLimits, "write", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing was written, so the same command begins"):
        detect(model_dir, data, tmp_path / "x.parquet", most_per_class=5)
    assert os.listdir(tmp_path) == []
