import glob

import numpy as np
import pytest
import tensorflow as tf
from official.core import exp_factory, task_factory

from inatdet.detection import experiments
from inatdet.detection.experiments import read_experiment
from inatdet.detection.fpn_config import FPNTask
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.training import devices, overrides
from inatdet.training.config import scale_to_replicas

CLASSIFIERS = set(glob.glob("pipelines/*classification.yaml"))

PAPER = ["species", "super", "generic"]


@pytest.mark.parametrize("granularity", PAPER)
def test_the_pipelines_of_the_paper_state_the_defaults(granularity):
    stated = read_experiment([f"pipelines/{granularity}.yaml"])
    defaults = read_experiment([], f"task.granularity={granularity}")
    assert stated.as_dict() == defaults.as_dict()


@pytest.mark.parametrize("path", sorted(set(glob.glob("pipelines/*.yaml")) - CLASSIFIERS))
def test_every_pipeline_is_read_and_builds_its_optimizer(path):
    params = read_experiment([path])
    optimizer = DetectionTask.create_optimizer(params.trainer.optimizer_config)
    assert optimizer.clipnorm == 10.0
    assert params.task.granularity in path


def test_the_learning_rate_falls_at_its_steps():
    params = read_experiment(["pipelines/species.yaml"])
    rate = DetectionTask.create_optimizer(params.trainer.optimizer_config).learning_rate
    values = [float(rate(step)) for step in (0, 3_000_000, 3_000_001, 3_500_001, 4_000_000)]
    assert values == pytest.approx([3e-4, 3e-4, 3e-5, 3e-6, 3e-6])


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_the_learning_rate_warms_up_under_the_scaling_rule(kind):
    warmup = {"linear": {"warmup_steps": 8000, "warmup_learning_rate": 3e-5}}
    warmup["polynomial"] = {"warmup_steps": 8000, "power": 2.0}
    params = read_experiment(
        ["pipelines/species.yaml"], "task.train_data.batch_size=2,task.accumulate_steps=2"
    )
    params.trainer.optimizer_config.warmup.override({"type": kind, kind: warmup[kind]})
    assert scale_to_replicas(params, 2) == 8.0  # 2 images, 2 batches, 2 replicas
    rate = DetectionTask.create_optimizer(params.trainer.optimizer_config).learning_rate
    # 8,000 steps of one image are 1,000 of eight, at eight times the rate.
    steps = np.array([0, 1, 250, 999, 1000, 1001, 375_000, 375_001, 437_501])
    before = {
        "linear": 8 * (3e-5 + steps / 1000 * (3e-4 - 3e-5)),
        "polynomial": 8 * 3e-4 * (steps / 1000) ** 2,
    }
    after = 8 * np.where(steps > 437_500, 3e-6, np.where(steps > 375_000, 3e-5, 3e-4))
    expected = np.where(steps < 1000, before[kind], after)
    found = [float(rate(tf.constant(step))) for step in steps]
    # At step 0 a polynomial warm-up has the rate of step 1, so that it never stands still.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_the_linear_scaling_rule():
    params = read_experiment(["pipelines/species.yaml"])
    assert scale_to_replicas(params, 1) == 1.0
    assert params.trainer.train_steps == 4_000_000
    params = read_experiment(
        ["pipelines/species.yaml"],
        "task.train_data.batch_size=2,trainer.optimizer_config.warmup.type=linear,"
        "trainer.optimizer_config.warmup.linear.warmup_steps=8000",
    )
    assert scale_to_replicas(params, 4) == 8.0
    assert params.trainer.train_steps == 500_000
    schedule = params.trainer.optimizer_config.learning_rate.stepwise
    assert schedule.boundaries == [375_000, 437_500]
    assert schedule.values == pytest.approx([2.4e-3, 2.4e-4, 2.4e-5])
    assert params.trainer.optimizer_config.warmup.linear.warmup_steps == 1000


