"""What holds for every dataset and every file of detections.

Boxes have whole numbers on a small grid and scores are few, so that ties of every kind abound.
"""

import dataclasses
import itertools
import os
import tempfile

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.granularity import ALWAYS
from inatdet.data.labels import Labels
from inatdet.evaluation import average_precision, counting, granularities
from inatdet.evaluation import results as numbers_of
from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.granularities import MERGE_IOU, Merge
from inatdet.evaluation.protocol import prepare
from inatdet.evaluation.resampling import Estimate
from inatdet.report.provenance import as_record
from tests.evaluation import reference, scenes
from tests.evaluation.cases import KNOWN, cases, holds_for, truths

SPECIES, SUPER, GENERIC = ALWAYS


def as_they_are(labels):
    """Labels given level by level."""
    return Labels(np.arange(len(labels[GENERIC])), labels)


def coarse(detections, level):
    """The detections as those of a model trained at a coarser level, but for unlabelled ones."""
    labels = detections.labels.at(ALWAYS[ALWAYS.index(level) :])
    known = labels[level] > 0
    return dataclasses.replace(detections, trained_on=level, labels=labels).select(known)


def run(annotations, detections, taxonomy=None, **settings):
    """Everything there is to evaluate of a species model, with detections by summed scores."""
    sums = [
        dataclasses.replace(coarse(detections, level), summed_from=SPECIES)
        for level in (SUPER, GENERIC)
    ]
    if taxonomy:
        annotations = annotations.with_taxonomy(taxonomy)
    prepared = prepare(annotations, [detections, *sums], all_images=True)
    return numbers_of.evaluate(prepared, **settings)


def numbers(outcome):
    """What Tables 5 and 6, the curves and the table of species say, to the last bit."""
    record = as_record(outcome)
    for row in record["per_class"]:
        row.pop("category"), row.pop("val_images")
    names = ("table5", "table6", "curves", "per_class", "sizes", "hierarchy", "errors")
    return {name: record[name] for name in names}


def reordered(detections, keys):
    """The rows in another order, by `keys`, with those of each image in their old order."""
    shuffled = np.argsort(keys, kind="stable")
    ids = detections.image_ids
    waiting = {image: iter(np.flatnonzero(ids == image)) for image in ids.tolist()}
    order = [next(waiting[image]) for image in ids[shuffled].tolist()]
    return detections.select(np.array(order, np.int64))


@holds_for(cases(), few=30, many=200)
def test_every_number_is_pycocotools(case):
    annotations, detections = case
    taxonomy = annotations.taxonomy
    outcome = run(annotations, detections)
    assert [row.key for row in outcome.table6] == [
        (SPECIES, SPECIES, Merge.NONE),
        *((SPECIES, SUPER, rule) for rule in Merge),
        *((SPECIES, GENERIC, rule) for rule in Merge),
    ]
    for row in outcome.table6:
        left = detections.select(detections.labels[row.evaluated_on] > 0)
        if row.merge is Merge.NMS:
            groups = left.image_ids * 100 + left.labels[row.evaluated_on]
            left = left.select(reference.suppressed(groups, left.scores, left.boxes, MERGE_IOU))
        values, precision = reference.by_hand(annotations, left, taxonomy, row.evaluated_on)
        known = ~np.isnan(values[:, 0])
        means = values[known].mean(axis=0) if known.any() else np.full(5, np.nan)
        np.testing.assert_allclose(row.values, 100 * means, atol=1e-9)
        if row.evaluated_on is SPECIES:
            for got, expected in zip(outcome.per_class, values):
                np.testing.assert_allclose(got.values, 100 * expected, atol=1e-9)
            for curve in outcome.curves:
                members = [c.supercategory == curve.super_class for c in taxonomy.species]
                expected = precision[np.array(members) & known].mean(axis=0)
                np.testing.assert_allclose(curve.precision, expected, atol=1e-9)


