"""A command that fails leaves a good model as it was."""

import pytest
import tensorflow as tf

from inatdet.errors import InputError
from inatdet.training import experiment
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
    experiment.adopt_taxonomy(params, str(folder))
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
    after = content(model_dir)
    assert {name: after[name] for name in before} == before


def test_without_a_checkpoint_there_is_nothing_to_keep(tmp_path):
    experiment.save(small(), str(tmp_path))
    assert compare_settings(small("task.short_edge=80"), str(tmp_path)) == ""
    assert compare_settings(small(), str(tmp_path / "none")) == ""
