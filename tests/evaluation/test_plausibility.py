"""Each warning speaks on its mistake and is silent on detections that are right or merely bad."""

import dataclasses
import re

import numpy as np
import pytest

from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS
from inatdet.data.labels import labels_of_categories, labels_of_labels
from inatdet.evaluation import plausibility
from inatdet.evaluation.orders import permuted_agreement
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.plausibility import data_warnings
from inatdet.evaluation.protocol import prepare

SUPER = ("Insecta", "Aves", "Mammalia")
CATEGORIES = (
    Category(0, "root", "none"),
    *(Category(i, f"species {i}", SUPER[i % 3]) for i in range(1, 13)),
)
SIZES = ((640, 480), (480, 640), (500, 375), (1200, 800))
SPECIES, COARSE, GENERIC = ALWAYS


def truth_of(rng, images=120, boxes_each=1):
    """Images of several sizes with boxes of all species but the root, which has none."""
    listed, ids, boxes = [], [], []
    for number in range(images):
        width, height = SIZES[rng.integers(len(SIZES))]
        listed.append(Image(number * 2, f"{number}.jpg", width, height))
        for _ in range(boxes_each):
            w, h = rng.uniform(0.2, 0.5, 2) * (width, height)
            x, y = rng.uniform(0, 1, 2) * (width - w, height - h)
            ids.append(number * 2)
            boxes.append([x, y, w, h])
    boxes = np.array(boxes)
    return Annotations(
        path="val.json",
        images=tuple(listed),
        categories=CATEGORIES,
        box_ids=np.arange(len(boxes)),
        image_ids=np.array(ids),
        category_ids=1 + np.arange(len(boxes)) % 12,
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3] / 2,
        is_crowd=np.zeros(len(boxes), bool),
    )


def found_in(truth, rng, right=0.7, noise=0.05):
    """Detections near each true box, with its category in a share of `right`, and one elsewhere."""
    near = truth.boxes * np.maximum(1 + rng.normal(0, noise, truth.boxes.shape), 0.1)
    far = np.roll(near, 1, axis=0)
    category = np.where(
        rng.uniform(size=len(near)) < right, truth.category_ids, rng.integers(1, 13, len(near))
    )
    return detections_of(
        truth,
        np.concatenate([truth.image_ids] * 2),
        np.concatenate([category, rng.integers(1, 13, len(near))]),
        np.concatenate([rng.uniform(0.4, 1, len(near)), rng.uniform(0, 0.3, len(near))]),
        np.concatenate([near, far]),
    )


def detections_of(truth, image_ids, category_ids, scores, boxes):
    labels = labels_of_categories("found.json", category_ids, truth.taxonomy)
    return Detections("found.json", SPECIES, image_ids, labels, scores, boxes)


def kinds(truth, found, all_images=False):
    return [w.kind for w in data_warnings(prepare(truth, [found], all_images=all_images))]


def message(truth, found):
    (warning,) = data_warnings(prepare(truth, [found]))
    assert str(warning) == warning.message
    assert warning.message.startswith(("found.json: ", "val.json: "))
    assert ";" in warning.message, "it says what to do"
    return warning.message


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def truth(rng):
    return truth_of(rng)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("right", [0.9, 0.3, 1 / 12])
@pytest.mark.parametrize("noise", [0.02, 0.2, 0.6])
def test_silence_on_detections_that_are_right_or_merely_bad(seed, right, noise):
    rng = np.random.default_rng(seed)
    truth = truth_of(rng)
    assert kinds(truth, found_in(truth, rng, right, noise)) == []


@pytest.mark.parametrize("seed", range(5))
def test_silence_on_boxes_anywhere(seed):
    rng = np.random.default_rng(seed)
    truth = truth_of(rng)
    found = found_in(truth, rng)
    elsewhere = dataclasses.replace(found, boxes=rng.permutation(found.boxes) * [1, 1, 0.5, 0.5])
    assert "boxes" not in kinds(truth, elsewhere)


def test_silence_on_several_boxes_per_image(rng):
    truth = truth_of(rng, images=40, boxes_each=4)
    assert kinds(truth, found_in(truth, rng), all_images=True) == []


