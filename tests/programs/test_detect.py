import dataclasses
import itertools
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from inatdet import parts
from inatdet.data.best_of_classes import BestOfClasses
from inatdet.data.categories import Category
from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import inference
from inatdet.detection.boxes import to_original
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords.writing import convert
from inatdet.training import applying
from tests import devices, records, untrained
from tests.interrupting import Killed, differing, ended_at, made_with_of
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


@pytest.mark.parametrize("several", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_image_once_in_its_own_pixels(data, model_dir, tmp_path, several):
    strategy = devices.mirrored() if several else None
    coarser = [Granularity.SUPER, Granularity.GENERIC]
    output = tmp_path / "found.parquet"
    params = settings()
    if several:  # 4, 4 and 3 images: for the last step, one device has none
        params.task.validation_data.batch_size = 4
    seen = inference.detect(
        params, f"{model_dir}/ckpt-7", model_dir, data, str(output), coarser, strategy
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


def test_proposals_are_generic_detections(data, model_dir, tmp_path):
    params = settings()
    params.task.model.rpn.max_proposals = 9
    output = tmp_path / "proposals.parquet"
    seen = inference.detect(
        params, f"{model_dir}/ckpt-7", model_dir, data, str(output), proposals=True
    )
    assert seen == 11
    found = read_detections(output, Granularity.GENERIC, records.taxonomy())
    assert found.are_proposals
    assert found.settings["proposals"] == 9
    assert found.settings["trained_on"] == "species"
    assert os.listdir(tmp_path) == ["proposals.parquet"]
    task = DetectionTask(params.task)
    params.task.taxonomy = f"{model_dir}/taxonomy.json"
    model = task.build_model()
    checkpoints.restore(model, f"{model_dir}/ckpt-7")
    data_config = params.task.validation_data.replace(input_path=data, batch_size=1)
    for batch in task.build_inputs(data_config).take(2):
        own = found.image_ids == int(batch["image_id"][0])
        proposals = model.classify(batch, training=False)
        valid = proposals.valid[0].numpy()
        boxes = to_original(proposals.boxes, batch["image_size"], batch["original_size"])[0]
        np.testing.assert_allclose(found.boxes[own], boxes.numpy()[valid], atol=0.02)
        assert (np.diff(found.scores[own]) <= 0).all()


@pytest.mark.parametrize("flag", ["--granularities=super", "--most_per_class=5"])
def test_proposals_have_no_names(model_dir, tmp_path, flag, capfd):
    arguments = [f"--model_dir={model_dir}", "--input=x", f"--output={tmp_path}/x", flag]
    code = subprocess.call([sys.executable, "-m", "inatdet", "detect", "--proposals", *arguments])
    assert code == 2
    assert f"so {flag.partition('=')[0]} is not for them" in capfd.readouterr().err


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

    monkeypatch.setattr(inference, "_values", interrupt)
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

    with monkeypatch.context() as patch:
        patch.setattr(inference.ClassLimits, "write", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"goes on from .*/x\.parquet\.parts"):
            detect(model_dir, data, tmp_path / "x.parquet", most_per_class=5)
    assert os.listdir(tmp_path) == ["x.parquet.parts"]
    seen = ended_at(monkeypatch, inference)
    assert detect(model_dir, data, tmp_path / "x.parquet", most_per_class=5) == 11
    assert seen == [], "all images were seen before"
    assert os.listdir(tmp_path) == ["x.parquet"]


@pytest.mark.parametrize(
    ("several", "flags"),
    [
        (False, {"coarser": [Granularity.SUPER]}),
        pytest.param(True, {}, marks=pytest.mark.slow),
        pytest.param(False, {"most_per_class": 4, "most_per_image": 30}, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_is_gone_on_with(data, model_dir, tmp_path, monkeypatch, several, flags):
    monkeypatch.setattr(parts, "SECONDS", 0)
    if several:
        flags = {"strategy": devices.mirrored()}
    expected, output = tmp_path / "expected" / "x.parquet", tmp_path / "found" / "x.parquet"
    detect(model_dir, data, expected, **flags)
    with monkeypatch.context() as patch:
        seen = ended_at(patch, inference, 2, Killed())
        with pytest.raises(Killed):
            detect(model_dir, data, output, **flags)
    assert os.listdir(output.parent) == ["x.parquet.parts"]
    with monkeypatch.context() as patch:
        seen_then, told = ended_at(patch, inference), []
        assert detect(model_dir, data, output, notify=told.append, **flags) == 11
    assert told[0] == f"going on behind {sum(map(len, seen))} images, from {output}.parts"
    assert sorted(itertools.chain(*seen, *seen_then)) == list(range(11)), "no image is seen twice"
    for name in os.listdir(expected.parent):
        assert (output.parent / name).read_bytes() == (expected.parent / name).read_bytes()
    assert sorted(os.listdir(output.parent)) == sorted(os.listdir(expected.parent))


def test_parts_are_those_of_the_same_model_records_and_flags_alone(data, model_dir, tmp_path):
    folder, pattern = tmp_path / "records", f"{tmp_path}/records/train-*"
    shutil.copytree(os.path.dirname(data), folder)
    model = tmp_path / "model"
    shutil.copytree(model_dir, model)

    def made_with(override="", **more):
        params = small(f"task.validation_data.batch_size=3{override}")
        return made_with_of(
            inference,
            lambda: inference.detect(
                params, f"{model}/ckpt-7", str(model), pattern, str(tmp_path / "x"), **more
            ),
        )

    def changed(path, content=None):
        """What depends on a file; it is changed back."""
        before = path.read_bytes()
        stat = path.stat()
        path.write_bytes(before + b"x" if content is None else content)
        found = differing(base, made_with(any_labels=True))
        path.write_bytes(before)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return found

    base = made_with()
    assert differing(base, made_with(any_labels=True, command="x")) == set()
    assert made_with_of(inference, lambda: detect(model_dir, data, tmp_path / "y")) == base
    assert differing(base, made_with(coarser=[Granularity.SUPER])) == {"flags"}
    assert differing(base, made_with(most_per_class=9)) == {"flags", "settings"}
    assert differing(base, made_with(most_per_image=9)) == {"settings"}
    for override in (
        "task.validation_data.batch_size=2", "task.short_edge=90", "task.model.rpn.nms_iou=.6",
        "runtime.mixed_precision_dtype=bfloat16",
    ):  # fmt: skip
        assert differing(base, made_with(f",{override}")) == {"settings"}
    assert differing(base, made_with(strategy=devices.mirrored())) == {"devices"}
    assert changed(folder / "train-00000-of-00001.tfrecord") == {"records"}
    assert changed(model / "ckpt-7.index") == {"checkpoint"}
    (model / "label_priors.json").write_text("{}")
    assert differing(base, made_with()) == {"label shares"}
    (model / "label_priors.json").unlink()
    other = Taxonomy.from_categories(
        [*records.CATEGORIES[:2], Category(3, "Caerula maior", "Insecta")], {0, 3, 7}
    )
    other.save(tmp_path / "other.json")
    assert changed(model / "taxonomy.json", (tmp_path / "other.json").read_bytes()) == {"labels"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "versions", lambda: {"inatdet": "0.0.1"})
        assert differing(base, made_with()) == {"versions"}
    shutil.move(folder, tmp_path / "elsewhere")
    pattern = f"{tmp_path}/elsewhere/train-*"
    assert differing(base, made_with()) == set(), "being elsewhere does not count"
