"""A classifier trained by the loop: validated, interrupted, resumed, applied."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from inatdet.classification.experiments import read_saved
from inatdet.classification.task import ClassifierTask
from inatdet.errors import InputError, RunError
from inatdet.networks import checkpoints, classifiers
from inatdet.programs.experiments import read_experiment
from inatdet.tfrecords.order import Start
from inatdet.training import averaging, loop
from inatdet.training import experiment as shared
from inatdet.training.data_order import DataOrder
from inatdet.training.resuming import compare_settings
from tests import devices, records
from tests.classification.conftest import tiny
from tests.classification.settings import training_on


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    """Builds every network of this module in two layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "build", tiny)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def first_run(data, tmp_path_factory):
    """Ten steps with validations after five and ten: the folder, the lines, the last values."""
    folder, lines = tmp_path_factory.mktemp("model"), []
    last = loop.train(training_on(data, 10), "train_and_eval", str(folder), notify=lines.append)
    return folder, lines, last


def validation_loss(data, folder, restore):
    """The cross entropy of all images with the weights that `restore` reads."""
    params = read_saved(str(folder))
    task = ClassifierTask(params.task)
    model, metrics = task.build_model(), task.build_metrics(training=False)
    restore(model, checkpoints.newest(str(folder)))
    for batch in task.build_inputs(params.task.validation_data):
        task.validation_step(batch, model, metrics)
    return float(metrics[0].result())


def test_a_finished_run_is_validated_as_it_was(data, first_run):
    folder, lines, _ = first_run
    watched = []
    loop.train(training_on(data, 10), "continuous_eval", str(folder), notify=watched.append)
    assert watched == [line for line in lines if line.startswith("validation at step 10")]


def test_the_losses_of_two_devices_are_those_of_one(data, first_run):
    """Although the second one finds no images left for it in the last step."""
    lines = []
    for strategy in (None, devices.mirrored()):
        params = training_on(data, 10, "task.validation_data.batch_size=6")
        loop.train(params, "eval", str(first_run[0]), strategy, lines.append)
    one, two = [line for line in lines if line.startswith("validation at step 10 | loss ")]
    assert two == one
    assert "nan" not in two


def test_progress_shows_loss_and_accuracy(first_run):
    _, lines, last = first_run
    (line,) = [line for line in lines if line.startswith("step 10/10 | loss ")]
    assert f"(cross_entropy {last['loss/cross_entropy']:.3f})" in line
    assert f" | top_1 {100 * last['accuracy/top_1']:.1f}%, top_5 100.0% | " in line
    assert line.endswith(" left")
    assert sum(line.startswith("validation at step") for line in lines) == 2


def test_validation_is_of_the_averages_which_are_also_applied(data, first_run):
    folder, lines, _ = first_run
    (line,) = [line for line in lines if line.startswith("validation at step 10")]
    averaged = validation_loss(data, folder, averaging.restore)
    plain = validation_loss(data, folder, checkpoints.restore)
    assert f"(cross_entropy {averaged:.3f})" in line
    assert abs(averaged - plain) > 2e-3


def test_an_interrupted_run_is_resumed_with_its_averages(data, first_run, tmp_path):
    folder, lines = tmp_path / "model", []
    shutil.copytree(first_run[0], folder)
    before = averages_in(folder)
    # No steps are left, so that whatever is read is saved as it was.
    loop.train(training_on(data, 10), "train", str(folder), notify=lines.append)
    assert f"{folder} is already trained: 10 of 10 steps" in lines
    loop.train(training_on(data, 15), "train", str(folder), notify=lines.append)
    assert f"resuming from step 10 in {folder}" in lines
    after = averages_in(folder)
    weights = tf.train.load_checkpoint(str(folder))
    assert before.keys() == after.keys()
    assert len(before) > 4
    for name, start in before.items():
        end = weights.get_tensor(name)
        # By then an average has forgotten all but a share of (n + 1) / (n + 10) for each step n.
        share = np.prod([(n + 1) / (n + 10) for n in range(11, 16)])
        distance = np.abs(after[name] - start).max()
        assert distance < np.abs(end - start).max() * 1.5 + 1e-6
        assert share < 0.1