def sizes_of(truth, found):
    size_of = {image.id: (image.width, image.height) for image in truth.images}
    return np.array([size_of[i] for i in found.image_ids.tolist()], float)


def as_corners(boxes, sizes):
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def as_centers(boxes, sizes):
    return np.hstack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]])


def as_fractions(boxes, sizes):
    return boxes / np.tile(sizes, 2)


def of_short_edge(side, limit):
    def scaled(boxes, sizes):
        factors = np.minimum(side / sizes.min(axis=1), limit / sizes.max(axis=1))
        return boxes * factors[:, None]

    return scaled


@pytest.mark.parametrize(
    ("mistake", "reading"),
    [
        (as_corners, "corners (x, y, right, bottom)"),
        (as_centers, "centers (center x, center y, width, height)"),
        (lambda b, s: b[:, [1, 0, 3, 2]], "y before x (y, x, height, width)"),
        (lambda b, s: as_corners(b, s)[:, [1, 0, 3, 2]], "corners with y before x"),
        (as_fractions, "fractions of the image (x, y, width, height)"),
        (lambda b, s: as_fractions(as_corners(b, s), s), "fractions of the image, as corners"),
        (lambda b, s: as_fractions(as_centers(b, s), s), "fractions of the image, as centers"),
        (lambda b, s: as_fractions(b, s) * 320, "pixels of a 320 x 320 input"),
        (of_short_edge(np.inf, 224), "pixels of an input whose longer side is 224"),
        (of_short_edge(300, np.inf), "pixels of an input whose shorter side is 300"),
    ],
)
def test_boxes_in_another_form(rng, truth, mistake, reading):
    found = found_in(truth, rng, noise=0.02)
    wrong = dataclasses.replace(found, boxes=mistake(found.boxes, sizes_of(truth, found)))
    assert f"the boxes look like {reading}" in message(truth, wrong)


def test_boxes_that_leave_their_image_for_no_known_reason(rng, truth):
    found = found_in(truth, rng)
    wrong = dataclasses.replace(found, boxes=found.boxes * 7)
    assert "leave their image" in message(truth, wrong)


def renamed(truth, found, new_ids):
    """The same detections with category `new_ids[i]` instead of i."""
    label_of = truth.taxonomy.label_of_category(SPECIES)
    id_of = {label: category_id for category_id, label in label_of.items()}
    ids = np.array([new_ids[id_of[label]] for label in found.labels[SPECIES].tolist()])
    return detections_of(truth, found.image_ids, ids, found.scores, found.boxes)


def test_class_numbers_off_by_one(rng, truth):
    found = found_in(truth, rng, right=0.9)
    lower = renamed(truth, found, {i: i - 1 for i in range(1, 13)})  # 1 becomes the root
    warnings = data_warnings(prepare(truth, [lower]))
    assert "class numbers look too low by one" in warnings[0].message
    higher = renamed(truth, found, {i: min(i + 1, 12) for i in range(1, 13)})
    assert "class numbers look too high by one" in message(truth, higher)


def test_classes_in_another_order(rng, truth):
    found = found_in(truth, rng, right=0.9)
    order = dict(zip(range(1, 13), [7, 12, 1, 10, 2, 9, 3, 11, 5, 4, 8, 6]))
    assert "classes seem to be in another order" in message(truth, renamed(truth, found, order))


def test_categories_without_a_true_box(rng, truth):
    found = found_in(truth, rng)
    root = renamed(truth, found, {i: i if i > 4 else 0 for i in range(1, 13)})
    assert "are of categories without a true box" in message(truth, root)


def test_one_class(rng, truth):
    found = found_in(truth, rng)
    one = renamed(truth, found, dict.fromkeys(range(1, 13), 5))
    assert "detections are of one class" in message(truth, one)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (lambda s: np.ones_like(s), "all 240 scores are 1,"),
        (lambda s: s * 100, "scores range from"),
        (lambda s: -s, "scores range from -"),
    ],
)
def test_scores(rng, truth, scores, words):
    found = found_in(truth, rng)
    assert words in message(truth, dataclasses.replace(found, scores=scores(found.scores)))


