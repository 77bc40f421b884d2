import numpy as np
import pytest

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision, counting, error_kinds
from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.tide import KINDS
from tests.evaluation import scenes

BOX = [0, 0, 10, 10]
SHIFTED = [6, 0, 10, 10]  # overlaps BOX by IoU .25
FAR = [50, 50, 10, 10]
# One image for each kind, all of species 7 (Aves) but the last one, of species 0 (Insecta).
ANNOTATIONS = scenes.annotations_of(
    range(7), [(image, 7 if image < 6 else 0, BOX) for image in range(7)]
)
TAXONOMY = ANNOTATIONS.taxonomy
FOUND = [
    (0, 7, 0.90, BOX),  # right
    (0, 7, 0.80, BOX),  # a duplicate
    (1, 0, 0.79, BOX),  # of another class
    (2, 7, 0.78, SHIFTED),  # at another place
    (3, 0, 0.77, SHIFTED),  # both
    (4, 7, 0.76, FAR),  # nothing is there, and the box is missed
    (5, 7, 0.75, BOX),
    (6, 0, 0.74, BOX),
]


def rows(level=Granularity.SPECIES):
    found = scenes.detections_of(*(list(column) for column in zip(*FOUND)), TAXONOMY)
    truth = average_precision.ground_truth_at(ANNOTATIONS, TAXONOMY, level)
    columns = average_precision.result_columns(found, level)
    images_of = {"Aves": np.arange(6), "Insecta": np.array([6]), "Plantae": np.array([], int)}
    return error_kinds.error_rows(
        Labelled.of(truth, columns), images_of, Granularity.SPECIES, level
    )


def test_each_kind_is_found_where_it_is():
    by_name = {row.super_class: row for row in rows()}
    assert list(by_name) == ["Aves", "Insecta", OVERALL]
    overall = by_name[OVERALL]
    assert overall.images == 7
    assert dict(zip(KINDS, overall.counts)) == {
        "classification": 1, "localisation": 1, "both": 1, "duplicate": 1, "background": 1,
        "missed": 2,  # in image 4, and in image 3, where neither name nor place is right
    }  # fmt: skip
    insects = by_name["Insecta"]
    assert (insects.images, insects.ap50, sum(insects.counts)) == (1, pytest.approx(100), 0)
    assert set(insects.costs) == {0.0}


def test_at_the_generic_level_no_label_is_wrong():
    overall = rows(Granularity.GENERIC)[-1]
    assert overall.cells()[:3] == ("species", "generic", OVERALL)
    # The box under another name is right now, and the one elsewhere as well only misplaced.
    assert dict(zip(KINDS, overall.counts)) == {
        "classification": 0, "localisation": 2, "both": 0, "duplicate": 1, "background": 1,
        "missed": 1,
    }  # fmt: skip


def test_costs_are_what_fixing_gains():
    aves = {row.super_class: row for row in rows()}["Aves"]
    truth = average_precision.ground_truth_at(ANNOTATIONS, TAXONOMY, Granularity.SPECIES)
    truth = truth.in_images(np.arange(6))

    def ap50(image, changed):
        """With the rows of an image exchanged for others."""
        kept = [row for row in FOUND if row[0] < 6]
        first = next(i for i, row in enumerate(kept) if row[0] == image)
        kept = [row for row in kept if row[0] != image]
        kept[first:first] = changed
        columns = [list(column) for column in zip(*kept)]
        found = scenes.detections_of(*columns, TAXONOMY)
        return 100 * counting.evaluate(truth, found, Granularity.SPECIES).mean()[1]

    base = ap50(0, FOUND[:2])
    assert 0 < base < 100
    assert aves.ap50 == pytest.approx(base)
    costs = dict(zip(KINDS, aves.costs))
    assert costs["duplicate"] == pytest.approx(ap50(0, FOUND[:1]) - base)
    assert costs["classification"] == pytest.approx(ap50(1, [(1, 7, 0.79, BOX)]) - base)
    assert costs["localisation"] == pytest.approx(ap50(2, [(2, 7, 0.78, BOX)]) - base)
    assert costs["background"] == pytest.approx(ap50(4, []) - base)
    assert min(costs[kind] for kind in ("duplicate", "classification", "localisation")) > 0


HOTCOCO = ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FP", "FN"]


def by_hotcoco(truth, columns):
    """AP50, costs and counts of hotcoco's TIDE, in the order of ours."""
    evaluation = average_precision.loaded(truth, columns)
    evaluation.params.iouThrs, evaluation.params.maxDets = [0.5], [100]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    found = evaluation.tide_errors(pos_thr=0.5, bg_thr=0.1)
    costs = [found["delta_ap"][kind] for kind in HOTCOCO]
    return [100 * x for x in (found["ap_base"], *costs)], [found["counts"][k] for k in HOTCOCO[:6]]


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
def test_kinds_and_costs_agree_with_hotcoco(name, level):
    nonzero = np.zeros(9, int)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
        taxonomy = annotations.taxonomy
        count = (400, 60, 20)[seed % 3]
        found = scenes.random_detections(rng, annotations, taxonomy, count, ties=seed % 2 == 0)
        truth = average_precision.ground_truth_at(annotations, taxonomy, level)
        columns = average_precision.result_columns(found, level)
        images_of = error_kinds.images_of_super_classes(
            average_precision.ground_truth_at(annotations, taxonomy, Granularity.SUPER), taxonomy
        )
        rows = error_kinds.error_rows(
            Labelled.of(truth, columns), images_of, Granularity.SPECIES, level
        )
        for row in rows:
            ids = images_of.get(row.super_class, truth.image_ids)
            inside = columns[np.isin(columns[:, 0], ids)]
            values, counts = by_hotcoco(truth.in_images(ids), inside)
            np.testing.assert_allclose([row.ap50, *row.costs], values, rtol=0, atol=1e-10)
            assert list(row.counts) == counts
            assert row.images == len(ids)
            nonzero += np.abs(values) > 0
    if name == "usual" and level is Granularity.SPECIES:
        assert nonzero.min() > 0