def averages_in(folder):
    """The averages in a folder's newest checkpoint, by the names of the weights."""
    reader = tf.train.load_checkpoint(str(folder))
    mark = "/.OPTIMIZER_SLOT/optimizer/average"
    return {
        name.replace(mark, ""): reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if mark in name
    }


def test_averages_may_begin_later(data, tmp_path):
    (tmp_path / "none.yaml").write_text("trainer: {optimizer_config: {ema: null}}")
    params = training_on(data, 5)
    params.override({"trainer": {"optimizer_config": {"ema": None}}})
    folder = tmp_path / "model"
    loop.train(params, "train", str(folder))
    assert averages_in(folder) == {}
    begun = tf.train.load_checkpoint(str(folder))
    loop.train(training_on(data, 10), "train", str(folder))
    ended = tf.train.load_checkpoint(str(folder))
    found = averages_in(folder)
    assert found
    for name, average in found.items():
        start, end = begun.get_tensor(name), ended.get_tensor(name)
        # From nothing, they would be nearer to 0 than to any weight.
        assert np.abs(average - end).max() <= 2 * np.abs(start - end).max() + 1e-6


def test_a_seed_repeats_a_run(data, first_run, tmp_path):
    loop.train(training_on(data, 10), "train", str(tmp_path))
    once, again = (tf.train.load_checkpoint(str(path)) for path in (first_run[0], tmp_path))
    for name, shape in once.get_variable_to_shape_map().items():
        if name.startswith("model/") and shape:
            # Validation in between changes nothing.
            np.testing.assert_allclose(
                again.get_tensor(name), once.get_tensor(name), rtol=1e-3, atol=1e-5, err_msg=name
            )


def test_an_interrupted_run_ends_as_an_uninterrupted_one(data, first_run, tmp_path):
    folder, lines = tmp_path / "model", []
    shutil.copytree(first_run[0], folder)
    for path in [folder / "checkpoint", *folder.glob("ckpt-10.*")]:
        path.unlink()
    loop.train(training_on(data, 10), "train", str(folder), notify=lines.append)
    assert f"resuming from step 5 in {folder}" in lines
    same_checkpoints(first_run[0], folder)


def same_checkpoints(folder, other):
    """Compares all that is in the newest checkpoints of two folders, bit by bit."""
    one, two = (tf.train.load_checkpoint(checkpoints.newest(str(f))) for f in (folder, other))
    names = {
        name
        for name, shape in one.get_variable_to_shape_map().items()
        if "CHECKPOINTABLE" not in name
    }
    assert len(names) > 10
    for name in names - {"save_counter/.ATTRIBUTES/VARIABLE_VALUE"}:
        np.testing.assert_array_equal(one.get_tensor(name), two.get_tensor(name), err_msg=name)


@pytest.fixture
def bad_batches(monkeypatch):
    """The numbers of the batches of a run, from 0, whose pixels are no numbers."""
    bad, build = [], ClassifierTask.build_inputs

    def spoiled(number, batch):
        is_bad = tf.reduce_any(number == tf.constant(bad, tf.int64))
        return batch | {"image": batch["image"] + tf.where(is_bad, np.nan, 0.0)}

    def build_inputs(self, params, input_context=None):
        return build(self, params, input_context).enumerate().map(spoiled)

    monkeypatch.setattr(ClassifierTask, "build_inputs", build_inputs)
    return bad


def images_of_step(data, step):
    """What an uninterrupted run sees."""
    params = training_on(data, 1)
    batches = inputs_of(params).skip(step - 1).take(1)
    return next(iter(batches))["image_id"].numpy().tolist()


def inputs_of(params):
    return ClassifierTask(params.task).build_inputs(params.task.train_data)