@holds_for(cases(distinct=True), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(case, random):
    annotations, detections = case
    rows = list(range(len(detections)))
    random.shuffle(rows)
    shuffled = detections.select(np.array(rows, np.int64))
    assert numbers(run(annotations, shuffled)) == numbers(run(annotations, detections))


@holds_for(cases(), st.randoms(use_true_random=False))
def test_with_equal_scores_only_the_order_within_an_image_matters(case, random):
    annotations, detections = case
    keys = [random.random() for _ in range(len(detections))]
    shuffled = reordered(detections, keys)
    assert numbers(run(annotations, shuffled)) == numbers(run(annotations, detections))


def renumbered(annotations, detections, new_ids):
    """Other ids for the images."""
    old = np.array([image.id for image in annotations.images])
    new = dict(zip(old.tolist(), new_ids))
    images = [dataclasses.replace(image, id=new[image.id]) for image in annotations.images]
    map_ids = np.vectorize(new.get, otypes=[np.int64])
    return (
        dataclasses.replace(
            annotations, images=tuple(images), image_ids=map_ids(annotations.image_ids)
        ),
        dataclasses.replace(detections, image_ids=map_ids(detections.image_ids)),
    )


@holds_for(cases(distinct=True), st.data())
def test_renumbering_images_changes_nothing(case, data):
    annotations, detections = case
    ids = st.integers(0, 2**40)
    count = len(annotations.images)
    new = data.draw(st.lists(ids, min_size=count, max_size=count, unique=True))
    assert numbers(run(*renumbered(annotations, detections, new))) == numbers(run(*case))


@holds_for(cases(), st.data())
def test_with_equal_scores_new_ids_must_be_in_the_old_order(case, data):
    annotations, detections = case
    count = len(annotations.images)
    ids = st.lists(st.integers(0, 2**40), min_size=count, max_size=count, unique=True)
    rank = np.argsort(np.argsort([image.id for image in annotations.images]))
    new = np.sort(np.array(data.draw(ids), np.int64))[rank].tolist()
    assert numbers(run(*renumbered(annotations, detections, new))) == numbers(run(*case))


@holds_for(cases(), st.permutations(KNOWN))
def test_renumbering_categories_changes_nothing(case, new_ids):
    annotations, detections = case
    new = dict(zip(KNOWN, (7 * i for i in new_ids)))
    categories = tuple(dataclasses.replace(c, id=new[c.id]) for c in annotations.categories)
    map_ids = np.vectorize(new.get, otypes=[np.int64])
    other = dataclasses.replace(
        annotations, categories=categories, category_ids=map_ids(annotations.category_ids)
    )
    before = annotations.taxonomy
    assert other.taxonomy.super_classes == before.super_classes
    order = {c.name: label for label, c in enumerate(other.taxonomy.species, 1)}
    moved = np.array([0] + [order[c.name] for c in before.species])
    labels = dict(detections.labels)
    labels[SPECIES] = moved[labels[SPECIES]]
    got = run(other, dataclasses.replace(detections, labels=as_they_are(labels)))
    expected = run(annotations, detections)

    def by_name(outcome):
        return {row.category.name: row.values for row in outcome.per_class}

    for name, values in by_name(expected).items():
        np.testing.assert_array_equal(by_name(got)[name], values)
    for one, other in ((got.table5, expected.table5), (got.table6, expected.table6)):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.values, b.values, atol=1e-12)  # sums in another order


@holds_for(cases(), st.lists(st.integers(0, 16), max_size=4), st.integers(1, 20))
def test_how_a_file_was_split_changes_nothing(case, cuts, rows_per_group):
    annotations, detections = case
    taxonomy = annotations.taxonomy
    detections = detections.select(detections.labels[SPECIES] > 0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "detections.parquet")
        with DetectionsWriter(path, SPECIES, taxonomy, rows_per_group=rows_per_group) as writer:
            for rows in np.split(np.arange(len(detections)), sorted(cuts)):
                part = detections.select(rows)
                writer.append(part.image_ids, part.labels[SPECIES], part.scores, part.boxes)
        read = read_detections(path, SPECIES, taxonomy)
    assert numbers(run(annotations, read)) == numbers(run(annotations, detections))