def test_the_rule_can_be_switched_off():
    params = read_experiment(
        ["pipelines/species.yaml"], "task.reference_batch_size=0,task.train_data.batch_size=16"
    )
    assert scale_to_replicas(params, 2) == 1.0
    assert params.trainer.train_steps == 4_000_000


@pytest.mark.parametrize(
    ("files", "override", "message"),
    [
        (["nowhere.yaml"], "", "nowhere.yaml: no such file"),
        ([], "task.model.no_such=3", "unknown setting"),
        ([], "task.granularity=Genus", "'Genus' cannot name a granularity"),
        ([], "task.model.backbone.batch_norm=melted", "one of frozen, trained, synchronised"),
        ([], "task.accumulate_steps=0", "must be at least 1"),
        (
            [],
            "task.accumulate_steps=2,task.model.backbone.batch_norm=synchronised",
            "replicas do not meet between their batches",
        ),
        ([], "task.validation_pictures=-1", "0, which shows none"),
        ([], "runtime.enable_xla=true", "set task.model.head.xla=true"),
        ([], "task.train_data.sampling=all", "sampling is 'all'; it must be one of none, repeat"),
        ([], "task.train_data.on_bad=ignore", "on_bad is 'ignore'; it must be one of error, skip"),
        (
            [],
            "task.train_data.on_bad=skip,runtime.distribution_strategy=parameter_server",
            "impossible with parameter_server: workers cannot say what they leave out",
        ),
        ([], "task.train_data.repeat_threshold=0", "share of images and must be above 0"),
        ([], "task.short_edge=2000", "no longer than the long one"),
        ([], "task.train_data.bach_size=2", "setting task.train_data.bach_size; is task.train_da"),
        ([], "task.model=3", "task.model is 3; it is a group of settings"),
        ([], "task=null", "task is None; it is a group of settings"),
        ([], "task.train_data.batch_size=0", "task.train_data.batch_size is 0; it must be above 0"),
        ([], "task.train_data.batch_size=2.5", "batch_size is 2.5; it must be a whole number"),
        ([], "task.train_data.batch_size=null", "batch_size is None; it must be a whole number"),
        ([], "task.model.backbone.weights=", "is None; it must be text; for none, write ''"),
        ([], "task.train_data.cache=yess", "cache is 'yess'; it must be true or false"),
        ([], "task.short_edge=abc", "task.short_edge is 'abc'; it must be a whole number"),
        ([], "task.short_edge=true", "task.short_edge is True; it must be a whole number"),
        ([], "task.short_edge=-5", "the edges must be positive"),
        ([], "task.model.anchors.scales=1", "anchors.scales is 1; it must be a list"),
        ([], "task.model.anchors.scales=[1,x]", "anchors.scales is 'x'; it must be a number"),
        ([], "task.model.anchors.ratios=[0]", "anchors.ratios is 0; it must be above 0"),
        ([], "task.model.detections.min_score=.nan", "min_score is nan; it must be a finite"),
        ([], "task.model.detections.min_score=nan", "min_score is 'nan'; it must be a number"),
        ([], "task.model.detections.nms_iou=1.5", "nms_iou is 1.5; it must be from 0 to 1"),
        (
            [],
            "task.model.detections.marginal_boxes=best",
            "marginal_boxes is 'best'; it must be one of most_probable, mean",
        ),
        ([], "task.model.losses.level_weight={super: 1}", "is task.model.losses.level_weights me"),
        ([], "task.seed=-1", "task.seed is -1; it must not be negative"),
        ([], "trainer.train_steps=abc", "trainer.train_steps is 'abc'; it must be a whole number"),
        ([], "trainer.train_steps=-3", "trainer.train_steps is -3; it must be above 0"),
        ([], "trainer.summary_interval=150", "a multiple of trainer.steps_per_loop, which is 100"),
        ([], "trainer.validation_steps=0", "validation_steps is 0; it must be above 0, or -1"),
        (
            [],
            "trainer.optimizer_config.learning_rate.stepwise.values=[1e-3,-1]",
            "values is -1; it must not be negative",
        ),
        ([], "nonsense", "cannot be read as settings"),
    ],
)
def test_bad_settings_get_a_sentence(files, override, message):
    with pytest.raises(InputError, match=message):
        read_experiment(files, override)


