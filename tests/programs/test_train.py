import dataclasses
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from inatdet.data.categories import Category
from inatdet.data.counts import CategoryCounts
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError, RunError
from inatdet.tfrecords.label_counts import SplitCounts
from inatdet.training import history, loop
from tests import devices, records, untrained
from tests.settings import INCEPTION_OVERRIDE, training_on


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"))


@dataclasses.dataclass
class Run:
    """A finished run: its folder, the lines that it reported, and the last values."""

    model_dir: pathlib.Path
    lines: list[str]
    last: dict[str, float]


def run(params, mode, model_dir, strategy=None):
    lines = []
    last = loop.train(params, mode, str(model_dir), strategy, lines.append)
    return Run(model_dir, lines, last)


@pytest.fixture(scope="module")
def first_run(data, tmp_path_factory):
    """Twenty steps, with validation after ten and twenty."""
    more = (
        f"task.validation_data.input_path={data},task.validation_data.batch_size=4,"
        "task.validation_pictures=3,trainer.validation_interval=10"
    )
    params = training_on(data, 20, more)
    return run(params, "train_and_eval", tmp_path_factory.mktemp("model"))


def scalars(model_dir):
    """Every TensorBoard scalar: {tag: {step: value}}."""
    values = {}
    for path in sorted(os.listdir(model_dir / "train")):
        for event in tf.compat.v1.train.summary_iterator(str(model_dir / "train" / path)):
            for value in event.summary.value:
                tensor = tf.make_ndarray(value.tensor)
                values.setdefault(value.tag, {})[event.step] = float(tensor)
    return values


def test_the_losses_fall_and_an_interrupted_run_is_resumed(first_run, data, tmp_path):
    model_dir = tmp_path / "model"
    shutil.copytree(first_run.model_dir, model_dir)
    check_resumption(data, model_dir)


@pytest.mark.slow
def test_the_same_with_inception_v3(data, tmp_path):
    run(training_on(data, 20, INCEPTION_OVERRIDE), "train", tmp_path)
    check_resumption(data, tmp_path, INCEPTION_OVERRIDE)


def check_resumption(data, model_dir, more=""):
    """Checks the results of twenty steps, and of twenty more in the same folder."""
    assert tf.train.latest_checkpoint(str(model_dir)).endswith("ckpt-20")
    resumed = run(training_on(data, 40, more), "train", model_dir)
    assert f"resuming from step 20 in {model_dir}" in resumed.lines
    (line,) = [line for line in resumed.lines if line.startswith("step 25/40 | loss")]
    assert "images/s" in line
    assert line.endswith(" left")

    shown = scalars(model_dir)
    for name in ("rpn_objectness", "rpn_boxes", "classes", "boxes"):
        assert list(shown[f"loss/{name}"]) == list(range(5, 41, 5))
    assert {"learning_rate", "images_per_second", "sampled/positives"} <= set(shown)
    losses = shown["training_loss"]
    before = (losses[5] + losses[10]) / 2
    assert (losses[30] + losses[35] + losses[40]) / 3 < 0.7 * before
    assert resumed.last["training_loss"] == pytest.approx(losses[40])
    assert losses[25] < before  # it did not start again

    checkpoint = tf.train.load_checkpoint(str(model_dir))
    assert checkpoint.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE") == 40

    again = run(training_on(data, 40, more), "train", model_dir)
    assert again.last == {}
    assert f"{model_dir} is already trained: 40 of 40 steps" in again.lines

    starts = history.read(str(model_dir))
    assert [start["from_step"] for start in starts] == [0, 20, 40]
    assert [start["settings"]["trainer"]["train_steps"] for start in starts] == [20, 40, 40]


@pytest.mark.slow
def test_an_interrupted_run_ends_as_an_uninterrupted_one(first_run, data, tmp_path):
    model_dir = tmp_path / "model"
    shutil.copytree(first_run.model_dir, model_dir)
    for path in [model_dir / "checkpoint", *model_dir.glob("ckpt-20.*")]:
        path.unlink()
    resumed = run(training_on(data, 20), "train", model_dir)
    assert f"resuming from step 10 in {model_dir}" in resumed.lines
    one, two = (
        tf.train.load_checkpoint(str(folder / "ckpt-20"))
        for folder in (first_run.model_dir, model_dir)
    )
    names = {name for name in one.get_variable_to_shape_map() if name.startswith("model/")}
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(one.get_tensor(name), two.get_tensor(name), err_msg=name)


@pytest.mark.slow
def test_two_devices_with_accumulation_in_float16_and_on_without(data, tmp_path):
    switches = (
        "task.train_data.batch_size=2,task.accumulate_steps=2,task.reference_batch_size=4,"
        "runtime.mixed_precision_dtype=float16,trainer.steps_per_loop=2,"
        "trainer.checkpoint_interval=2,trainer.summary_interval=2"
    )
    params = training_on(data, 4, switches)
    lines = []
    first = loop.train(params, "train", str(tmp_path), devices.mirrored(), lines.append)
    assert "8 images per step, 2 times the reference" in lines[0]
    assert params.trainer.train_steps == 2
    # Training the same model continues on one device, in float32.
    lines.clear()
    params = training_on(data, 5)
    last = loop.train(params, "train", str(tmp_path), notify=lines.append)
    assert f"resuming from step 2 in {tmp_path}" in lines
    assert np.isfinite([first["training_loss"], last["training_loss"]]).all()
    checkpoint = tf.train.load_checkpoint(str(tmp_path))
    assert checkpoint.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE") == 5


