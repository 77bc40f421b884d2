"""A detector with boxes of no class, two factors and losses at several levels, from end to end."""

import os

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.detection import experiments, inference, serving
from inatdet.detection.detector_config import MarginalBoxes
from inatdet.detection.marginals import marginals
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords import examples
from inatdet.training import applying, averaging, loop, saved_models
from tests import records, untrained
from tests.settings import small, training_on

SWITCHES = (
    "task.model.head.class_agnostic_boxes=true,task.model.head.separate_objectness=true,"
    "task.model.head.position_sensitive_boxes=true,"
    "task.model.losses.level_weights={super: .5, generic: .5},"
    "task.model.detections.marginal_boxes=mean"
)
ONE_BY_ONE = "trainer.steps_per_loop=1,trainer.summary_interval=1,trainer.checkpoint_interval=1"
COARSER = [Granularity.SUPER, Granularity.GENERIC]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=6)


@pytest.fixture(scope="module")
def model_dir(data, tmp_path_factory):
    """The folder of such a detector with random weights."""
    return untrained.save(data, tmp_path_factory.mktemp("model"), more=SWITCHES)


@pytest.fixture(scope="module")
def params(model_dir):
    """Its settings, as they are read for detection."""
    return experiments.read_saved(model_dir, "task.validation_data.batch_size=3")


@pytest.fixture(scope="module")
def found(data, model_dir, params, tmp_path_factory):
    """Its detections by level."""
    output = str(tmp_path_factory.mktemp("found") / "x.parquet")
    checkpoint = checkpoints.newest(model_dir)
    assert inference.detect(params, checkpoint, model_dir, data, output, COARSER) == 6
    paths = {level: applying.marginal_path(output, level) for level in COARSER}
    return {
        level: read_detections(path, level, records.taxonomy())
        for level, path in (paths | {Granularity.SPECIES: output}).items()
    }


def test_detections_at_every_level(found):
    for level, detections in found.items():
        assert set(detections.image_ids) == set(range(6))
        assert set(detections.labels[level]) == set(
            range(1, records.taxonomy().num_labels(level) + 1)
        )
        boxes = detections.settings.get("marginal_boxes")
        assert boxes == (None if level is Granularity.SPECIES else "mean")
    for image in range(6):
        best = {level: d.scores[d.image_ids == image].max() for level, d in found.items()}
        assert best[Granularity.GENERIC] >= best[Granularity.SUPER] - 1e-6
        assert best[Granularity.SUPER] >= best[Granularity.SPECIES] - 1e-6


@pytest.mark.slow
def test_the_mean_of_boxes_is_that_of_the_most_probable_class(data, model_dir, params):
    task = DetectionTask(params.task, logging_dir=model_dir)
    model = task.build_model()
    averaging.restore(model, checkpoints.newest(model_dir))
    batch = next(iter(task.build_inputs(params.task.validation_data.replace(input_path=data))))
    fine = model.classify(batch, training=False)
    best, mean = (
        model.detections_of(view, batch["image_size"])
        for boxes in MarginalBoxes
        for view in marginals(fine, [(np.array([0, 0, 1]), 2)], boxes)
    )
    assert best.count.numpy().min() > 0
    np.testing.assert_array_equal(mean.labels, best.labels)
    np.testing.assert_allclose(mean.boxes, best.boxes, atol=1e-3)


def encoded(data):
    serialized = next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(data))))
    return examples.decode(serialized)["encoded"][tf.newaxis]


def assert_detections_of_the_first_image(answer, found):
    detections = found[Granularity.SPECIES]
    rows = detections.image_ids == 0
    count = int(answer["count"][0])
    assert count == rows.sum() > 0
    np.testing.assert_allclose(answer["scores"][0, :count], detections.scores[rows], atol=1e-5)
    np.testing.assert_allclose(answer["boxes"][0, :count], detections.boxes[rows], atol=1e-2)


@pytest.mark.slow
def test_prediction_and_export_find_the_same(data, model_dir, params, found, tmp_path):
    predicting = serving.trained_detector(model_dir, None, "")
    assert_detections_of_the_first_image(predicting(encoded(data)), found)
    folder = str(tmp_path / "saved")
    serving.export(params, checkpoints.newest(model_dir), model_dir, folder)
    exported, _ = saved_models.load(folder)
    assert_detections_of_the_first_image(exported(encoded(data)), found)


@pytest.mark.slow
def test_training_goes_on_with_other_weights_of_levels(data, tmp_path):
    more = f"{SWITCHES},{ONE_BY_ONE},task.model.detections.logit_adjustment=1"
    first = loop.train(training_on(data, 1, more), "train", str(tmp_path))
    lines = []
    more += ",task.model.losses.level_weights.generic=0.25"
    last = loop.train(training_on(data, 2, more), "train", str(tmp_path), notify=lines.append)
    assert np.isfinite([first["training_loss"], last["training_loss"]]).all()
    assert f"resuming from step 1 in {tmp_path}" in lines
    (line,) = [line for line in lines if line.startswith("resuming with ")]
    assert "task.model.losses.level_weights.generic=0.25" in line


@pytest.mark.parametrize(
    "switch", ["class_agnostic_boxes", "position_sensitive_boxes", "separate_objectness"]
)
def test_weights_of_one_kind_are_not_taken_for_the_other(data, model_dir, tmp_path, switch):
    other = small(f"{SWITCHES},task.model.head.{switch}=false")
    with pytest.raises(InputError, match="does not fit the model of the settings"):
        inference.detect(
            other, checkpoints.newest(model_dir), model_dir, data, str(tmp_path / "x.parquet")
        )
    assert os.listdir(tmp_path) == []