def test_images_without_detections(rng, truth):
    found = found_in(truth, rng)
    some = found.select(found.image_ids < 150)
    assert "45 of the 120 images with a true box have no detection" in message(truth, some)
    nothing = found.select(np.zeros(len(found), bool))
    assert "has no detections" in message(truth, nothing)


def test_repeats_and_padding(rng, truth):
    found = found_in(truth, rng)
    twice = found.select(np.concatenate([np.arange(len(found)), np.arange(10)]))
    assert "10 of 250 detections are exact repeats" in message(truth, twice)
    padded = found.boxes.copy()
    padded[-20:] = 0
    padded[-20:, 0] = np.arange(20)  # not repeats
    empty = dataclasses.replace(found, boxes=padded)
    assert "20 of 240 boxes have no area" in message(truth, empty)


def test_annotations_that_repeat_themselves(rng, truth):
    found = found_in(truth, rng)
    first = truth.images[0]
    same_file = (dataclasses.replace(truth.images[1], file_name=first.file_name),)
    images = truth.images[:1] + same_file + truth.images[2:]
    assert "1 of 120 images have the file name of another image" in message(
        dataclasses.replace(truth, images=images), found
    )
    columns = ("image_ids", "category_ids", "boxes", "areas", "is_crowd")
    rows = np.concatenate([np.arange(len(truth.boxes)), np.arange(6)])
    repeated = {name: getattr(truth, name)[rows] for name in columns}
    twice = dataclasses.replace(truth, box_ids=np.arange(len(rows)), **repeated)
    assert "6 of 126 boxes are exact repeats" in message(twice, found)


def numbered(truth, rng):
    """The same annotations, each image's file called by the id of another."""
    ids = [image.id for image in truth.images]
    names = rng.permutation(ids).tolist()
    images = tuple(
        dataclasses.replace(image, file_name=f"train/{name:012}.jpg")
        for image, name in zip(truth.images, names)
    )
    return dataclasses.replace(truth, images=images), dict(zip(ids, names))


def test_ids_that_are_the_names_of_other_images(rng, truth):
    found = found_in(truth, rng)
    truth, name_of = numbered(truth, rng)
    assert kinds(truth, found) == [], "the ids of the annotations, whatever the files are called"
    by_name = np.array([name_of[image_id] for image_id in found.image_ids.tolist()])
    wrong = dataclasses.replace(found, image_ids=by_name)
    assert "also the names of files of 120 images" in message(truth, wrong)


def test_ids_that_are_the_names_of_their_own_images(rng, truth):
    images = tuple(dataclasses.replace(i, file_name=f"{i.id:012}.jpg") for i in truth.images)
    truth = dataclasses.replace(truth, images=images)
    assert kinds(truth, found_in(truth, rng)) == []


def test_true_boxes_that_are_corners_inside_their_images(rng):
    """The upper left half of the image holds the boxes, so that their corners are sizes too."""
    truth = truth_of(rng, images=60)
    size = np.array([(image.width, image.height) for image in truth.images], float)
    corners = np.concatenate([rng.uniform(0.05, 0.2, (60, 2)), rng.uniform(0.4, 0.7, (60, 2))], 1)
    wrong = dataclasses.replace(truth, boxes=corners * np.tile(size, 2))
    assert "all 60 true boxes are wider and higher than they are far" in message(
        wrong, found_in(wrong, rng)
    )


def test_most_images_left_out(rng):
    truth = truth_of(rng, images=60)
    found = found_in(truth, rng)
    rows = np.concatenate([np.arange(60), np.arange(40)])
    columns = {
        name: getattr(truth, name)[rows]
        for name in ("image_ids", "category_ids", "areas", "is_crowd")
    }
    boxes = truth.boxes[rows] + np.where(np.arange(100) < 60, 0, 1)[:, None]
    several = dataclasses.replace(truth, box_ids=np.arange(100), boxes=boxes, **columns)
    assert "only 20 of 60 images are evaluated" in message(several, found)


def test_generic_detections_have_no_names_to_judge(rng, truth):
    found = found_in(truth, rng)
    generic = dataclasses.replace(found, trained_on=GENERIC, labels=found.labels.at([GENERIC]))
    assert kinds(truth, generic) == []


