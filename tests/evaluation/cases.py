"""Ground truth and detections for Hypothesis to draw.

Coordinates are small whole numbers and scores are few, so that ties of every kind abound.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation import scenes

KNOWN = [category.id for category in scenes.CATEGORIES]

side = st.integers(0, 12)
length = st.integers(1, 8)
box = st.tuples(side, side, length, length)
# Images are 20 pixels wide and high: boxes may lie on the border, and detections may be empty.
found_box = st.tuples(side, side, st.integers(0, 8), st.integers(0, 8))
tied_scores = st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])


@st.composite
def truths(draw, single=False, categories=scenes.CATEGORIES):
    """Annotations with gaps between ids, 0 among them; images without boxes, crowds."""
    ids = draw(st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True))
    kind = st.sampled_from(scenes.BOXABLE.tolist())
    if single:
        rows = [(i, draw(kind), draw(box)) for i in ids]
    else:
        crowd = st.sampled_from([False, False, False, True])
        row = st.tuples(st.sampled_from(ids), kind, box, crowd)
        rows = draw(st.lists(row, min_size=1, max_size=8))
    return scenes.annotations_of(ids, rows, categories)


@st.composite
def result_columns(draw, truth, distinct=False, most=16):
    """Image ids, category ids, scores and boxes, many of them exactly on a true box; or none."""
    ids = st.sampled_from([image.id for image in truth.images])
    rows = []
    for _ in range(draw(st.integers(0, most))):
        where = draw(st.integers(-1, len(truth.boxes) - 1))
        if where < 0:
            rows.append((draw(ids), draw(st.sampled_from(KNOWN)), draw(found_box)))
        else:
            species = draw(st.sampled_from([int(truth.category_ids[where]), *KNOWN]))
            shift = draw(st.sampled_from([0, 0, 1, 2]))
            x, y, width, height = truth.boxes[where].tolist()
            rows.append((int(truth.image_ids[where]), species, (x + shift, y, width, height)))
    if distinct:
        scores = [(1 + i) / 64 for i in draw(st.permutations(range(len(rows))))]
    else:
        scores = [draw(tied_scores) for _ in rows]
    image_ids, category_ids, boxes = [list(column) for column in zip(*rows)] or [[], [], []]
    return image_ids, category_ids, scores, boxes


@st.composite
def results(draw, truth, distinct=False, most=16):
    """Detections, many of them exactly on a true box; none at all now and then."""
    columns = draw(result_columns(truth, distinct=distinct, most=most))
    return scenes.detections_of(*columns, truth.taxonomy)


@st.composite
def cases(draw, distinct=False, single=False):
    """Annotations and detections in them."""
    annotations = draw(truths(single=single))
    return annotations, draw(results(annotations, distinct=distinct))


def holds_for(*strategies, few=12, many=60):
    """Makes a test of a property: of few examples, and among the slow tests of many.

    Args:
        strategies: what the arguments of the property are drawn from.
        few: how many examples are tried in any case.
        many: how many the slow tests try.
    """

    def decorate(check):
        slow = pytest.param(many, marks=pytest.mark.slow)

        @pytest.mark.parametrize("examples", [few, slow])
        def test(examples):
            tried = settings(
                max_examples=examples, derandomize=True, deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            )  # fmt: skip
            tried(given(*strategies)(check))()

        test.__doc__ = check.__doc__
        return test

    return decorate
