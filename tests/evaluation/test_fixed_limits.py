"""What makes AP-Fixed mean little is told, and nothing else."""

import numpy as np
import pytest

import inatdet
from inatdet.errors import InputError
from inatdet.evaluation.fixed_limits import fixed_warnings
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.protocol import prepare
from tests.evaluation import scenes

IMAGES = 40


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def truth():
    rows = [(i, int(scenes.BOXABLE[i % 5]), [40, 40, 30, 30]) for i in range(IMAGES)]
    return scenes.annotations_of(range(IMAGES), rows)


def found_in(truth, rng, certain=0.5, noise=(15, 25)):
    """In each image the right one, in some with the lowest score, and much else."""
    image_ids, species, scores, boxes = [], [], [], []
    for image, own in zip(truth.image_ids.tolist(), truth.category_ids.tolist()):
        others = rng.integers(*noise)
        image_ids += [image] * (others + 1)
        species += [own, *rng.choice(scenes.BOXABLE, others).tolist()]
        scores += [1.0 if rng.uniform() < certain else 0.001, *rng.uniform(0.002, 0.9, others)]
        boxes += [[40, 40, 30, 30], *[[0, 0, 20, 20]] * others]
    return scenes.detections_of(image_ids, species, scores, boxes, truth.taxonomy)


def warnings(truth, detections, most=10_000):
    return [str(warning) for warning in fixed_warnings(prepare(truth, [detections]), most)]


def limited(detections, most):
    return detections.select(best_of_each_image(detections.image_ids, detections.scores, most))


def test_a_file_with_the_best_of_each_image(truth, rng):
    found = limited(found_in(truth, rng), 10)
    (warning,) = warnings(truth, found)
    missing = IMAGES - int((found.scores == 1).sum())
    assert missing > 10
    for words in (
        "detections.json: holds at most 10 detections of each image, half of its species classes",
        f"in {missing} of 40 images a true box is not found",
        "inatdet detect --most_per_class=10000, and a higher --most_per_image",
    ):
        assert words in warning
    with pytest.raises(InputError, match="holds at most 10 detections"):
        inatdet.evaluate(truth, found, most_per_class=10_000, strict=True)
    assert not inatdet.evaluate(truth, found).warnings, "who does not ask is not told"


def test_a_file_without_low_scores(truth, rng):
    found = found_in(truth, rng)
    (warning,) = warnings(truth, found.select(found.scores > 0.05))
    assert "holds no detection with a score below 0.05" in warning


def test_silence_where_nothing_was_left_out(truth, rng):
    found = found_in(truth, rng)
    assert warnings(truth, found) == []
    # Boxes that nothing finds are the model's own mistake.
    assert warnings(truth, found.select(found.scores != 1)) == []
    empty = found.select(np.zeros(len(found), bool))
    assert warnings(truth, empty) == []


def test_silence_where_a_limit_cost_nothing(truth, rng):
    assert warnings(truth, limited(found_in(truth, rng, certain=1.0), 10)) == []


def test_silence_where_every_class_is_full(truth, rng):
    assert warnings(truth, limited(found_in(truth, rng), 10), most=8) == []


def test_silence_on_few_images(rng):
    rows = [(i, 7, [40, 40, 30, 30]) for i in range(19)]
    truth = scenes.annotations_of(range(19), rows)
    assert warnings(truth, limited(found_in(truth, rng), 5)) == []


def test_a_limit_below_the_number_of_true_boxes(truth, rng):
    found = found_in(truth, rng)
    (warning,) = warnings(truth, found, most=7)  # of 8 boxes each
    assert "5 of 5 species classes have more true boxes than AP-Fixed counts" in warning
    assert "evaluate with --most_per_class=8 or more" in warning
    assert warnings(truth, found, most=8) == []
