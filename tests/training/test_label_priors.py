import json

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.training import label_priors
from tests import records
from tests.settings import training_on

TAU = "task.model.detections.logit_adjustment=1.5"


def numpy_adjusted(logits, priors, tau):
    """Menon et al.'s rule on the labels given that there is an animal, one row at a time."""
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]):
        odds = np.exp(row - row.max())
        animal = 1 - odds[0] / odds.sum()
        weights = odds[1:] / priors**tau
        rows.append(animal * weights / weights.sum())
    return np.reshape(rows, [*logits.shape[:-1], -1])


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_probabilities(tau):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (2, 5, 8)).astype(np.float32)
    priors = rng.dirichlet(np.full(7, 0.2)) + 1e-5
    found = label_priors.adjusted_probabilities(tf.constant(logits), priors, tau).numpy()
    np.testing.assert_allclose(found, numpy_adjusted(logits, priors, tau), rtol=2e-5, atol=1e-7)
    plain = tf.nn.softmax(logits)[..., 1:].numpy()
    np.testing.assert_allclose(found.sum(-1), plain.sum(-1), rtol=1e-5)  # the background's stays
    if tau == 0:
        np.testing.assert_allclose(found, plain, rtol=1e-5)


def test_of_two_equal_logits_the_rarer_label_wins():
    found = label_priors.adjusted_probabilities(tf.zeros([3]), np.array([0.9, 0.1]), 1.0)
    np.testing.assert_allclose(found, [2 / 3 * 0.1, 2 / 3 * 0.9], rtol=1e-6)


def save_priors(params, model_dir):
    task = DetectionTask(params.task)
    task.prepare()
    task.save_companions(str(model_dir))


def build(params, model_dir):
    return DetectionTask(params.task, logging_dir=str(model_dir)).build_model()


@pytest.fixture
def saved(tmp_path):
    """Settings and a folder as training leaves them before the first step."""
    params = training_on(records.write(tmp_path / "records"), 5, TAU)
    save_priors(params, tmp_path / "model")
    return params, tmp_path / "model"


def test_the_model_reads_what_training_saved(saved):
    params, model_dir = saved
    # Of 16 images 0, 1, 2, ... every third is of the same label: 6, 5 and 5.
    np.testing.assert_allclose(label_priors.read(str(model_dir), 3), [6 / 16, 5 / 16, 5 / 16])
    (model_dir / "label_priors.json").write_text('{"share": [0.9, 0.1, 0.0]}')
    priors = label_priors.read(str(model_dir), 3)
    np.testing.assert_array_equal(priors, [0.9, 0.1, 0.1])  # no label is rarer than the rarest
    noise = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    batch = {"image": tf.constant(noise), "image_size": tf.constant([[64, 64]])}
    adjusted = build(params, model_dir)
    after = adjusted.classify(batch, training=False).scores
    params.task.model.detections.logit_adjustment = 0.0
    plain = build(params, model_dir)
    plain.set_weights(adjusted.get_weights())
    before = plain.classify(batch, training=False).scores
    np.testing.assert_allclose(tf.reduce_sum(after, -1), tf.reduce_sum(before, -1), rtol=1e-4)
    odds = (after[..., 1] / after[..., 0]) / (before[..., 1] / before[..., 0])
    np.testing.assert_allclose(odds, np.full(odds.shape, 9**1.5), rtol=1e-3)


def test_sampling_changes_what_training_sees(tmp_path):
    params = training_on(
        records.write(tmp_path / "records"), 5, "task.train_data.sampling=class_balanced"
    )
    save_priors(params, tmp_path)
    np.testing.assert_allclose(label_priors.read(str(tmp_path), 3), np.full(3, 1 / 3))


def test_errors_name_what_is_missing(saved, tmp_path):
    params, model_dir = saved
    (model_dir / "label_priors.json").write_text(json.dumps({"share": [0.5, 0.5]}))
    with pytest.raises(InputError, match="shares of 2 labels, the model has 3"):
        build(params, model_dir)
    (model_dir / "label_priors.json").unlink()
    with pytest.raises(InputError, match=r"label_priors\.json: no such file.*once more"):
        build(params, model_dir)
    (tmp_path / "records" / "train.label_counts.json").unlink()
    with pytest.raises(InputError, match=r"label_counts\.json: no such file"):
        save_priors(params, model_dir)
    params.task.model.detections.logit_adjustment = 0.0
    save_priors(params, model_dir)
    assert not (model_dir / "label_priors.json").exists()
