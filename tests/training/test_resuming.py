"""A command that fails leaves a good model as it was."""

import pytest
import tensorflow as tf

from inatdet.data.categories import Category
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.locks import only_writer
from inatdet.training import experiment, resuming
from inatdet.training.loop import train
from inatdet.training.resuming import compare_settings
from tests import records
from tests.settings import small, small_pyramid, training_on


@pytest.fixture
def data(tmp_path):
    return records.write(tmp_path / "records", count=4)


@pytest.fixture
def model_dir(data, tmp_path):
    """The folder of a model of the small detector, whose weights play no part here."""
    folder = tmp_path / "model"
    params = training_on(data, steps=10)
    experiment.save(params, str(folder))
    (folder / "label_priors.json").write_text('{"share": [1.0, 1.0, 1.0]}')
    checkpoint = tf.train.Checkpoint(weight=tf.Variable(1.0))
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(10)
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_settings_may_resume(data, model_dir):
    assert compare_settings(training_on(data, steps=10), str(model_dir)) == ""


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.train_steps=20", "trainer.train_steps=20 (was trainer.train_steps=10)"),
        ("task.train_data.batch_size=2", "task.train_data.batch_size=2 (was "),
        ("task.model.backbone.batch_norm=frozen", "task.model.backbone.batch_norm=frozen (was "),
        ("task.model.detections.min_score=.1", "task.model.detections.min_score=0.1 (was "),
        (
            "task.model.losses.level_weights={generic: .5}",
            "task.model.losses.level_weights.generic=0.5 (was "
            "task.model.losses.level_weights.generic=not set)",
        ),
        ("task.train_data.input_path=elsewhere", "task.train_data.input_path=elsewhere (was "),
    ],
)
def test_what_only_changes_how_training_continues(data, model_dir, override, words):
    assert compare_settings(training_on(data, 10, override), str(model_dir)).startswith(words)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.granularity=super", "task.granularity=species, not task.granularity=super"),
        ("task.short_edge=90", "task.short_edge=96, not task.short_edge=90"),
        ("task.model.anchors.base=128", "task.model.anchors.base="),
        ("task.model.rpn.channels=64", "task.model.rpn.channels=32"),
        (
            "task.model.head.class_agnostic_boxes=true",
            "task.model.head.class_agnostic_boxes=False, not task.model.head.class_agnostic_boxes=",
        ),
        (
            "task.model.head.position_sensitive_boxes=true",
            "task.model.head.position_sensitive_boxes=False, not "
            "task.model.head.position_sensitive_boxes=",
        ),
        (
            "task.model.head.separate_objectness=true",
            "task.model.head.separate_objectness=False, not task.model.head.separate_objectness=",
        ),
        ("task.model.backbone.resnet.model_id=18", "task.model.backbone.resnet.model_id=10"),
        ("task.model.backbone.type=inception_v3", "task.model.backbone.type=resnet"),
    ],
)
def test_what_changes_what_is_learned(data, model_dir, override, words):
    before = content(model_dir)
    with pytest.raises(InputError, match="use its settings, or another --model_dir") as refused:
        train(training_on(data, 20, override), "train", str(model_dir))
    assert f"holds a model that was trained with {words}" in str(refused.value)
    assert content(model_dir) == before


def test_another_form_of_detector(data, model_dir):
    with pytest.raises(InputError, match="experiment=inatdet_faster_rcnn"):
        compare_settings(small_pyramid(), str(model_dir))


def test_a_checkpoint_that_does_not_fit_changes_nothing(data, model_dir):
    """The settings agree, but the checkpoint is of something else."""
    before = content(model_dir)
    with pytest.raises(InputError, match="does not fit"):
        train(training_on(data, 20), "train", str(model_dir))
    assert content(model_dir) == before


def test_other_records_are_refused_and_change_nothing(data, model_dir, tmp_path):
    resuming.save_records(data, str(model_dir))
    before = content(model_dir)
    other = records.write(tmp_path / "other", count=5)
    with pytest.raises(InputError, match=r"other records .* than .*/other/train-\* .*; use those"):
        train(training_on(other, 20), "train", str(model_dir))
    assert content(model_dir) == before


def test_the_same_records_elsewhere(data, model_dir, tmp_path):
    resuming.save_records(data, str(model_dir))
    resuming.compare_records(records.write(tmp_path / "moved", count=4), str(model_dir))


def test_what_is_said_of_records_may_be_missing_but_not_broken(data, model_dir):
    resuming.compare_records(data, str(model_dir))  # of a model from before it was said
    for broken in ("", "[]", "{}", '{"version": 1}', '{"version": 1, "bytes": 1, "more": 2}'):
        (model_dir / "records.json").write_text(broken)
        with pytest.raises(InputError, match=r"records\.json: cannot be read"):
            resuming.compare_records(data, str(model_dir))
    (model_dir / "records.json").write_text('{"version": 99}')
    with pytest.raises(InputError, match="format version 99"):
        resuming.compare_records(data, str(model_dir))


