"""The paper's own statistics of iNat2017, beside those of the files.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inatdet.data.rows import TOTAL, Cell, Row, known
from inatdet.datasets.statistics.results import Statistics
from inatdet.datasets.statistics.splits import TRAIN
from inatdet.report.beside import beside_paper
from inatdet.report.table import Table

TABLE_1: tuple[int, int, float] = (579_184, 5_089, 435.44)
"""Its row of Table 1: training images, classes, imbalance."""

TABLE_2: Mapping[str, tuple[int, int, int, int | None]] = {
    "Plantae": (2_101, 158_407, 38_206, None),
    "Insecta": (1_021, 100_479, 18_076, 125_679),
    "Aves": (964, 214_295, 21_226, 311_669),
    "Reptilia": (289, 35_201, 5_680, 42_351),
    "Mammalia": (186, 29_333, 3_490, 35_222),
    "Fungi": (121, 5_826, 1_780, None),
    "Amphibia": (115, 15_318, 2_385, 18_281),
    "Mollusca": (93, 7_536, 1_841, 10_821),
    "Animalia": (77, 5_228, 1_362, 8_536),
    "Arachnida": (56, 4_873, 1_086, 5_826),
    "Actinopterygii": (53, 1_982, 637, 3_382),
    "Chromista": (9, 398, 144, None),
    "Protozoa": (4, 308, 73, None),
    TOTAL: (5_089, 579_184, 95_986, 561_767),
}
"""Its Table 2: classes, training images, validation images, boxes; None for a dash."""

BOXED_IMAGES, BOXED_CLASSES = 449_313, 2_854
"""How many images and classes have boxes (Section 3.3)."""

MORE_THAN_ONE, MORE_THAN_FIVE = 12.0, 1.3
"""The shares of images with more than one box and with more than five, in percent (Section 3.3)."""

AREAS = (5.7, 23.6, 70.7)
"""The shares of small, medium and large boxes, in percent (Section 3.3)."""

TOP_SHARE = 16.0
"""What the most frequent 1% of the species have more than, in percent of the training images
(Figure 2)."""

_TABLE_2_COLUMNS = ("classes", "train_images", "val_images", "boxes")


def beside_table2(results: Statistics) -> Table[Any]:
    """Table 2 beside the paper's; no rows for other datasets than the paper's."""
    ours = {
        row.super_class: tuple(getattr(row, name) for name in _TABLE_2_COLUMNS)
        for row in results.super_classes
    }
    papers = TABLE_2.items() if results.is_inat2017 else ()
    return beside_paper(
        ("super_class",),
        _TABLE_2_COLUMNS,
        (((name,), ours.get(name), paper) for name, paper in papers),
    )


def beside_section3(results: Statistics) -> Table[Any]:
    """The other numbers of the paper beside those of the files; no rows for other datasets."""
    columns = ("number", "here", "paper")
    if not results.is_inat2017:
        return Table(columns, ())
    train = next((row for row in results.spread if row.split == TRAIN), None)
    images = results.boxes_per_image[-1] if results.boxes_per_image else None
    areas = results.areas[-1] if results.areas else None
    total = results.super_classes[-1]
    rows: tuple[tuple[str, Cell | None, Cell], ...] = (
        ("species with boxes", total.boxed_classes, BOXED_CLASSES),
        ("images with boxes", _of(images, "images"), BOXED_IMAGES),
        ("of these, percent with more than 1", _of(images, "more_than_one"), MORE_THAN_ONE),
        ("of these, percent with more than 5", _of(images, "more_than_five"), MORE_THAN_FIVE),
        ("small boxes, percent", _of(areas, "small"), AREAS[0]),
        ("medium boxes, percent", _of(areas, "medium"), AREAS[1]),
        ("large boxes, percent", _of(areas, "large"), AREAS[2]),
        (
            "training images of the most frequent 1% of species, percent (the paper's: over)",
            _of(train, "top_share"),
            TOP_SHARE,
        ),
    )
    return Table(columns, tuple((name, known(here), paper) for name, here, paper in rows))


def _of(row: Row | None, name: str) -> Cell | None:
    """A number of a row; None without the row."""
    return None if row is None else getattr(row, name)
