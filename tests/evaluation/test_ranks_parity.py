"""At every level and by every rule of merging, the measures are pycocotools' and vernier's."""

import contextlib
import io

import numpy as np
import vernier
from hypothesis import assume
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import results as numbers_of
from inatdet.evaluation.average_precision import ground_truth_at
from inatdet.evaluation.average_precision import result_columns as table_of
from inatdet.evaluation.granularities import MERGE_IOU, Merge, merged
from inatdet.evaluation.protocol import prepare
from inatdet.evaluation.resampling import Halves
from tests.evaluation import ranked, reference, scenes
from tests.evaluation.cases import holds_for, result_columns, truths

SPECIES, SUPER, GENERIC = ALWAYS
GENUS, FAMILY = Granularity("genus"), Granularity("family")


@st.composite
def cases(draw):
    """Annotations whose categories have ranks, and columns of species detections in them."""
    annotations = draw(truths(single=draw(st.booleans()), categories=draw(ranked.categories())))
    return annotations, draw(result_columns(annotations, distinct=draw(st.booleans())))


def summarized(evaluator, coco, found):
    """AP, AP50, AP75, AR1 and AR10; -1 without a true box."""
    run = evaluator(coco, found, "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return np.asarray(run.stats)[[0, 1, 2, 6, 7]]


class Reference:
    """Species detections by category id, evaluated by pycocotools and vernier at any level.

    Nothing here knows our label spaces: labels are made of the categories' own names.

    Args:
        annotations: the images and true boxes.
        columns: image ids, category ids, scores and boxes of the detections.
    """

    def __init__(self, annotations, columns):
        self.annotations = annotations
        image_ids, category_ids, scores, boxes = columns
        self.image_ids = np.array(image_ids, np.int64)
        self.category_ids = category_ids
        self.scores = np.array(scores, np.float64)
        self.boxes = np.array(boxes, np.float64).reshape(-1, 4)

    def labels(self, level):
        """The label of each category id; 0 where no category with a box has the same."""
        key_of = ranked.keys(self.annotations.categories, level)
        # The categories' ids in the file to come have gaps as well.
        boxed = sorted({int(i) for i in self.annotations.category_ids})
        number = {key: 5 * n + 3 for n, key in enumerate(dict.fromkeys(key_of[i] for i in boxed))}
        return {i: number.get(key, 0) for i, key in key_of.items()}

    def measures(self, level, merge, images=None):
        """AP, AP50, AP75, AR1 and AR10 in percent, the means over classes with a true box."""
        labels = self.labels(level)
        images = [i.id for i in self.annotations.images] if images is None else images
        known = np.array([labels[i] for i in self.category_ids], np.int64)
        keep = (known > 0) & np.isin(self.image_ids, images)
        if merge is Merge.NMS:
            rows = np.flatnonzero(keep)
            groups = self.image_ids[rows] * 1000 + known[rows]
            kept = reference.suppressed(groups, self.scores[rows], self.boxes[rows], MERGE_IOU)
            keep[rows[~kept]] = False
        annotations = self.annotations
        truth = {
            "images": [{"id": int(i)} for i in images],
            "categories": [
                {"id": i, "name": str(i)} for i in sorted(set(labels.values()) - {0})
            ],
            "annotations": [
                {"id": n + 1, "image_id": int(i), "category_id": labels[int(c)], "bbox": list(b),
                 "area": float(a), "iscrowd": int(k)}
                for n, (i, c, b, a, k) in enumerate(
                    zip(annotations.image_ids, annotations.category_ids, annotations.boxes,
                        annotations.areas, annotations.is_crowd)
                )
                if i in images
            ],
        }  # fmt: skip
        detections = [
            {"image_id": int(i), "category_id": int(c), "bbox": list(b), "score": float(s)}
            for i, c, b, s in zip(
                self.image_ids[keep], known[keep], self.boxes[keep], self.scores[keep]
            )
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = truth
            coco.createIndex()
            found = coco.loadRes(detections) if detections else COCO()
            values, others = (
                summarized(evaluator, coco, found) for evaluator in (COCOeval, vernier.COCOeval)
            )
        np.testing.assert_allclose(others, values, rtol=0, atol=1e-9)
        return np.where(values < 0, np.nan, 100 * values)


@holds_for(cases(), few=20, many=100)
def test_every_level_and_rule_is_pycocotools(case):
    annotations, columns = case
    taxonomy = annotations.taxonomy
    found = scenes.detections_of(*columns, taxonomy)
    other = Reference(annotations, columns)
    outcome = numbers_of.evaluate(
        prepare(annotations, [found], all_images=True, levels=taxonomy.levels), errors=False
    )
    assert [row.key for row in outcome.table6] == [
        (SPECIES, level, rule)
        for level in taxonomy.levels
        for rule in ((Merge.NONE,) if level is SPECIES else (Merge.NONE, Merge.NMS))
    ]
    for row in outcome.table6:
        expected = other.measures(row.evaluated_on, row.merge)
        np.testing.assert_allclose(row.values, expected, rtol=0, atol=1e-9, err_msg=str(row.key))


@holds_for(cases())
def test_models_at_ranks_and_their_sums_are_pycocotools(case):
    annotations, columns = case
    taxonomy = annotations.taxonomy
    assume(GENUS in taxonomy.levels and FAMILY in taxonomy.levels)
    fine, coarse = (g for g in taxonomy.levels if g in (GENUS, FAMILY))
    # A model of a rank names no species, and none of its labels is of a category without boxes.
    of = taxonomy.label_of_category(fine)
    rows = [row for row, c in enumerate(columns[1]) if c in of]
    kept = [[column[row] for row in rows] for column in columns]
    labels = [of[c] for c in kept[1]]
    # What lies above a label, its species with boxes say.
    kept[1] = [next(s.id for s in taxonomy.species if of[s.id] == label) for label in labels]
    own = Detections.from_arrays(
        kept[0], np.array(labels, int), kept[2], np.reshape(kept[3], (-1, 4)), fine,
        taxonomy=taxonomy,
    )  # fmt: skip
    sums = Detections.from_arrays(
        kept[0], taxonomy.coarsen(np.array(labels, int), fine, coarse), kept[2],
        np.reshape(kept[3], (-1, 4)), coarse, taxonomy=taxonomy, summed_from=fine, name="sums",
    )  # fmt: skip
    other = Reference(annotations, kept)
    outcome = numbers_of.evaluate(prepare(annotations, [own, sums], all_images=True), errors=False)
    every = (*outcome.table6, *outcome.ladder)
    assert {row.key for row in every} >= {
        (fine, fine, Merge.NONE), (fine, GENERIC, Merge.NMS),
        *((fine, coarse, rule) for rule in Merge),
    }  # fmt: skip
    for row in every:
        rule = Merge.NONE if row.merge is Merge.MARGINAL else row.merge
        expected = other.measures(row.evaluated_on, rule)
        np.testing.assert_allclose(row.values, expected, rtol=0, atol=1e-9, err_msg=str(row.key))


@holds_for(cases(), few=15)
def test_each_half_at_each_level_is_what_pycocotools_counts_on_it(case):
    annotations, columns = case
    taxonomy = annotations.taxonomy
    found = scenes.detections_of(*columns, taxonomy)
    other = Reference(annotations, columns)
    ids = np.array([image.id for image in annotations.images])
    halves = Halves(ids, 2, seed=1)
    for level in taxonomy.levels:
        truth = ground_truth_at(annotations, taxonomy, level)
        measured = halves.measure(truth, table_of(merged(found, level, Merge.NONE), level))
        for values, part in zip(measured, halves.parts.T[: len(halves)], strict=True):
            expected = other.measures(level, Merge.NONE, np.sort(ids)[part].tolist())
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)
