"""Our files of predictions: written and read again."""

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.predictions import PredictionsWriter, read_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

CATEGORIES = [
    Category(5, "Corvus", "Aves"),
    Category(0, "Apis", "Insecta"),
    Category(9, "Pica", "Aves"),
    Category(2, "Quercus", "Plantae"),
]
# Labels of species by id: Apis 0, Quercus 2, Corvus 5, Pica 9.
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {5, 0, 9, 2})
SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC
IDS = np.array([7, 3, 8])
OWN = Ranked(
    np.array([[3, 4, 1], [1, 0, 0], [2, 0, 4]]),
    np.array([[0.5, 0.25, 0.25], [1, 0, 0], [0.5, 0.25, 0.125]], np.float32),
)
# Super-classes in the order of the file: Aves, Insecta, Plantae.
COARSE = Ranked(np.array([[1, 2], [2, 3], [3, 1]]), np.array([[0.75, 0.25]] * 3, np.float32))


def write(path, own=OWN, taxonomy=TAXONOMY, granularity=SPECIES, coarse=COARSE, **options):
    ranked = {granularity: own} | ({} if coarse is None else {SUPER: coarse})
    levels = [level for level in ranked if level != granularity]
    with PredictionsWriter(path, granularity, taxonomy, levels=levels, **options) as writer:
        for rows in (slice(0, 2), slice(2, 2), slice(2, 3)):
            writer.append(
                IDS[rows],
                {
                    level: Ranked(
                        found.labels[rows],
                        None if found.probabilities is None else found.probabilities[rows],
                    )
                    for level, found in ranked.items()
                },
            )
    return str(path)


@pytest.mark.parametrize("rows_per_group", [1, 2, 1000])
def test_round_trip(tmp_path, rows_per_group):
    path = write(
        tmp_path / "p.parquet", rows_per_group=rows_per_group, model="m", settings={"k": 3}
    )
    found = read_predictions(path, TAXONOMY)
    assert (found.trained_on, found.model, found.settings) == (SPECIES, "m", {"k": 3})
    assert found.notes == ()
    np.testing.assert_array_equal(found.image_ids, IDS)
    for level, expected in ((SPECIES, OWN), (SUPER, COARSE)):
        np.testing.assert_array_equal(found.ranked[level].labels, expected.labels)
        np.testing.assert_array_equal(found.ranked[level].probabilities, expected.probabilities)
        assert found.ranked[level].labels.dtype == np.int32
        assert found.ranked[level].probabilities.dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_only_the_order_is_known(tmp_path):
    path = write(tmp_path / "p.parquet", Ranked(OWN.labels), coarse=None, has_probabilities=False)
    found = read_predictions(path, TAXONOMY)
    assert found.own.probabilities is None
    np.testing.assert_array_equal(found.own.labels, OWN.labels)


def test_detections_and_predictions_are_not_mixed_up(tmp_path):
    path = write(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="holds predictions, not detections; give it as --pred"):
        read_detections(path, None, TAXONOMY)