@pytest.mark.parametrize(
    "content", [b"task: [unclosed", b"\xff", b"", b"- task", b"3: 4", b"task", b"[" * 5000]
)
def test_a_file_that_is_no_settings(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.yaml: cannot be read as settings"):
        read_experiment([str(path)])


def test_settings_that_a_file_misspells(tmp_path):
    path = tmp_path / "e=f" / "bad.yaml"
    path.parent.mkdir()
    path.write_text("task: {model: {anchor: {base: 1}}}")
    with pytest.raises(InputError, match=r"setting task.model.anchor; is task.model.an"):
        read_experiment([str(path)])
    with pytest.raises(InputError, match=r"unknown setting task\.model\.anchor"):
        read_experiment([], str(path))


def test_whole_numbers_in_scientific_notation():
    params = read_experiment([], "trainer.train_steps=2e3,trainer.checkpoint_interval=1e2")
    assert params.trainer.train_steps == 2000
    assert isinstance(params.trainer.train_steps, int)


@pytest.mark.parametrize(
    "path",
    [
        "Daten [2017], K\u00e4fer=1/rec/train-*",
        "[g]/x",
        "a: b #c",
        "c,d=e,f",
        "gs://b/x",
        "'",
        "1,2",
    ],
)
def test_paths_may_contain_anything(path):
    params = read_experiment([], f"task.train_data.input_path={path},task.seed=3")
    assert params.task.train_data.input_path == path
    assert params.task.seed == 3


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("task.a=1", {"task": {"a": 1}}),
        ("task.a.b=1e-3, trainer.c=[1,2]", {"task": {"a": {"b": 1e-3}}, "trainer": {"c": [1, 2]}}),
        ("task.a='1',task.b=true", {"task": {"a": "1", "b": True}}),
        ("task.a=null,task.b=", {"task": {"a": None, "b": None}}),
        ("task.a={b: 1}", {"task": {"a": {"b": 1}}}),
        ("task.a=128x160,trainer=x", {"task": {"a": "128x160"}, "trainer": "x"}),
    ],
)
def test_settings_in_one_line(line, settings):
    assert overrides.parse(line, ("task", "trainer")) == settings


def test_more_gpus_than_there_are():
    params = read_experiment([], "runtime.num_gpus=99")
    with pytest.raises(InputError, match="TensorFlow sees 0; set NUM_GPUS=0"):
        devices.strategy_of(params.runtime)


@pytest.mark.parametrize("strategy", ["parameter_server", "multi_worker_mirrored", "mirrored"])
def test_what_a_cluster_trained_is_applied_by_one_process(strategy):
    params = read_experiment([], f"runtime.distribution_strategy={strategy}")
    found = devices.strategy_of(params.runtime)
    assert isinstance(found, tf.distribute.OneDeviceStrategy)


def test_strategies_that_do_not_exist():
    params = read_experiment([], "runtime.distribution_strategy=mirored")
    with pytest.raises(InputError, match="'mirored'; it must be one of one_device, mirrored, "):
        devices.strategy_of(params.runtime)


def test_registration_may_be_repeated():
    for _ in range(2):
        experiments.register()
    assert isinstance(exp_factory.get_exp_config("inatdet_fpn").task, FPNTask)
    assert isinstance(task_factory.get_task(FPNTask()), DetectionTask)


def test_an_unknown_experiment(tmp_path):
    with pytest.raises(InputError, match="there is no experiment 'no_such'"):
        read_experiment([], experiment="no_such")
    (tmp_path / "a.yaml").write_text("experiment: neither")
    with pytest.raises(InputError, match="there is no experiment 'neither'"):
        read_experiment([str(tmp_path / "a.yaml")])
    with pytest.raises(InputError, match="sets experiment; only a --config_file"):
        read_experiment([], "experiment=inatdet_fpn")
