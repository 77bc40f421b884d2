"""Every default of the classifiers, pinned, and the document that says where each comes from.

The numbers are repeated here on purpose: a changed default is a changed classifier.
"""

import glob
import re

import pytest

from inatdet.classification.config import (
    AugmentationConfig,
    BoxConfig,
    ClassificationTask,
    ClassifierConfig,
)
from inatdet.classification.experiments import read_experiment
from inatdet.classification.task import ClassifierTask
from tests.fidelity import (
    CLASSIFIER,
    SOURCE,
    check_row,
    described,
    field,
    find,
    named_in,
    plain,
    rows,
)

MODEL = {
    "network": "inception_v3",
    "weights": "imagenet",
    "width": 1.0,
    "dropout": -1.0,
    "batch_norm": "trained",
    "batch_norm_momentum": 0.9997,
    "frozen_until": "",
    "label_smoothing": 0.1,
    "weight_decay": 4e-5,
    "logit_adjustment": 0.0,
}
AUGMENTATION = {
    "min_area": 0.5,
    "max_area": 1.0,
    "min_aspect": 0.7,
    "max_aspect": 1.33,
    "color_share": 0.3,
}
OPTIMIZER = "trainer.optimizer_config.optimizer"
RATE = "trainer.optimizer_config.learning_rate"
OTHERS = {
    "task.granularity": "species",
    "task.image_size": 299,
    "task.central_fraction": 0.875,
    "task.view": "image",
    "task.box.context": 0.1,
    "task.box.central_fraction": 1.0,
    "task.shrink_while_decoding": True,
    "task.reference_batch_size": 32,
    "task.accumulate_steps": 1,
    "task.train_data.batch_size": 32,
    "task.train_data.is_training": True,
    "task.train_data.sampling": "none",
    "task.train_data.single_instance": False,
    "task.validation_data.is_training": False,
    "trainer.train_steps": 80 * 18_099,
    f"{OPTIMIZER}.type": "rmsprop_from_one",
    f"{OPTIMIZER}.rmsprop_from_one.rho": 0.9,
    f"{OPTIMIZER}.rmsprop_from_one.momentum": 0.9,
    f"{OPTIMIZER}.rmsprop_from_one.epsilon": 1.0,
    f"{OPTIMIZER}.rmsprop_from_one.centered": False,
    f"{OPTIMIZER}.rmsprop_from_one.clipnorm": None,
    f"{OPTIMIZER}.rmsprop_from_one.clipvalue": None,
    f"{OPTIMIZER}.rmsprop_from_one.global_clipnorm": None,
    f"{RATE}.type": "exponential",
    f"{RATE}.exponential.initial_learning_rate": 0.0045,
    f"{RATE}.exponential.decay_rate": 0.94,
    f"{RATE}.exponential.decay_steps": 4 * 18_099,
    f"{RATE}.exponential.staircase": True,
    "trainer.optimizer_config.warmup.type": None,
    "trainer.optimizer_config.ema.average_decay": 0.9999,
    "trainer.optimizer_config.ema.dynamic_decay": True,
    "trainer.optimizer_config.ema.start_step": 0,
    "trainer.optimizer_config.ema.trainable_weights_only": False,
}
DEFAULTS = (
    {f"task.model.{name}": value for name, value in MODEL.items()}
    | {f"task.augmentation.{name}": value for name, value in AUGMENTATION.items()}
    | OTHERS
)


@pytest.fixture(scope="module")
def params():
    return read_experiment()


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default(params, path):
    assert plain(field(path, params)) == DEFAULTS[path]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (ClassifierConfig(), MODEL),
        (AugmentationConfig(), AUGMENTATION),
        (ClassificationTask(), ("view", "image_size", "central_fraction", "shrink_while_decoding")),
        (BoxConfig(), ("context", "central_fraction")),
    ],
)
def test_every_field_is_described_and_has_a_source(config, names):
    for name in names:
        # Width, network and the statistics' choices are described with their sources' values.
        text, _ = described(config, name)
        if name not in ("network", "width"):
            assert re.search(SOURCE, text), name


def test_the_pipeline_says_what_the_defaults_are(params):
    pipeline = read_experiment(["pipelines/classification.yaml"])
    assert pipeline.as_dict() == params.as_dict()


@pytest.mark.parametrize("path", sorted(glob.glob("pipelines/*classification.yaml")))
def test_every_pipeline_is_read_and_builds_its_optimizer(path):
    pipeline = read_experiment([path])
    assert isinstance(pipeline.task, ClassificationTask)
    rate = ClassifierTask.create_optimizer(pipeline.trainer.optimizer_config).learning_rate
    last = pipeline.trainer.train_steps
    assert float(rate(last)) < float(rate(last // 2)), "it falls until the last step"


@pytest.mark.parametrize("epochs", [0, 3.99, 4.01, 7.99, 8.01, 79])
def test_the_learning_rate_falls_every_four_epochs(params, epochs):
    optimizer = ClassifierTask.create_optimizer(params.trainer.optimizer_config)
    step = int(epochs * (579_184 // 32))
    expected = 0.0045 * 0.94 ** (epochs // 4)
    assert float(optimizer.learning_rate(step)) == pytest.approx(expected, rel=1e-5)


def test_the_document_names_every_default():
    named = {name for row in rows(CLASSIFIER) for name in named_in(row[3])}
    augmentation = [f"task.augmentation.{name}" for name in AUGMENTATION]
    assert [path for path in (*MODEL, *augmentation) if path not in named] == []


def setting(path, params):
    root = params if path.partition(".")[0] in ("task", "trainer") else params.task.model
    return field(path, root)  # AttributeError where there is none


@pytest.mark.parametrize("row", rows(CLASSIFIER), ids=lambda row: row[0])
def test_what_the_table_names_exists(params, row):
    check_row(row, lambda place: setting(place, params))


def test_files_in_the_sentences_exist():
    files = [name for name in named_in(CLASSIFIER) if re.fullmatch(r"[\w/]+\.(py)", name)]
    assert len(files) > 20
    assert [name for name in files if not find(name)] == []
