"""Likely errors of annotations, against plain loops over images, boxes and detections."""

import collections
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.label_errors import label_errors
from inatdet.evaluation.protocol import prepare
from tests.evaluation import cases, scenes

SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC
LEVELS = (SPECIES, SUPER, GENERIC)


def lists_of(annotations, taxonomy, found, level=SPECIES, most=10**6):
    prepared = prepare(replace(annotations, given_taxonomy=taxonomy), [found], all_images=True)
    labelled = prepared.labelled(level, prepared.encounters(found), found.labels[level])
    return label_errors(annotations, taxonomy, level, labelled, most)


def plain_iou(one, other, crowd=False):
    (x, y, w, h), (a, b, c, d) = one, other
    wide, high = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
    shared = max(wide, 0) * max(high, 0)
    union = w * h if crowd else w * h + c * d - shared
    return shared / union if union > 0 else 0.0


class Plain:
    """The rules once more, one image, box and detection at a time."""

    def __init__(self, annotations, taxonomy, found, level):
        label_of = taxonomy.label_of_category(level)
        columns = (annotations.box_ids, annotations.image_ids, annotations.category_ids)
        self.boxes = [
            (box_id, image, label_of.get(category, 0), box, crowd)
            for box_id, image, category, box, crowd in zip(
                *(column.tolist() for column in columns),
                annotations.boxes.tolist(),
                annotations.is_crowd.tolist(),
            )
        ]
        self.found = [
            (row, *rest)
            for row, rest in enumerate(
                zip(
                    found.image_ids.tolist(),
                    found.labels[level].tolist(),
                    found.scores.tolist(),
                    found.boxes.tolist(),
                )
            )
            if rest[1] > 0
        ]
        self.own = {box[0]: self.best_own(box) for box in self.boxes if box[2] and not box[4]}
        self.usual = self.usual_scores()

    def overlap(self, detection, box):
        return plain_iou(detection[4], box[3], box[4]) if detection[1] == box[1] else 0.0

    def best_own(self, box):
        on = [d for d in self.found if d[2] == box[2] and self.overlap(d, box) >= 0.5]
        return max((d[3] for d in on), default=0.0)

    def usual_scores(self):
        by_label = collections.defaultdict(list)
        for box_id, _, label, _, _ in self.boxes:
            if box_id in self.own:
                by_label[label].append(self.own[box_id])
        every = [score for scores in by_label.values() for score in scores]
        overall = sum(every) / len(every) if every else math.inf
        return collections.defaultdict(
            lambda: overall,
            {k: sum(s) / len(s) for k, s in by_label.items() if len(s) > 1},
        )

    def confident(self, detection):
        usual = self.usual[detection[2]]
        return usual > 0 and detection[3] >= usual

    def unsure(self, box):
        return box[0] in self.own and self.own[box[0]] < self.usual[box[2]]

    def wrong(self):
        against = collections.defaultdict(list)
        for detection in filter(self.confident, self.found):
            on = [box for box in self.boxes if self.overlap(detection, box) >= 0.5]
            if any(box[2] == detection[2] for box in on):
                continue
            ordinary = [box for box in on if not box[4]]
            if not ordinary:
                continue
            box = max(ordinary, key=lambda box: self.overlap(detection, box))
            if self.unsure(box) and detection[3] > self.own[box[0]]:
                against[box[0]].append(detection)
        return {
            box_id: (best[2], best[3], self.own[box_id])
            for box_id, rows in against.items()
            for best in [max(rows, key=lambda d: (d[3], -d[0]))]
        }

    def misplaced(self):
        beside = collections.defaultdict(list)
        for detection in filter(self.confident, self.found):
            reach = [(self.overlap(detection, box), box) for box in self.boxes]
            if max(iou for iou, _ in reach) >= 0.5:
                continue
            near = [
                (iou, box)
                for iou, box in reach
                if iou >= 0.1 and box[2] == detection[2] and self.unsure(box)
            ]
            if near:
                beside[max(near, key=lambda pair: pair[0])[1][0]].append(detection)
        return {
            box_id: (best[3], self.own[box_id])
            for box_id, rows in beside.items()
            for best in [max(rows, key=lambda d: (d[3], -d[0]))]
        }

    def missing(self):
        alone = [
            detection
            for detection in filter(self.confident, self.found)
            if all(self.overlap(detection, box) < 0.1 for box in self.boxes)
        ]
        kept = []
        for detection in sorted(alone, key=lambda d: (-d[3], d[0])):
            same = (d for d in kept if d[1] == detection[1])
            if all(plain_iou(detection[4], other[4]) <= 0.5 for other in same):
                kept.append(detection)
        return [(d[1], d[2], d[3], tuple(d[4])) for d in kept]

    def doubt(self, box_id):
        label = next(box[2] for box in self.boxes if box[0] == box_id)
        return 100 * (1 - self.own[box_id] / self.usual[label])