def test_labels_of_one_dataset_with_the_records_of_another(data, tmp_path):
    params = training_on(data, 10)
    Taxonomy.from_categories([Category(1, "Alia", "Aves")], {1}).save(tmp_path / "other.json")
    params.task.taxonomy = str(tmp_path / "other.json")
    with pytest.raises(InputError, match=r"are not those of .*/other\.json; use the taxonomy"):
        train(params, "train", str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_label_spaces_of_a_run_without_a_checkpoint_count_for_nothing(data, model_dir):
    for path in model_dir.glob("c*kp*t*"):
        path.unlink()
    Taxonomy.from_categories([Category(1, "Alia", "Aves")], {1}).save(model_dir / "taxonomy.json")
    params = training_on(data, 10)
    assert experiment.label_spaces(params, str(model_dir)) == records.taxonomy()


@pytest.mark.parametrize("state", [None, b"", b"\xff", b'model_checkpoint_path: "ckpt-99"\n'])
def test_checkpoints_are_not_overlooked(data, model_dir, state):
    (model_dir / "checkpoint").unlink()
    if state is not None:
        (model_dir / "checkpoint").write_bytes(state)
    before = content(model_dir)
    lines = []
    assert resuming.checkpoint_to_resume(str(model_dir), lines.append) == str(model_dir / "ckpt-10")
    (line,) = lines
    assert "/checkpoint names no checkpoint that is there; going on from " in line
    with pytest.raises(InputError, match=r"task\.short_edge=96, not task\.short_edge=90"):
        train(training_on(data, 20, "task.short_edge=90"), "train", str(model_dir))
    assert content(model_dir) == before


@pytest.fixture
def several(tmp_path):
    """A folder with checkpoints of steps 5, 10 and 20."""
    folder = tmp_path / "several"
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(weight=tf.Variable(tf.range(1000.0))), str(folder), max_to_keep=3
    )
    for step in (5, 10, 20):
        manager.save(step)
    return folder


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "data cut off": lambda index, data: data.write_bytes(data.read_bytes()[:100]),
    "data empty": lambda index, data: data.write_bytes(b""),
    "data missing": lambda index, data: data.unlink(),
    "a flipped bit in the data": lambda index, data: flip(data, 2000),
    "index cut off": lambda index, data: index.write_bytes(index.read_bytes()[:50]),
    "index empty": lambda index, data: index.write_bytes(b""),
    "index missing": lambda index, data: index.unlink(),
    "a flipped bit in the index": lambda index, data: flip(index, 20),
    "no index": lambda index, data: index.write_bytes(b"no index" * 40),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_newest_whole_checkpoint_is_taken(several, damage):
    def damaged(step):
        name = several / f"ckpt-{step}"
        DAMAGE[damage](name.with_suffix(".index"), name.with_suffix(".data-00000-of-00001"))

    lines = []
    damaged(20)
    assert resuming.checkpoint_to_resume(str(several), lines.append) == str(several / "ckpt-10")
    damaged(10)
    assert resuming.checkpoint_to_resume(str(several), lines.append) == str(several / "ckpt-5")
    assert all(line.startswith("warning: ") for line in lines)
    assert [line.rpartition("; going on from ")[2] for line in lines] == [
        str(several / "ckpt-10"),
        str(several / "ckpt-5"),
    ]
    damaged(5)
    if damage == "index missing":  # then there is no checkpoint at all
        assert resuming.checkpoint_to_resume(str(several), lines.append) is None
    else:
        with pytest.raises(InputError, match=r"ckpt-20: is damaged .*every other checkpoint there"):
            resuming.checkpoint_to_resume(str(several), lines.append)


def test_whole_checkpoints_are_resumed_silently(several, tmp_path):
    found = resuming.checkpoint_to_resume(str(several), pytest.fail)
    assert found == str(several / "ckpt-20")
    assert resuming.checkpoint_to_resume(str(tmp_path / "none"), pytest.fail) is None


def test_an_older_checkpoint_that_the_file_names_is_meant(several):
    (several / "checkpoint").write_text('model_checkpoint_path: "ckpt-5"\n')
    found = resuming.checkpoint_to_resume(str(several), pytest.fail)
    assert found == str(several / "ckpt-5")


def test_a_second_trainer_is_refused_and_reading_goes_on(data, model_dir):
    before = content(model_dir)
    with only_writer(model_dir):
        with pytest.raises(InputError, match=r"process \d+ on .* is writing there"):
            train(training_on(data, 20), "train", str(model_dir))
        reading = training_on(data, 20, f"task.validation_data.input_path={data}")
        with pytest.raises(InputError, match="does not fit the model"):  # so it was read
            train(reading, "eval", str(model_dir))
    assert content(model_dir) == before


def test_what_a_killed_run_left_is_removed(model_dir):
    before = content(model_dir)
    (model_dir / "ckpt-20_temp").mkdir()
    (model_dir / "ckpt-20_temp" / "part-00000-of-00001.index").touch()
    (model_dir / f"checkpoint.tmp{'0f' * 16}").touch()
    resuming.remove_leftovers(str(model_dir))
    assert content(model_dir) == before


def test_without_a_checkpoint_there_is_nothing_to_keep(tmp_path):
    experiment.save(small(), str(tmp_path))
    assert compare_settings(small("task.short_edge=80"), str(tmp_path)) == ""
    assert compare_settings(small(), str(tmp_path / "none")) == ""
