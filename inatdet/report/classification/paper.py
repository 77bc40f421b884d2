"""The paper's results of classification on iNat2017, beside those of a report.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018. All its
networks were trained on the training images alone and tested on one centred crop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inatdet.data.rows import Cell
from inatdet.datasets.inat2017 import CATEGORIES, is_inat2017
from inatdet.evaluation.classification.accuracy import Table3Row
from inatdet.evaluation.classification.results import Results
from inatdet.report.beside import beside_paper
from inatdet.report.table import Table

SPLITS = ("val", "public_test", "private_test")
"""The splits of its Table 3."""

TABLE_3: Mapping[str, tuple[float, ...]] = {
    "IncResNetV2 SE": (67.3, 87.5, 68.5, 88.2, 67.7, 87.9),
    "IncResNetV2": (67.1, 87.5, 68.3, 88.0, 67.8, 87.8),
    "IncV3 SE": (65.0, 85.9, 66.3, 86.7, 65.2, 86.3),
    "IncV3": (64.2, 85.2, 65.5, 86.1, 64.8, 85.7),
    "ResNet152 drp": (62.6, 84.5, 64.2, 85.5, 63.1, 85.1),
    "ResNet101 drp": (60.9, 83.1, 62.4, 84.1, 61.4, 83.6),
    "ResNet152": (59.0, 80.5, 60.6, 81.7, 59.7, 81.3),
    "ResNet101": (58.4, 80.0, 59.9, 81.2, 59.1, 80.9),
    "MobileNet V1": (52.9, 75.4, 54.4, 76.8, 53.7, 76.3),
}
"""Its Table 3: top-1 and top-5 accuracy on each of `SPLITS`, in percent of the images."""

TABLE_4: Mapping[str, tuple[float, float, float]] = {
    "Plantae": (75.4, 69.5, 87.1),
    "Insecta": (98.4, 77.1, 93.4),
    "Aves": (222.3, 67.3, 88.0),
    "Reptilia": (121.8, 45.9, 80.9),
    "Mammalia": (157.7, 61.4, 85.1),
    "Fungi": (48.1, 74.0, 92.3),
    "Amphibia": (67.9, 51.2, 81.0),
    "Mollusca": (81.0, 72.4, 90.9),
    "Animalia": (67.9, 73.8, 91.1),
    "Arachnida": (87.0, 71.5, 88.8),
    "Actinopterygii": (37.4, 70.8, 86.3),
    "Chromista": (44.2, 73.8, 92.4),
    "Protozoa": (77.0, 89.2, 96.0),
}
"""Its Table 4, of IncResNetV2 SE on the public test images: mean training images per species, top-1
and top-5 accuracy, in percent, averaged over the species of each super-class."""

_TABLE_4_COLUMNS = ("mean_train_images", "top1", "top5")


def table3_in_papers_layout(results: Results) -> Table[Any]:
    """Table 3 as the paper has it: a row per model, its accuracies on each split beside each other.

    On iNat2017 the paper's own rows follow. Elsewhere there are no rows unless there are several
    splits, as Table 3 says the same.
    """
    papers = TABLE_3 if _is_papers(results) else {}
    splits = [
        *results.splits,
        *(split for split in SPLITS if papers and split not in results.splits),
    ]
    columns = ("model", *(f"{split}_{top}" for split in splits for top in ("top1", "top5")))
    if len(results.splits) < 2 and not papers:
        return Table(columns, ())
    by_key = {(row.model, row.split): row for row in results.table3}
    rows: list[tuple[Cell, ...]] = [
        (model, *(number for split in splits for number in _top(by_key.get((model, split)))))
        for model in results.models
    ]
    for network, numbers in papers.items():
        pairs = dict(zip(SPLITS, zip(numbers[::2], numbers[1::2])))
        unknown = (math.nan, math.nan)
        known = (number for split in splits for number in pairs.get(split, unknown))
        rows.append((f"{network} (paper)", *known))
    return Table(columns, tuple(rows))


def _top(row: Table3Row | None) -> Sequence[float]:
    """The accuracies of a row; NaN for what is not known."""
    if row is None:
        return (math.nan, math.nan)
    return (row.top1, math.nan if row.top5 is None else row.top5)


def beside_table4(results: Results) -> Table[Any]:
    """Table 4 of each model beside the paper's; no rows for other datasets than the paper's."""
    rows = results.table4 if _is_papers(results) else ()
    return beside_paper(
        ("model", "super_class"),
        _TABLE_4_COLUMNS,
        (
            (row.key, [getattr(row, name) for name in _TABLE_4_COLUMNS], TABLE_4[row.super_class])
            for row in rows
            if row.super_class in TABLE_4
        ),
    )


def _is_papers(results: Results) -> bool:
    """Whether this is iNat2017 with all of its species, not only those that have boxes."""
    species = results.taxonomy.species
    return len(species) == CATEGORIES and is_inat2017(species)