def check(annotations, taxonomy, found, level):
    lists = lists_of(annotations, taxonomy, found, level)
    plain = Plain(annotations, taxonomy, found, level)
    names = taxonomy.names(level)
    assert lists.boxes == len(plain.own)
    assert lists.found == tuple(map(len, (lists.labels, lists.places, lists.missing)))
    assert {
        row.box_id: (names.index(row.named) + 1, row.named_score, row.annotated_score)
        for row in lists.labels
    } == plain.wrong()
    assert {row.box_id: (row.score, row.score_here) for row in lists.places} == plain.misplaced()
    assert [
        (row.image.id, names.index(row.named) + 1, row.score, row.found) for row in lists.missing
    ] == plain.missing()
    for rows, scores in (
        (lists.labels, [row.named_score for row in lists.labels]),
        (lists.places, [row.score for row in lists.places]),
    ):
        assert [row.doubt for row in rows] == pytest.approx([plain.doubt(r.box_id) for r in rows])
        order = [(-row.doubt, -score) for row, score in zip(rows, scores)]
        assert order == sorted(order)
    boxes = dict(zip(annotations.box_ids.tolist(), annotations.boxes.tolist()))
    for row in (*lists.labels, *lists.places):
        assert row.box == tuple(boxes[row.box_id])
        assert row.iou == plain_iou(row.found, row.box)
    return lists


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("scene", scenes.SCENES)
def test_against_plain_loops(scene, level):
    listed = np.zeros(3, int)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        annotations = scenes.random_annotations(rng, **scenes.SCENES[scene])
        taxonomy = annotations.taxonomy
        found = scenes.random_detections(rng, annotations, taxonomy, 150, ties=seed % 2 > 0)
        listed += check(annotations, taxonomy, found, level).found
    if scene in ("usual", "crowds") and level is SPECIES:
        assert listed.all()


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.data())
def test_every_kind_of_tie_against_plain_loops(data):
    annotations = data.draw(cases.truths(single=data.draw(st.booleans())))
    found = data.draw(cases.results(annotations))
    check(annotations, annotations.taxonomy, found, data.draw(st.sampled_from(LEVELS)))


@pytest.mark.parametrize("seed", range(4))
def test_species_without_a_label_against_plain_loops(seed):
    """What the model has no label for is neither judged, nor is an animal there missing."""
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, crowds=0.1)
    taxonomy = Taxonomy.from_categories(annotations.categories, [40, 0])
    found = scenes.random_detections(rng, annotations, taxonomy, 200)
    lists = check(annotations, taxonomy, found, SPECIES)
    assert 0 < lists.boxes < len(annotations.boxes) - annotations.is_crowd.sum()


A, B, C = 40, 0, 7  # a and c are birds, b is an insect
HERE, THERE, BESIDE = [10, 10, 40, 40], [60, 60, 30, 30], [30, 10, 40, 40]

# The labels a and c usually have the scores .6 and .5.
KNOWN_BOXES = [(0, A, HERE), (1, A, HERE), (2, C, HERE), (3, C, HERE), (4, A, HERE)]
KNOWN = [(0, A, 0.9, HERE), (1, A, 0.9, HERE), (2, C, 0.5, HERE), (3, C, 0.5, HERE)]


def lists_with(found, boxes=(), **options):
    """The lists of a scene.

    Args:
        found: rows `(image, category, score, box)` besides those of `KNOWN`.
        boxes: rows `(image, category, box)` besides those of `KNOWN_BOXES`.
        options: of `label_errors`.
    """
    boxes, found = [*KNOWN_BOXES, *boxes], [*KNOWN, *found]
    ids = sorted({row[0] for row in (*boxes, *found)})
    annotations = scenes.annotations_of(ids, boxes)
    taxonomy = annotations.taxonomy
    found = scenes.detections_of(*zip(*found), taxonomy)
    return lists_of(annotations, taxonomy, found, **options)


def test_a_wrong_label():
    lists = lists_with([(4, C, 0.8, BESIDE), (4, C, 0.7, HERE), (4, A, 0.15, HERE)])
    (row,) = lists.labels
    # With this box, a usually has (.9 + .9 + .15) / 3 = .65.
    doubt = pytest.approx(100 * (1 - 0.15 / 0.65))
    names = ("4", "4.jpg", "5", "a", "c")
    assert row.cells() == (*names, doubt, 0.7, 0.15, 1, *HERE, "species", "super")
    assert row.found == tuple(HERE)
    assert lists.boxes == 5
    assert lists.found == (1, 0, 0)


