"""Plans that are measured with a tiny detector and a tiny classifier."""

import json
import os

import pytest

from inatdet.data.counts import LabelCounts
from inatdet.errors import InputError
from inatdet.locks import only_writer
from inatdet.tfrecords.contents import Contents
from inatdet.tfrecords.sampling import Sampling, expected_images
from inatdet.training import loop, planning
from inatdet.training.planning import plan
from tests import devices, records, untrained
from tests.classification import settings as classification
from tests.settings import training_on


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"))


def state_of(folder):
    """Names, sizes and times of everything in a folder."""
    return {
        entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns)
        for entry in os.scandir(folder)
        if not entry.name.startswith(".inatdet.lock")
    }


@pytest.mark.slow
def test_what_is_left_of_a_run_while_another_process_trains_there(data, tmp_path):
    model_dir = untrained.save(data, tmp_path, step=10)
    before = state_of(model_dir)
    params = training_on(data, 60)
    settings, lines = params.as_dict(), []
    with only_writer(model_dir):
        found = plan(params, model_dir, steps=1, seconds=0, notify=lines.append)
    assert params.as_dict() == settings
    assert state_of(model_dir) == before
    (line,) = [line for line in lines if "training there" in line]
    assert f"note: {model_dir}: process {os.getpid()} on " in line

    assert (found.first_step, found.last_step, found.steps) == (10, 60, 50)
    assert (found.images_per_epoch, found.images_per_step) == (16, 4)
    assert found.epochs(found.last_step) == 15.0
    assert found.validations == 0
    assert found.checkpoints == 5  # at 20, 30, 40, 50 and 60
    assert sum(shape.steps for shape in found.shapes) == 10
    assert {(one.height, one.width) for one in found.shapes} <= {(96, 128), (128, 96), (128, 128)}
    assert 0 < found.step.least <= found.step.likely <= found.step.most
    assert found.start > found.step.likely
    size = sum(entry.stat().st_size for entry in os.scandir(model_dir) if "ckpt" in entry.name)
    assert size < found.checkpoint_bytes < 4 * size, "weights, and Adam's two means of each"
    assert found.disk_bytes == 3 * found.checkpoint_bytes
    assert found.memory_bytes > 1e8
    assert found.cached_bytes == Contents.of(data).bytes
    json.dumps(found.as_dict())


@pytest.mark.slow
def test_several_devices(data):
    found = plan(training_on(data, 30), steps=10, strategy=devices.mirrored())
    assert found.images_per_step == 4 * devices.NUM_DEVICES
    assert found.measured_steps == sum(shape.steps for shape in found.shapes) == 10
    assert {(one.height, one.width) for one in found.shapes} <= {(96, 128), (128, 96), (128, 128)}


def test_a_trained_model_is_not_measured(data, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "train_steps", None)
    found = plan(training_on(data, 10), untrained.save(data, tmp_path, step=10))
    assert found.steps == 0
    assert found.total.most == 0.0


@pytest.mark.parametrize("change", ["mode", "strategy"])
def test_several_processes_are_not_planned(data, change):
    more = "runtime.distribution_strategy=multi_worker_mirrored" if change == "strategy" else ""
    params = training_on(data, 10, more)
    mode = "continuous_eval" if change == "mode" else "train"
    with pytest.raises(InputError, match="takes several processes"):
        plan(params, mode=mode)


def test_settings_that_training_would_refuse_are_refused(data, tmp_path):
    model_dir = untrained.save(data, tmp_path)
    with pytest.raises(InputError, match=r"task\.short_edge=96, not task\.short_edge=64"):
        plan(training_on(data, 10, "task.short_edge=64"), model_dir)


def test_images_of_an_epoch_as_they_are_sampled():
    counts = LabelCounts(100, images=(60, 30, 4, 0), boxes=(80, 40, 4, 0))
    assert expected_images(Sampling.NONE, counts, 0.001) == 100
    assert expected_images(Sampling.CLASS_BALANCED, counts, 0.001) == pytest.approx(100)
    # Only the third label is seen in less than a tenth of the images.
    repeated = 100 + 4 * ((0.1 * 100 / 4) ** 0.5 - 1)
    assert expected_images(Sampling.REPEAT_FACTOR, counts, 0.1) == pytest.approx(repeated)


@pytest.mark.slow
def test_a_classifier_and_its_validations(data):
    params = classification.training_on(data, 20, "task.image_size=75,task.model.width=0.125")
    found = plan(params, mode="train_and_eval", steps=10)
    assert found.images_per_epoch == 16
    assert [(one.height, one.width) for one in found.shapes] == [(75, 75)]
    assert (found.validations, found.checkpoints) == (4, 4)
    assert found.validation_images is None, "no summary beside these records says it"
    assert 0 < found.validation.least <= found.validation.most
    alone = plan(params, mode="eval")
    assert (alone.steps, alone.validations, alone.checkpoints) == (0, 1, 0)
    assert alone.validation.likely > 0
    assert alone.total.least >= alone.start > 0


@pytest.mark.slow
def test_sizes_and_numbers_are_those_of_the_run(data, tmp_path):
    params = training_on(data, 25, "trainer.max_to_keep=9")
    found = plan(params, steps=10)
    loop.train(params, "train", str(tmp_path))
    saved = [entry for entry in os.scandir(tmp_path) if entry.name.startswith("ckpt-")]
    assert len({entry.name.partition(".")[0] for entry in saved}) == found.checkpoints
    size = sum(entry.stat().st_size for entry in saved)
    assert size == pytest.approx(found.checkpoints * found.checkpoint_bytes, rel=0.01)