def measures(annotations, detections, level=SPECIES):
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, level)
    return counting.evaluate(truth, detections, level)


def with_duplicates(detections, label, level=SPECIES):
    """The detections, and those of one label once more below every score."""
    again = np.flatnonzero(detections.labels[level] == label)
    both = detections.select(np.concatenate([np.arange(len(detections)), again]))
    scores = both.scores.copy()
    scores[len(detections) :] *= 2.0**-10
    return dataclasses.replace(both, scores=scores)


@holds_for(cases(single=True), st.sampled_from(ALWAYS), st.integers(1, 5))
def test_duplicates_below_every_score_change_nothing_in_single_instance_images(case, level, label):
    annotations, detections = case
    before = measures(annotations, detections, level)
    after = measures(annotations, with_duplicates(detections, label, level), level)
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.precision, before.precision)


@holds_for(cases(), st.sampled_from(ALWAYS), st.integers(1, 5))
def test_elsewhere_duplicates_below_every_score_may_only_find_more(case, level, label):
    # A copy may match a second true box that its original overlapped as well.
    annotations, detections = case
    before = measures(annotations, detections, level)
    after = measures(annotations, with_duplicates(detections, label, level), level)
    assert (np.isnan(before.values) | (after.values >= before.values)).all()
    others = np.arange(len(before.values)) != label - 1
    np.testing.assert_array_equal(after.values[others], before.values[others])


@holds_for(cases())
def test_only_the_order_of_scores_matters(case):
    annotations, detections = case
    scaled = dataclasses.replace(detections, scores=np.sqrt(detections.scores) / 3 - 1)
    assert numbers(run(annotations, scaled)) == numbers(run(annotations, detections))


@holds_for(cases(), st.sampled_from([0.25, 8.0]))
def test_the_unit_of_length_does_not_matter(case, unit):
    annotations, detections = case
    other = dataclasses.replace(annotations, boxes=annotations.boxes * unit)  # areas stay
    scaled = dataclasses.replace(detections, boxes=detections.boxes * unit)
    got, expected = numbers(run(other, scaled)), numbers(run(annotations, detections))
    assert got.pop("sizes") is not None and expected.pop("sizes") is not None
    assert got == expected


@holds_for(cases(), st.sampled_from([SUPER, GENERIC]))
def test_merging_by_suppression_leaves_the_best_and_nothing_that_overlaps_them(case, level):
    _, detections = case
    once = granularities.merged(detections, level, Merge.NMS)
    twice = granularities.merged(once, level, Merge.NMS)
    np.testing.assert_array_equal(twice.boxes, once.boxes)
    np.testing.assert_array_equal(twice.scores, once.scores)
    for image in np.unique(detections.image_ids):
        for label in np.unique(detections.labels[level][detections.labels[level] > 0]):
            before, after = (
                d.select((d.image_ids == image) & (d.labels[level] == label))
                for d in (detections, once)
            )
            assert before.scores.max(initial=0) == after.scores.max(initial=0)
            pairs = itertools.combinations(after.boxes, 2)
            assert all(reference.iou(a, b) <= MERGE_IOU for a, b in pairs)
            for score, lost in zip(before.scores, before.boxes):
                better = after.boxes[after.scores >= score]
                assert any((lost == b).all() or reference.iou(lost, b) > MERGE_IOU for b in better)


@holds_for(cases(), st.randoms(use_true_random=False))
def test_at_the_generic_level_species_do_not_matter(case, random):
    annotations, detections = case
    taxonomy = annotations.taxonomy
    species = [random.choice([c.id for c in taxonomy.species]) for _ in annotations.boxes]
    other = dataclasses.replace(annotations, category_ids=np.array(species, np.int64))
    label = np.array([random.randint(1, len(taxonomy.species)) for _ in range(len(detections))])
    labels = {
        SPECIES: label,
        SUPER: taxonomy.coarsen(label.astype(np.int64), SPECIES, SUPER),
        GENERIC: detections.labels[GENERIC],
    }
    renamed = dataclasses.replace(detections, labels=as_they_are(labels))

    def generic(outcome):
        return [row.values for row in outcome.table6 if row.evaluated_on is GENERIC]

    got = generic(run(other, renamed, taxonomy))
    np.testing.assert_array_equal(got, generic(run(annotations, detections)))


