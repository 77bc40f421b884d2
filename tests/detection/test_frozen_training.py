"""Detectors with frozen layers, trained: what changes, and the same from cached features."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection.experiments import read_saved
from inatdet.detection.first_stage import FirstStage
from inatdet.detection.serving import export
from inatdet.networks import checkpoints
from inatdet.training.loop import train
from inatdet.training.planning import plan
from tests import records
from tests.devices import mirrored
from tests.settings import INCEPTION_OVERRIDE, small

pytestmark = pytest.mark.slow

STEPS = 4
FROZEN = (
    f"{INCEPTION_OVERRIDE},task.model.backbone.frozen_until=mixed7,task.train_data.batch_size=2,"
    "trainer.steps_per_loop=1,trainer.summary_interval=1,trainer.checkpoint_interval=100,"
    "trainer.optimizer_config.warmup.linear.warmup_steps=1"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=8)


def settings(data, more="", steps=STEPS):
    folder_of_data = data.rpartition("/")[0]
    return small(
        f"task.train_data.input_path={data},task.taxonomy={folder_of_data}/taxonomy.json,"
        f"trainer.train_steps={steps},{FROZEN}{more}"
    )


def trained(data, folder, more="", steps=STEPS, strategy=None):
    """The losses of a run, one a step, and what it said."""
    lines = []
    train(settings(data, more, steps), "train", str(folder), strategy, notify=lines.append)
    losses = [line.split("loss ")[1].split(")")[0] for line in lines if line.startswith("step ")]
    numbers = [[float(word.strip("(,")) for word in one.split() if "." in word] for one in losses]
    return np.array(numbers), lines


def variables(folder):
    reader = tf.train.load_checkpoint(checkpoints.newest(str(folder)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "model"
    return folder, trained(data, folder)[0]


def test_cached_features_train_alike(data, plain, tmp_path):
    losses, lines = trained(data, tmp_path / "model", f",task.feature_cache={tmp_path}/features")
    assert losses.shape == (STEPS, 5)
    assert any("computing the features of 8 images" in line for line in lines)
    np.testing.assert_allclose(losses[0], plain[1][0], rtol=1e-2, atol=2e-3)
    np.testing.assert_allclose(losses, plain[1], rtol=0.1, atol=0.02)


def test_a_plan_of_training_from_cached_features(data, tmp_path):
    params = settings(data, f",task.feature_cache={tmp_path}/features", steps=20)
    found = plan(params, steps=10)
    assert found.preparation.images == 8
    assert found.total.least >= found.preparation.time.least + found.training.least > 0
    assert not list(tmp_path.iterdir())

    folder = tmp_path / "model"
    trained(data, folder, f",task.feature_cache={tmp_path}/features")
    found = plan(params, str(folder), steps=10)
    assert (found.first_step, found.preparation.images, found.preparation.bytes) == (STEPS, 8, 0)

    alike = f",task.feature_cache={tmp_path}/features,task.init_checkpoint={folder}"
    found = plan(settings(data, alike), steps=10)
    assert (found.first_step, found.preparation.images, found.preparation.bytes) == (0, 8, 0)
    found = plan(settings(data, f",task.feature_cache={tmp_path}/features"), steps=10)
    assert found.preparation.bytes > 0  # of other random weights


def test_two_devices_share_cached_features(data, tmp_path):
    more = f",task.feature_cache={tmp_path}/features,task.train_data.batch_size=1"
    losses, lines = trained(data, tmp_path / "model", more, 1, mirrored())
    assert losses.shape == (1, 5)
    assert any("computing the features of 8 images" in line for line in lines)
    _, lines = trained(data, tmp_path / "alone", more, 1)
    assert any("using the features of 8 images" in line for line in lines)


def test_a_run_that_rounds_its_features_trains_as_from_cached_ones(data, tmp_path, monkeypatch):
    cached, _ = trained(data, tmp_path / "cached", f",task.feature_cache={tmp_path}/features")

    def rounded(self, image, image_size, training):
        features = tf.cast(self.features_of(image, image_size, training), tf.bfloat16)
        return self.outputs_of(features, training)

    monkeypatch.setattr(FirstStage, "__call__", rounded)
    losses, _ = trained(data, tmp_path / "rounded")
    np.testing.assert_allclose(cached, losses, atol=1e-3)  # they are told to three digits


def test_frozen_layers_have_neither_slots_nor_averages(plain):
    names = [name for name in variables(plain[0]) if ".OPTIMIZER_SLOT" in name]
    assert any(name.startswith("model/head_stage") for name in names)
    assert not any(name.startswith("model/trunk") for name in names)


def test_a_run_goes_on_with_fewer_frozen_layers(data, tmp_path):
    ema = ",trainer.optimizer_config.ema.average_decay=0.9"
    folder = tmp_path / "model"
    trained(data, folder, ema, steps=2)
    before = variables(folder)
    _, lines = trained(data, folder, f"{ema},task.model.backbone.frozen_until=mixed5", steps=4)
    assert any("resuming with" in line and "frozen_until=mixed5" in line for line in lines)
    after = variables(folder)
    params = read_saved(str(folder))
    assert params.task.model.backbone.frozen_until == "mixed5"
    of_trunk = [
        name
        for name in before
        if name.startswith("model/trunk") and "OPTIMIZER" not in name and before[name].ndim == 4
    ]
    changed = [name for name in of_trunk if (before[name] != after[name]).any()]
    assert len(of_trunk) == 70 and len(changed) == 20
    averaged = {
        name.split("/.OPTIMIZER_SLOT")[0]
        for name in after
        if name.endswith("/average/.ATTRIBUTES/VARIABLE_VALUE")
    }
    of_averages = [name for name in of_trunk if name.split("/.ATTRIBUTES")[0] in averaged]
    assert of_averages == changed


def test_a_model_with_frozen_layers_is_exported(plain, tmp_path):
    folder = str(plain[0])
    export(read_saved(folder), checkpoints.newest(folder), folder, str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "saved_model.pb").exists()
