"""The sections of the statistics of a dataset; see `sections`."""

from __future__ import annotations

from typing import Any

from inatdet.data.rows import TOTAL, Cell
from inatdet.datasets.statistics.boxes import AreaRow, BoxesPerImageRow, RelativeSizeRow
from inatdet.datasets.statistics.observers import ObserverRow
from inatdet.datasets.statistics.ranks import RankRow
from inatdet.datasets.statistics.results import Statistics
from inatdet.datasets.statistics.species import SpeciesRow, SpreadRow, SuperClassRow
from inatdet.datasets.statistics.splits import TRAIN
from inatdet.report.section import Section
from inatdet.report.statistics_figures import SIZES, SPECIES
from inatdet.report.statistics_paper import TABLE_1, beside_section3, beside_table2
from inatdet.report.table import Table

_TABLE_1_COLUMNS = ("dataset", "train_images", "classes", "imbalance")


def table1(results: Statistics) -> Table[Any]:
    """The row that the dataset would have in the paper's Table 1, and the paper's own."""
    rows: list[tuple[Cell, ...]] = [
        ("this dataset", row.images, results.super_classes[-1].classes, row.imbalance)
        for row in results.spread
        if row.split == TRAIN
    ]
    if rows and results.is_inat2017:
        rows.append(("iNat2017, in the paper", *TABLE_1))
    return Table(_TABLE_1_COLUMNS, tuple(rows))


def _spread_in_words(results: Statistics) -> str:
    row = results.spread[0]
    if not row.classes:
        return ""
    images = "training images" if row.split == TRAIN else f"images of {row.split}"
    imbalance = f"{row.imbalance:,.1f} times as many as the rarest"
    if row.top_classes == 1:
        return (
            f"Of {row.classes:,} species, the most frequent has {row.top_share:.1f}% of the "
            f"{images}, {imbalance}."
        )
    return (
        f"Of {row.classes:,} species, the {row.top_classes:,} most frequent have "
        f"{row.top_share:.1f}% of the {images}; the most frequent has {imbalance}."
    )


def _sizes_in_words(results: Statistics) -> str:
    row = results.relative_sizes[-1]
    return (
        f"Half of the boxes have a relative size of at most {row.median:.0f}%, one in twenty of at "
        f"most {row.quantiles[0]:.0f}%."
    )


def _boxes_in_words(results: Statistics) -> str:
    row = results.boxes_per_image[-1]
    if not row.images:
        return ""
    return (
        f"{row.more_than_one:.1f}% of the images with boxes have more than one, "
        f"{row.more_than_five:.1f}% more than five."
    )


SECTIONS: tuple[Section[Statistics], ...] = (
    Section(
        "table2",
        "Table 2: species, images and boxes, by super-class",
        lambda results: Table.of(SuperClassRow, results.super_classes),
        "classes counts the species with an image or a box in either split, boxed_classes those "
        "with a box. An image counts where it is labelled; without labels, where it has a box, "
        f"once for each super-class that it shows. {TOTAL} counts every image once.",
        link="Table 2",
        on_screen=True,
        in_percent=False,
    ),
    Section(
        "table2_paper",
        "Table 2 beside the paper's",
        beside_table2,
        "Columns that begin with paper_ are from Table 2 of Van Horn et al., The iNaturalist "
        "Species Classification and Detection Dataset, 2018, as this is that dataset; the others "
        "are counted here. Its images are those of the image-level files, not only those with "
        "boxes. Its boxes include those of validation images with several, which were never "
        "published.",
        link="Paper, 2",
        in_percent=False,
    ),
    Section(
        "table1",
        "Table 1: the size of the dataset and its imbalance",
        table1,
        "imbalance is the number of training images of the most frequent species divided by that "
        "of the rarest which has one.",
        link="Table 1",
        on_screen=True,
        in_percent=False,
    ),
    Section(
        "spread",
        "Images per species",
        lambda results: Table.of(SpreadRow, results.spread),
        "fewest, median, mean and most are images per species, over the species with an image in "
        "the split; absent counts the species without. top_share is the share of images, in "
        "percent, that the top_classes most frequent species have, which are one percent of the "
        "species, rounded up.",
        link="Images per species",
        on_screen=True,
        answer=_spread_in_words,
        figure=SPECIES,
        in_percent=False,
    ),
    Section(
        "relative_sizes",
        "Relative sizes of boxes",
        lambda results: Table.of(RelativeSizeRow, results.relative_sizes),
        "The relative size of a box is the square root of its area divided by that of its image, "
        "in percent. p5 is what 5% of the boxes do not exceed, and so on. Boxes of the training "
        "split, or of validation where those of training are not given.",
        link="Relative sizes",
        answer=_sizes_in_words,
        figure=SIZES,
    ),
    Section(
        "areas",
        "Small, medium and large boxes",
        lambda results: Table.of(AreaRow, results.areas),
        "Percent of the boxes. As in the paper, the area is half the box: small is below 32 x 32 "
        "pixels, large is above 96 x 96.",
        link="Areas",
        on_screen=True,
    ),
    Section(
        "boxes_per_image",
        "Boxes per image",
        lambda results: Table.of(BoxesPerImageRow, results.boxes_per_image),
        "Of the images with a box. more_than_one and more_than_five are in percent of them.",
        link="Boxes per image",
        on_screen=True,
        answer=_boxes_in_words,
        in_percent=False,
    ),
    Section(
        "section3_paper",
        "Other numbers of the paper",
        beside_section3,
        "From Figure 2 and Section 3.3 of the paper, beside what is counted here.",
        link="Paper, 3.3",
    ),
    Section(
        "ranks",
        "Species per rank",
        lambda results: Table.of(RankRow, results.ranks),
        "names counts the different names at a rank; one that two kingdoms have counts as two. "
        "unnamed counts the species without a name there. The other numbers are species per name.",
        link="Ranks",
        in_percent=False,
    ),
    Section(
        "observers",
        "Photographs per observer",
        lambda results: Table.of(ObserverRow, results.observers),
        "unknown counts the images without a known observer; median, mean and most are images per "
        "observer. top_share is the share of images, in percent, of the top_observers most active "
        f"observers, one percent of them, rounded up. In {TOTAL}, an observer of both splits is "
        "one.",
        link="Observers",
        in_percent=False,
    ),
    Section(
        "species",
        "Every species",
        lambda results: Table.of(SpeciesRow, results.species),
        "By number of training images, as in Figure 2.",
        link="Species",
        in_text=False,
        in_percent=False,
    ),
)
"""All sections, in the order in which the report shows them. One without rows is left out."""
