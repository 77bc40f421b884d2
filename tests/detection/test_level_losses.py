"""Cross entropy at several levels, against probabilities that are summed in NumPy."""

import os

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection.experiments import read_experiment
from inatdet.detection.level_losses import loss_at_levels, weighted_levels
from inatdet.detection.losses import classification_loss
from inatdet.errors import InputError
from inatdet.training import loop
from inatdet.training.config import LevelWeights
from tests import records
from tests.settings import training_on

# Ids in another order than the labels of the coarser levels, from 0 on and with gaps.
CATEGORIES = [
    Category(0, "Apis mellifera", "Insecta", (("genus", "Apis"),)),
    Category(4, "Parus major", "Aves", (("genus", "Parus"),)),
    Category(5, "Apis cerana", "Insecta", (("genus", "Apis"),)),
    Category(9, "Bombus terrestris", "Insecta", (("genus", "Bombus"),)),
    Category(11, "Parus minor", "Aves", (("genus", "Parus"),)),
    Category(30, "Pica pica", "Aves", (("genus", "Pica"),)),
]
TAXONOMY = Taxonomy.from_categories(CATEGORIES, [c.id for c in CATEGORIES])
EVERY_LEVEL = {"species": 1.0, "genus": 0.25, "super": 0.5, "generic": 2.0}


def levels_of(weights, granularity=Granularity.SPECIES, taxonomy=TAXONOMY):
    return weighted_levels(LevelWeights(weights), taxonomy, granularity)


def names_at(level):
    """The name at a level of each class, from the categories; the background's is its own."""
    of = {
        "species": lambda c: c.name,
        "genus": lambda c: c.rank("genus"),
        "super": lambda c: c.supercategory,
        "generic": lambda c: "animal",
    }
    return ["background", *map(of[level], CATEGORIES)]


def numpy_loss(logits, labels, weight, weights):
    """The loss and its gradient, one proposal at a time, in float64."""
    total, gradient = 0.0, np.zeros(logits.shape)
    for image in range(len(logits)):
        sampled = max(weight[image].sum(), 1)
        for box in range(logits.shape[1]):
            odds = np.exp(logits[image, box].astype(float) - logits[image, box].max())
            p = odds / odds.sum()
            for level, factor in weights.items():
                names = names_at(level)
                is_own = np.array([name == names[labels[image, box]] for name in names])
                share = weight[image, box] * factor / sampled / len(logits)
                total -= share * np.log(p[is_own].sum())
                gradient[image, box] += share * (p - is_own * p / p[is_own].sum())
    return total, gradient


@pytest.fixture
def sample(rng):
    """Logits, labels, weights; the second image's sample is not full."""
    logits = rng.normal(0, 3, (2, 8, 7)).astype(np.float32)
    labels = np.stack([np.arange(8) % 7, rng.integers(0, 7, 8)]).astype(np.int32)
    weight = np.ones((2, 8), np.float32)
    weight[1, 3:] = 0
    return logits, labels, weight


@pytest.mark.parametrize(
    "weights",
    [EVERY_LEVEL, {"species": 0.0, "super": 1.0}, {"genus": 3.0, "species": 0.5}],
    ids=["every level", "one that is not the model's", "two"],
)
def test_the_loss_and_its_gradient(sample, weights):
    logits, labels, weight = (tf.constant(x) for x in sample)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = loss_at_levels(logits, labels, weight, levels_of(weights))
    expected, gradient = numpy_loss(*sample, weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, logits), gradient, rtol=1e-4, atol=1e-7)


