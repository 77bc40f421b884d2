"""The sections of a report: one list, from which every form of the report is made.

The files, the page, the Markdown text, what is printed, and the tables of the Python API all follow
`SECTIONS`. To add a section, compute its rows in `inatdet.evaluation`, add them to `Results`, and
add an entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inatdet.evaluation.average_precision import METRICS, OVERALL
from inatdet.evaluation.breakdowns import SizeRow, TrainingRow
from inatdet.evaluation.confusions import Confusion, HierarchyRow
from inatdet.evaluation.error_kinds import ErrorRow
from inatdet.evaluation.granularities import MERGE_IOU, GapRow, Table6Row
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.results import Results
from inatdet.evaluation.rows import Cell
from inatdet.evaluation.super_classes import PerClassRow, Table5Row
from inatdet.evaluation.tide import KINDS
from inatdet.report.table import Table

_SHOWN_CONFUSIONS = 20
_INTERVAL_COLUMNS = ("table", "row", "measure", "value", "std_err", "lower", "upper")


@dataclass(frozen=True)
class Figure:
    """A figure that follows a section's table.

    Attributes:
        name: what the page's links call it.
        heading: the heading.
        link: the text of the link in the page's navigation.
        note: what it shows.
        alt: what stands in for the image where it cannot be seen.
        table_file: the numbers behind it, as CSV.
        image_file: the image.
    """

    name: str
    heading: str
    link: str
    note: str
    alt: str
    table_file: str
    image_file: str


@dataclass(frozen=True)
class Section:
    """A table with what must be known to read it.

    Attributes:
        name: the name of its files, of its links, and of the attribute of a `Report`.
        heading: the heading.
        table: makes all of it; what is saved.
        note: what the numbers mean.
        link: the text of the link in the page's navigation; empty: it is not on the page.
        excerpt: makes the part that is for reading, where all of it is too much.
        in_text: whether report.md shows it; else it only names the file.
        on_screen: whether the program prints it.
        figure: what follows the table, where there are curves to draw.
        heat_map: whether the page shows Table 6 as a heat map and a chart as well.
    """

    name: str
    heading: str
    table: Callable[[Results], Table[Any]]
    note: str = ""
    link: str = ""
    excerpt: Callable[[Results], Table[Any]] | None = None
    in_text: bool = True
    on_screen: bool = False
    figure: Figure | None = None
    heat_map: bool = False

    def shown(self, results: Results) -> Table[Any]:
        """The table for reading."""
        return (self.excerpt or self.table)(results)


def table6_matrix(rows: Sequence[Table6Row]) -> Table[Any]:
    """Table 6 as in the paper: AP, one row per model, one column per granularity."""
    by_key = {row.key: row.values[METRICS.index("AP")] for row in rows}
    levels = list(dict.fromkeys(row.evaluated_on for row in rows))  # the first model has them all
    lines = dict.fromkeys((row.trained_on, row.merge) for row in rows)
    return Table(
        ("trained_on", "merge", *(f"on_{level}" for level in levels)),
        tuple(
            (
                str(trained_on),
                str(merge),
                *(by_key.get((trained_on, level, merge), math.nan) for level in levels),
            )
            for trained_on, merge in lines
        ),
    )


def cost_table(rows: Sequence[ErrorRow]) -> Table[Any]:
    """Only the cost of each kind of error."""
    columns = ("trained_on", "evaluated_on", "super_class", "images", "AP50", *KINDS)
    return Table(columns, tuple(row.cells()[: len(columns)] for row in rows))


def interval_table(results: Results) -> Table[Any]:
    """The 95% interval of each number that has one."""
    return Table(_INTERVAL_COLUMNS, tuple(_intervals(results)))


def _intervals(results: Results) -> Iterator[tuple[Cell, ...]]:
    named: list[tuple[str, tuple[str, ...], Sequence[str], Sequence[float]]] = [
        *(("table5", row.key, METRICS, row.values) for row in results.table5),
        *(("table6", row.key, METRICS, row.values) for row in results.table6),
        *(("gap", row.key, ("gap_closed",), (row.closed,)) for row in results.gaps),
    ]
    for table, key, measures, values in named:
        for measure, value in zip(measures, values):
            if isinstance(value, Estimate):
                low, high = value - value.margin, value + value.margin
                row = " ".join(map(str, key))
                yield table, row, measure, float(value), value.std_err, low, high


CURVES = Figure(
    name="curves",
    heading="Figure 6: precision and recall at IoU 0.5",
    link="Curves",
    note=(
        "One curve per super-class: the mean over its fine classes. In parentheses the area under "
        "the curve, which is AP50."
    ),
    alt="One curve per super-class",
    table_file="pr_curves.csv",
    image_file="pr_curves.png",
)

SECTIONS = (
    Section(
        "table5",
        "Table 5: the species model, by super-class",
        lambda results: Table.of(Table5Row, results.table5),
        "Percent. A super-class's row is the mean over its fine classes with ground truth; "
        f"{OVERALL} is the mean over all of them, not over the rows.",
        link="Table 5",
        on_screen=True,
        figure=CURVES,
    ),
    Section(
        "table6",
        "Table 6: training and evaluating at different granularities",
        lambda results: Table.of(Table6Row, results.table6),
        "Percent. merge says what happened to a finer model's detections when their labels were "
        "made coarser: none, nothing; nms, class-wise suppression was repeated at IoU "
        f"{MERGE_IOU}; marginal, the detector summed the probabilities of each super-class's "
        "species on its proposals and suppressed once, at the coarse level.",
        link="Table 6",
        on_screen=True,
        heat_map=True,
    ),
    Section(
        "table6_ap",
        "Table 6 in the paper's layout",
        lambda results: table6_matrix(results.table6),
        "AP in percent; one row per model and merge rule, one column per granularity.",
    ),
    Section(
        "gap",
        "Gap recovered by merging",
        lambda results: Table.of(GapRow, results.gaps),
        "A fine model's AP at a coarser level, compared with that of the model trained there. "
        "gap_closed is the share of the gap between that model and the fine model with nothing "
        "merged, in percent.",
        link="Merging",
        on_screen=True,
    ),
    Section(
        "by_training",
        "The species model, by number of training images",
        lambda results: Table.of(TrainingRow, results.by_training),
        "Percent; means over the species with that many training images, as in the paper's "
        "Figure 5.",
        link="Training images",
    ),
    Section(
        "sizes",
        "By size",
        lambda results: Table.of(SizeRow, results.sizes),
        "Percent; each model at its own granularity. COCO's sizes: small up to 32², medium up to "
        "96² square pixels, by the area in the annotations (in iNat2017, half the box).",
        link="Sizes",
    ),
    Section(
        "errors",
        "Kinds of error",
        lambda results: Table.of(ErrorRow, results.errors),
        "Each model at each granularity, nothing merged, in the images with an animal of each "
        "super-class. AP50, and by how many points it would rise if all errors of one of TIDE's "
        "kinds were fixed; these do not add up. The file also has the number of errors of each "
        "kind.",
        link="Errors",
        excerpt=lambda results: cost_table(results.errors),
    ),
    Section(
        "hierarchy",
        "Severity of misclassifications",
        lambda results: Table.of(HierarchyRow, results.hierarchy),
        "For each true box, the best-scored detection at IoU .5 or more, whatever its label: the "
        "right species, another species of the right super-class, a species of another "
        "super-class, or no detection; in percent of the boxes. hierarchical_error is the mean, "
        "over the boxes found, of the height in the taxonomy at which the answer and the truth "
        "meet, in percent of its levels: 0 the species, 100 any animal.",
        link="Severity",
    ),
    Section(
        "confusions",
        "Most frequent confusions",
        lambda results: Table.of(Confusion, results.confusions),
        f"The {_SHOWN_CONFUSIONS} most frequent; share is in percent of the species' true boxes.",
        link="Confusions",
        excerpt=lambda results: Table.of(Confusion, results.confusions[:_SHOWN_CONFUSIONS]),
    ),
    Section(
        "per_class",
        "Every species",
        lambda results: Table.of(PerClassRow, results.per_class),
        "Percent.",
        link="Species",
        in_text=False,
    ),
    Section("intervals", "95% intervals", interval_table, in_text=False),
)
"""All sections, in the order in which reports show them. One without rows is left out."""


def filled(results: Results) -> Iterator[tuple[Section, Table[Any]]]:
    """The sections that have rows in these results, each with its whole table."""
    for section in SECTIONS:
        table = section.table(results)
        if table.rows:
            yield section, table