def limited(found, most):
    return found.select(best_of_each_image(found.image_ids, found.scores, most))


def found_by_several(truth, rng, wrong_first):
    """Several names for each true box, the right one the second for a share of the images."""
    images, each = len(truth.images), 5
    rank = np.where(rng.uniform(size=images) < wrong_first, 1, 0)
    ids = (truth.category_ids[:, None] + np.arange(each) - rank[:, None] - 1) % 12 + 1
    scores = 0.9 * 0.5 ** np.arange(each) * rng.uniform(0.6, 1, (images, 1))
    return detections_of(
        truth,
        np.repeat(truth.image_ids, each),
        ids.ravel(),
        scores.ravel(),
        np.repeat(truth.boxes, each, axis=0),
    )


def test_a_limit_that_cuts_off_right_detections(rng, truth):
    text = message(truth, limited(found_by_several(truth, rng, 0.4), 1))
    assert "120 images have exactly 1 detection and none has more" in text
    cut = int(re.search(r"and in (\d+) of them a box is missing", text)[1])
    assert 30 < cut <= 60


def test_silence_on_limits_that_cost_nothing(rng, truth):
    for wrong_first in (0, 0.4):
        found = found_by_several(truth, rng, wrong_first)
        assert kinds(truth, found) == []
        for most in (2, 3, 4):
            assert kinds(truth, limited(found, most)) == [], "the right one is kept"
    assert kinds(truth, limited(found_by_several(truth, rng, 0), 1)) == []


def super_detections(truth, found, order):
    """Detections of the super-classes with numbers in another order."""
    labels = np.array([0, *order])[found.labels[COARSE]]
    return dataclasses.replace(
        found,
        trained_on=COARSE,
        labels=labels_of_labels(labels, COARSE, truth.taxonomy),
        numbered=True,
    )


def test_bare_numbers_in_an_unknown_order(rng, truth):
    number = truth.taxonomy.num_labels(COARSE)
    assert number > 2
    order = np.arange(1, number + 1)
    right = super_detections(truth, found_in(truth, rng, right=0.5), order)
    assert kinds(truth, right) == [], "the boxes show that the order is right"
    # No box is in the right place, so they show nothing.
    lost = dataclasses.replace(right, boxes=np.tile([0.0, 0, 9, 9], (len(right), 1)))
    text = message(truth, lost)
    assert "has bare numbers for its super classes, read in the order of val.json (1 " in text
    assert text.endswith("give its label spaces with --taxonomy")
    named = dataclasses.replace(lost, numbered=False)
    assert kinds(truth, named) == []
    assert kinds(truth.with_taxonomy(truth.taxonomy), lost) == []
    other = super_detections(truth, found_in(truth, rng), np.roll(order, 1))
    assert kinds(truth, other) == ["classes"], "one warning for one mistake"


def test_one_of_the_classes_is_never_right(rng, truth):
    # As when the file lacks the first class of the model, and label 1 means another.
    found = found_in(truth, rng)
    number = truth.taxonomy.num_labels(COARSE)
    order = np.where(np.arange(1, number + 1) == 2, 1, np.arange(1, number + 1))
    assert "bare numbers" in message(truth, super_detections(truth, found, order))


def test_a_name_for_every_class_is_worked_out_in_little_memory(rng):
    labels = rng.integers(1, 200_001, 3000)
    assert permuted_agreement(labels, labels, 200_000) < 0.1  # each is seen hardly twice
    labels = rng.integers(1, 11, 3000)
    assert permuted_agreement(labels, 11 - labels, 200_000) == 1


def test_an_image_of_very_many_true_boxes(monkeypatch, rng):
    truth = truth_of(rng, images=30, boxes_each=5)
    found = found_in(truth, rng)
    matches = plausibility._Matches(prepare(truth, [found], all_images=True), found)
    everything = matches.fit(found.boxes[matches.rows])
    monkeypatch.setattr(plausibility, "_MAX_TRUE_BOXES", 1)
    assert 0 < matches.fit(found.boxes[matches.rows]) < everything