@pytest.mark.parametrize(
    ("why", "found"),
    [
        ("nothing is said", []),
        ("the other label is not confident", [(4, C, 0.49, HERE)]),
        ("the annotated label is confident too", [(4, C, 0.95, HERE), (4, A, 0.9, HERE)]),
        ("the annotated label scores more", [(4, C, 0.5, HERE), (4, A, 0.55, HERE)]),
        ("the model knows no b", [(4, B, 0.9, HERE)]),
        ("its scores are logits", [(4, C, -0.5, HERE)]),
    ],
)
def test_labels_that_stay(why, found):
    boxes = [(5, B, HERE), (6, B, HERE)] if "knows no" in why else []
    assert lists_with(found, boxes).found == (0, 0, 0), why


def test_of_an_animal_beside_another_one():
    """What is on the box of its own label says nothing about the box under it."""
    boxes = [(4, C, [12, 10, 40, 40])]
    assert lists_with([(4, C, 0.9, [11, 10, 40, 40])], boxes).labels == ()
    # A third label contradicts only the box that it overlaps more.
    known = [(5, B, 0.9, HERE), (6, B, 0.9, HERE)]
    boxes += [(5, B, HERE), (6, B, HERE)]
    (row,) = lists_with([*known, (4, B, 0.9, [13, 10, 40, 40])], boxes).labels
    assert (row.box_id, row.annotated, row.named, row.shared) == (6, "c", "b", GENERIC)
    # Where it overlaps two boxes just as much, the first one.
    boxes = [(4, A, [14, 10, 40, 40])]
    (row,) = lists_with([(4, C, 0.9, [12, 10, 40, 40])], boxes).labels
    assert row.box_id == 5


def test_of_an_animal_in_front_of_a_crowd():
    """All of the detection is in the crowd, but it is still about the animal."""
    crowd = (4, B, [0, 0, 70, 70], True)
    (row,) = lists_with([(4, C, 0.9, [12, 10, 40, 40])], [crowd]).labels
    assert (row.box_id, row.named) == (5, "c")
    assert lists_with([(4, B, 0.9, [12, 10, 40, 40])], [crowd]).labels == ()


def test_one_box_of_a_label_is_judged_by_the_mean_of_all():
    # (.9 + .9 + .5 + .5 + 0 + 0) / 6 = .47: for b, which has one box, that is usual.
    lists = lists_with([(5, A, 0.9, HERE)], [(5, B, HERE)])
    assert [(row.annotated, row.named, row.doubt) for row in lists.labels] == [("b", "a", 100)]
    assert lists_with([(4, B, 0.46, HERE)], [(5, B, HERE)]).labels == ()
    assert len(lists_with([(4, B, 0.48, HERE)], [(5, B, HERE)]).labels) == 1


def test_a_misplaced_box():
    lists = lists_with([(4, A, 0.8, BESIDE), (4, A, 0.2, HERE)])
    (row,) = lists.places
    doubt = pytest.approx(100 * (1 - 0.2 / (2 / 3)))
    overlap = pytest.approx(1 / 3)
    expected = ("4", "4.jpg", "5", "a", doubt, 0.8, 0.2, overlap, *HERE, *BESIDE, "species")
    assert row.cells() == expected
    assert lists.found == (0, 1, 0)
    # It is where it should be if a confident detection says so, or if that is another box's.
    assert lists_with([(4, A, 0.8, BESIDE), (4, A, 0.7, HERE)]).found == (0, 0, 0)
    assert lists_with([(4, A, 0.8, BESIDE)], [(4, C, BESIDE)]).places == ()


def test_a_missing_box():
    nearly = [61, 60, 30, 30]
    lists = lists_with([(0, C, 0.8, nearly), (0, A, 0.9, THERE), (1, C, 0.95, THERE)])
    assert [row.cells() for row in lists.missing] == [
        ("1", "1.jpg", "c", 0.95, 0, *THERE, "species"),
        ("0", "0.jpg", "a", 0.9, 0, *THERE, "species"),
    ]
    assert lists_with([(0, C, 0.4, THERE), (1, C, 0.95, BESIDE)]).found == (0, 0, 0)


def test_lists_have_an_end():
    found = [(4, C, 0.7, HERE), (5, C, 0.8, HERE), (6, C, 0.8, HERE), (6, A, 0.1, HERE)]
    boxes = [(5, A, HERE), (6, A, HERE)]
    every = lists_with(found, boxes)
    # The most doubtful first, of equal doubt the higher score.
    assert [row.box_id for row in every.labels] == [6, 5, 7]
    first = lists_with(found, boxes, most=2)
    assert first.labels == every.labels[:2]
    assert first.found == every.found == (3, 0, 0)


@pytest.mark.parametrize("boxes", [[], [(0, A, HERE)], [(0, A, HERE, True)]])
def test_without_detections(boxes):
    annotations = scenes.annotations_of([0], boxes)
    taxonomy = Taxonomy.from_categories(annotations.categories, [A])
    nothing = scenes.detections_of([], [], [], [], taxonomy)
    lists = lists_of(annotations, taxonomy, nothing)
    assert lists.boxes == sum(len(box) == 3 for box in boxes)
    assert lists.found == (0, 0, 0)