def test_rare_labels_are_shown_more_often(tmp_path):
    data = records.write(tmp_path / "records")
    params = training_on(data, 5, "task.train_data.sampling=class_balanced")

    def shares():
        batches = DetectionTask(params.task).build_inputs(params.task.train_data).take(150)
        labels = np.concatenate([batch["labels"].numpy()[:, 0] for batch in batches])
        return np.bincount(labels, minlength=4)[1:] / len(labels)

    np.testing.assert_allclose(shares(), [1 / 3, 1 / 3, 1 / 3], atol=0.07)
    # If there were one image of label 1 and not six, each of the six would be shown 16 / 3 times,
    # the ten others 16 / (3 * 5) times: 32, 5.3 and 5.3.
    ids = [category.id for category in records.taxonomy().species]
    boxes = dict(zip(ids, (1, 5, 5)))
    counts = CategoryCounts(16, boxes, {(i,): count for i, count in boxes.items()})
    SplitCounts(counts, counts).save(str(tmp_path / "records"), "train")
    np.testing.assert_allclose(shares(), [0.75, 0.125, 0.125], atol=0.07)
    os.remove(tmp_path / "records" / "train.label_counts.json")
    with pytest.raises(InputError, match=r"train\.label_counts\.json: no such file"):
        loop.train(params, "train", str(tmp_path / "model"))


def test_what_tensorboard_shows(first_run):
    lines = first_run.lines
    assert [line for line in lines if line.startswith("validation at step 10 | loss ")]
    losses = {f"loss/{name}" for name in ("rpn_objectness", "rpn_boxes", "classes", "boxes")}
    counts = {f"sampled/{name}" for name in ("rpn_positives", "proposals", "positives")}

    shown = event_accumulator.EventAccumulator(str(first_run.model_dir / "train")).Reload()
    speed = {"training_loss", "learning_rate", "images_per_second"}
    assert losses | counts | speed <= set(shown.Tags()["tensors"])
    for tag in losses | counts | speed:
        assert [event.step for event in shown.Tensors(tag)] == [5, 10, 15, 20]

    found = event_accumulator.EventAccumulator(str(first_run.model_dir / "validation")).Reload()
    tags = set(found.Tags()["tensors"])
    assert losses | counts | {"validation_loss"} <= tags
    assert {f"detections/{image}" for image in (1, 2, 3)} <= tags
    assert "detections/4" not in tags
    for image in (1, 2, 3):
        events = found.Tensors(f"detections/{image}")
        assert [event.step for event in events] == [10, 20]
        # Width and height, in words, then the PNG files.
        width, height, png = tf.make_ndarray(events[0].tensor_proto)
        pixels = tf.io.decode_png(png).numpy()
        assert pixels.shape[:2] == (int(height), int(width))
        # Images 0, 2, ... are 96 wide and 128 high, as they are written; groups are read in turn.
        assert sorted(pixels.shape[:2]) == [96, 128]
        colours = {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()}
        assert {(0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00)} & colours  # a right box, or a wrong one


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(data, tmp_path):
    more = (
        "trainer.optimizer_config.learning_rate.type=constant,"
        "trainer.optimizer_config.learning_rate.constant.learning_rate=1e30,"
        "trainer.optimizer_config.optimizer.type=sgd,trainer.optimizer_config.warmup.type=null"
    )
    words = r"not finite by step 5: .*; step \d saw the images (\d+, ){3}\d+; step \d saw the"
    with pytest.raises(RunError, match=words):
        loop.train(training_on(data, 40, more), "train", str(tmp_path))
    assert tf.train.latest_checkpoint(str(tmp_path)) is None


def test_a_model_is_not_trained_further_on_other_labels(data, tmp_path):
    untrained.save(data, tmp_path)
    other = Taxonomy.from_categories([Category(1, "Alia", "Aves")], {1})
    other.save(tmp_path / "other.json")
    params = training_on(data, 10)
    params.task.taxonomy = str(tmp_path / "other.json")
    with pytest.raises(InputError, match="choose another --model_dir"):
        loop.train(params, "train", str(tmp_path))


def test_errors_name_what_is_missing(data, tmp_path):
    params = training_on(data, 5)
    params.task.taxonomy = ""
    with pytest.raises(InputError, match=r"task.taxonomy is not set"):
        loop.train(params, "train", str(tmp_path / "a"))
    params = training_on("nowhere/train-*", 5)
    params.task.taxonomy = f"{os.path.dirname(data)}/taxonomy.json"
    with pytest.raises(InputError, match=r"nowhere/train-\*"):
        loop.train(params, "train", str(tmp_path / "b"))


def test_a_model_of_a_newer_format_is_not_trained_further(data, tmp_path):
    (tmp_path / "format.json").write_text('{"version": 99}')
    with pytest.raises(InputError, match="format version 99"):
        loop.train(training_on(data, 5), "train", str(tmp_path))


def test_an_interruption_says_where_to_go_on(data, first_run, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "Run", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing was saved yet, so the same command begin"):
        loop.train(training_on(data, 40), "train", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(KeyboardInterrupt, match=r"the same command goes on from .*/ckpt-20"):
        loop.train(training_on(data, 40), "train", str(first_run.model_dir))


def test_a_model_that_cannot_be_written_is_noticed_before_it_is_built(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder; choose another path"):
        loop.train(training_on(data, 5), "train", str(tmp_path / "file"))


@pytest.mark.slow
def test_no_image_to_train_on(tmp_path):
    pattern = records.write(tmp_path / "records", count=2, boxes=2)
    params = training_on(pattern, 5, "task.train_data.single_instance=true")
    with pytest.raises(InputError, match="holds no image to train on"):
        loop.train(params, "train", str(tmp_path / "model"))