@holds_for(cases(), st.lists(st.integers(31, 40), max_size=3, unique=True))
def test_images_without_anything_change_nothing(case, more):
    annotations, detections = case
    images = [image.id for image in annotations.images] + more
    rows = zip(annotations.image_ids, annotations.category_ids, annotations.boxes,
               annotations.is_crowd)  # fmt: skip
    larger = scenes.annotations_of(images, list(rows))
    got, expected = numbers(run(larger, detections)), numbers(run(annotations, detections))
    got.pop("errors"), expected.pop("errors")  # they say how many images there are
    assert got == expected


@holds_for(cases())
def test_measures_are_in_order(case):
    annotations, detections = case
    for level in ALWAYS:
        found = measures(annotations, detections, level)
        ap, ap50, ap75, ar1, ar10 = found.values[found.has_truth].T
        for lower, higher in (
            (0, ap),
            (ap, ap50),
            (ap75, ap50),
            (ap50, 1),
            (0, ar1),
            (ar1, ar10),
            (ar10, 1),
        ):
            assert (lower - 1e-12 <= higher).all()  # sums round
        assert (np.diff(found.precision[found.has_truth]) <= 0).all()


@holds_for(truths(single=True))
def test_the_truth_itself_is_perfect(annotations):
    boxes = annotations.boxes
    scores = np.ones(len(boxes))
    found = scenes.detections_of(
        annotations.image_ids, annotations.category_ids, scores, boxes, annotations.taxonomy
    )
    for row in run(annotations, found).table6:
        np.testing.assert_allclose(row.values, 100.0)


@holds_for(cases(distinct=True), st.randoms(use_true_random=False), few=5, many=20)
def test_intervals_are_reproducible(case, random):
    annotations, detections = case
    assume(len(annotations.images) > 1)
    rows = list(range(len(detections)))
    random.shuffle(rows)
    first = as_record(run(annotations, detections, resamples=5, errors=False))
    again = run(annotations, detections.select(np.array(rows, int)), resamples=5, errors=False)
    assert as_record(again) == first
    margins = [value.margin for row in again.table6 for value in row.values]
    assert all(isinstance(v, Estimate) for row in again.table6 for v in row.values)
    assert len(margins) == 7 * len(METRICS)
    assert not any(margin < 0 for margin in margins)


@pytest.mark.parametrize("engine", average_precision.Engine)
def test_of_equal_scores_the_smaller_image_comes_first_and_in_it_the_earlier_row(engine):
    annotations = scenes.annotations_of([4, 9], [(4, 7, (0, 0, 8, 8)), (9, 7, (0, 0, 8, 8))])
    taxonomy = annotations.taxonomy
    truth = average_precision.ground_truth_at(annotations, taxonomy, SPECIES)
    right, wrong = (0, 0, 8, 8), (50, 50, 8, 8)

    def ap50(*rows):
        images, boxes = zip(*rows)
        found = scenes.detections_of(images, [7] * len(rows), [0.5] * len(rows), boxes, taxonomy)
        return counting.evaluate(truth, found, SPECIES, engine).values[0, METRICS.index("AP50")]

    half = 51 / 101  # one of two true boxes is found: precision 1 up to recall .5
    assert ap50((4, right), (9, wrong)) == pytest.approx(half)
    assert ap50((9, wrong), (4, right)) == pytest.approx(half)
    assert ap50((4, wrong), (9, right)) == pytest.approx(half / 2)
    assert ap50((4, right), (4, wrong)) == pytest.approx(half)
    assert ap50((4, wrong), (4, right)) == pytest.approx(half / 2)