def test_the_models_own_level_alone_is_the_usual_loss(sample):
    logits, labels, weight = (tf.constant(x) for x in sample)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        alone = loss_at_levels(logits, labels, weight, levels_of({"species": 1.0}))
        usual = classification_loss(logits, labels, weight)
    np.testing.assert_allclose(alone, usual, rtol=1e-6)
    one, other = tape.gradient(alone, logits), tape.gradient(usual, logits)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_a_mistake_within_a_label_costs_nothing_at_its_level():
    logits = tf.one_hot([[1]], 7, on_value=20.0)  # surely Apis mellifera
    labels, weight = tf.constant([[3]]), tf.ones([1, 1])  # which is Apis cerana
    levels = {level: levels_of({"species": 0.0} | {level: 1.0}) for level in EVERY_LEVEL}
    losses = {name: float(loss_at_levels(logits, labels, weight, levels[name])) for name in levels}
    assert losses["species"] == pytest.approx(20, abs=0.01)
    assert max(losses["genus"], losses["super"], losses["generic"]) < 1e-6


def test_scores_that_are_certain(sample):
    """Probabilities of 0 in float32, on either side."""
    _, labels, weight = (tf.constant(x) for x in sample)
    logits = tf.one_hot(tf.roll(labels, 1, axis=1), 7, on_value=1e4, off_value=-1e4)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = loss_at_levels(logits, labels, weight, levels_of(EVERY_LEVEL))
    assert float(loss) > 1e4
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    assert gradient.any()


def test_an_empty_sample_has_no_loss():
    logits, labels, none = tf.random.normal([1, 3, 7]), tf.ones([1, 3], tf.int32), tf.zeros([1, 3])
    assert float(loss_at_levels(logits, labels, none, levels_of(EVERY_LEVEL))) == 0


def test_the_models_own_level_counts_once_unless_it_is_named():
    assert levels_of({}) == []
    assert [level.weight for level in levels_of({"generic": 0.5})] == [1.0, 0.5]
    assert [level.weight for level in levels_of({"generic": 0.5, "species": 3})] == [3.0, 0.5]
    assert [level.weight for level in levels_of({"generic": 0.5, "species": 0})] == [0.5]
    (super_class, generic) = levels_of({"generic": 2}, Granularity.SUPER)
    assert super_class.label_of_class.tolist() == [0, 1, 2]
    assert generic.label_of_class.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("weights", "granularity", "message"),
    [
        (
            {"family": 1, "super": 1},
            "species",
            "level_weights names family, not a level of the taxonomy; name any of species, genus, "
            "super, generic$",
        ),
        (
            {"genus": 1},
            "super",
            "level_weights names genus, finer than task.granularity, super, whose labels it would "
            "divide; name any of super, generic$",
        ),
        ({"species": 0, "super": 0.0}, "species", "the weight 0, so classes would not be learned"),
    ],
)
def test_levels_that_cannot_be_weighted(weights, granularity, message):
    with pytest.raises(InputError, match=message):
        levels_of(weights, Granularity(granularity))


def test_training_with_such_a_level_does_not_begin(tmp_path):
    data = records.write(tmp_path / "records", count=2)
    params = training_on(data, 1, "task.model.losses.level_weights={genus: 1}")
    with pytest.raises(InputError, match="names genus, not a level"):
        loop.train(params, "train", str(tmp_path / "model"))
    assert not os.path.exists(tmp_path / "model")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{super: -1}", r"level_weights\.super is -1; it must not be negative"),
        ("{super: much}", r"level_weights\.super is 'much'; it must be a number"),
        ("{super: .nan}", r"level_weights\.super is nan; it must be a finite number"),
        ("{super: true}", r"level_weights\.super is True; it must be a number"),
        ("[1, 2]", r"level_weights is \[1, 2\]; it is a group of settings"),
    ],
)
def test_weights_that_are_none(value, message):
    with pytest.raises(InputError, match=message):
        read_experiment([], f"task.model.losses.level_weights={value}")


def test_weights_in_files_and_lines(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "task: {model: {losses: {level_weights: {genus: 2, generic: 0.5}}}}"
    )
    line = "task.model.losses.level_weights.generic=.25,task.seed=1"
    params = read_experiment([str(tmp_path / "a.yaml")], line)
    assert params.task.model.losses.level_weights.as_dict() == {"genus": 2, "generic": 0.25}
    params = read_experiment([], "task.model.losses.level_weights={species: 1, super: .5}")
    assert params.task.model.losses.as_dict()["level_weights"] == {"species": 1, "super": 0.5}