@pytest.mark.slow
def test_after_a_loss_that_is_not_finite_a_run_goes_back_and_on(data, tmp_path, bad_batches):
    expected = {step: images_of_step(data, step) for step in (7, 8)}
    bad_batches += [7, 17]  # of step 8, and after going back to step 5 of step 13
    params = training_on(data, 15, "trainer.recovery_max_trials=1")
    lines = []
    with pytest.raises(
        RunError, match=r"not finite by step 15: .*; step 13 saw the images"
    ) as error:
        loop.train(params, "train", str(tmp_path), notify=lines.append)
    assert f"the last checkpoint is {tmp_path}/ckpt-10; " in str(error.value)
    (line,) = [line for line in lines if line.startswith("warning")]
    words = [f"step {step} saw the images {', '.join(map(str, expected[step]))}" for step in (8, 7)]
    assert line.startswith("warning: not finite by step 10: ")
    assert f"; {words[0]}; {words[1]}; going on from step 5 with the images after these" in line
    order = DataOrder.read(str(tmp_path), 10, params.task, 1)
    assert order.start() == Start(0, 60)
    assert not any(line.startswith("step 10/15 | loss nan") for line in lines)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.granularity=super", "task.granularity=species, not task.granularity=super"),
        ("task.view=box", "task.view=image, not task.view=box"),
        ("task.image_size=40", "task.image_size=32, not task.image_size=40"),
        ("task.model.network=mobilenet_v1", "task.model.network=inception_v3, not task.model.net"),
        ("task.model.width=0.5", "task.model.width=1.0, not task.model.width=0.5"),
    ],
)
def test_what_changes_what_is_learned_is_refused(data, first_run, override, words):
    with pytest.raises(InputError, match="use its settings, or another --model_dir") as refused:
        compare_settings(training_on(data, 20, override), str(first_run[0]))
    assert f"holds a model that was trained with {words}" in str(refused.value)


def test_what_may_change(data, first_run):
    override = "task.model.dropout=.3,task.augmentation.color_share=0,task.central_fraction=1"
    words = compare_settings(training_on(data, 10, override), str(first_run[0]))
    assert "task.model.dropout=0.3" in words
    assert "task.central_fraction=1" in words


def test_a_detector_does_not_continue_as_a_classifier(data, first_run, tmp_path):
    detector = read_experiment(["pipelines/mini_species.yaml"])
    with pytest.raises(InputError, match="experiment=image_classifier, not experiment=inatdet"):
        compare_settings(detector, str(first_run[0]))
    shared.save(detector, str(tmp_path))
    (tmp_path / "ckpt-1.index").touch()
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n')
    with pytest.raises(InputError, match="experiment=inatdet_faster_rcnn, not experiment=image_c"):
        compare_settings(training_on(data, 20), str(tmp_path))


def test_a_model_begins_with_the_averages_of_another(data, first_run, tmp_path):
    params = training_on(data, 1, f"task.init_checkpoint={first_run[0]}/ckpt-10")
    task = ClassifierTask(params.task)
    model, expected = task.build_model(), task.build_model()
    task.initialize(model)
    averaging.restore(expected, f"{first_run[0]}/ckpt-10")
    for one, other in zip(model.variables, expected.variables):
        np.testing.assert_array_equal(one, other)
    params.task.init_checkpoint = str(first_run[0])  # its newest
    task.initialize(other_model := task.build_model())
    np.testing.assert_array_equal(other_model.variables[0], model.variables[0])


def test_label_shares_are_of_images(data, tmp_path):
    params = training_on(data, 1, "task.model.logit_adjustment=1")
    task = ClassifierTask(params.task, logging_dir=str(tmp_path))
    task.prepare()
    np.testing.assert_allclose(task.priors(), [6 / 16, 5 / 16, 5 / 16])
    task.save_companions(str(tmp_path))
    read = ClassifierTask(params.task, logging_dir=str(tmp_path))
    np.testing.assert_allclose(read.priors(), task.priors())


def test_no_image_has_a_label(data, tmp_path):
    params = training_on(data, 5)
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001.tfrecord")) as writer:
        for record in tf.data.Dataset.list_files(data).flat_map(tf.data.TFRecordDataset):
            example = tf.train.Example.FromString(record.numpy())
            feature = example.features.feature["image/object/category_id"]
            feature.int64_list.value[:] = [0, 3]
            writer.write(example.SerializeToString())
    params.task.train_data.input_path = str(tmp_path / "train-*")
    with pytest.raises(InputError, match=r"holds no image to train on; .* labels"):
        loop.train(params, "train", str(tmp_path / "model"))
