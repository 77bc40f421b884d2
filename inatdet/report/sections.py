"""The parts of a report, in order, whatever form it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.average_precision import (
    METRICS,
    OVERALL,
)
from inatdet.evaluation.breakdowns import SIZE_COLUMNS, TRAINING_COLUMNS, SizeRow, TrainingRow
from inatdet.evaluation.confusions import (
    CONFUSION_COLUMNS,
    HIERARCHY_COLUMNS,
    Confusion,
    HierarchyRow,
)
from inatdet.evaluation.error_kinds import COLUMNS as ERROR_COLUMNS
from inatdet.evaluation.error_kinds import KINDS, ErrorRow
from inatdet.evaluation.granularities import COLUMNS as GAP_COLUMNS
from inatdet.evaluation.granularities import TABLE6_COLUMNS, GapRow, Table6Row
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.super_classes import (
    PER_CLASS_COLUMNS,
    TABLE5_COLUMNS,
    PerClassRow,
    Table5Row,
)
from inatdet.report.table import Table

if TYPE_CHECKING:
    pass

from collections.abc import Iterator

from inatdet.evaluation.granularities import MERGE_IOU
from inatdet.evaluation.results import Results

NAMES = (
    "table5", "table6", "table6_ap", "gap", "by_training", "sizes", "errors", "hierarchy",
    "confusions", "per_class", "intervals",
)  # fmt: skip
"""All that there can be; the files of a section are called after it."""

_SHOWN_CONFUSIONS = 20
_INTERVAL_COLUMNS = ("table", "row", "measure", "value", "std_err", "lower", "upper")


@dataclass(frozen=True)
class Section:
    """A table with what must be known to read it.

    Attributes:
        name: one of `NAMES`.
        title: for people.
        note: what the numbers mean.
        table: all of it, as it is saved.
        shown: as much of it as is for reading; None: nothing, it is only saved.
    """

    name: str
    title: str
    note: str
    table: Table
    shown: Table | None


def sections(results: Results) -> Iterator[Section]:
    """Those that these results fill."""

    def section(name: str, title: str, note: str, table: Table, shown: Table | None = None):
        if table.rows:
            yield Section(name, title, note, table, shown or table)

    yield from section(
        "table5",
        "Table 5: the species model, by super-class",
        "Percent. A super-class' row is the mean over its fine classes with ground truth; "
        f"{OVERALL} is the mean over all of them, not over the rows.",
        table5(results.table5),
    )
    yield from section(
        "table6",
        "Table 6: training and evaluating at different granularities",
        "Percent. merge says what became of a finer model's detections when their labels were made "
        f"coarser: none, nothing; nms, class-wise suppression again at IoU {MERGE_IOU}; marginal, "
        "the detector summed the probabilities of each super-class' species on its proposals and "
        "suppressed once, at the coarse level.",
        table6(results.table6),
    )
    yield from section(
        "table6_ap",
        "Table 6 as the paper sets it",
        "AP in percent, models down and what they were evaluated on across.",
        table6_matrix(results.table6),
    )
    yield from section(
        "gap",
        "What merging wins back",
        "A fine model's AP at a coarser level against that of the model trained there. gap_closed "
        "is in percent of the gap between the latter and the fine model with nothing merged.",
        gap_table(results.gaps),
    )
    yield from section(
        "by_training",
        "The species model, by the number of training images",
        "Percent; means over the species with that many training images, as in the paper's "
        "Figure 5.",
        training_table(results.by_training),
    )
    yield from section(
        "sizes",
        "By size",
        "Percent; each model at its own granularity. COCO's sizes: small below 32², medium below "
        "96² square pixels, by the area in the annotations (in iNat2017, half the box).",
        size_table(results.sizes),
    )
    yield from section(
        "errors",
        "Kinds of error",
        "Each model at each granularity, nothing merged, in the images with an animal of each "
        "super-class. "
        "AP50, and by how many points it would rise if all errors of one kind (TIDE's) were "
        "mended; these do not add up. The numbers of errors are in the file.",
        error_table(results.errors),
        cost_table(results.errors),
    )
    yield from section(
        "hierarchy",
        "How wrong the names are",
        "For each true box, the best-scored detection at IoU .5 or more, whatever its name: of the "
        "right species, of another species of the right super-class, of another super-class; or "
        "none; in percent of the boxes. hierarchical_error, over the boxes found, is the mean "
        "height in the taxonomy at which the name and the truth meet: 0 species, 50 super-class, "
        "100 animal.",
        hierarchy_table(results.hierarchy),
    )
    yield from section(
        "confusions",
        "Species taken for others",
        f"The {_SHOWN_CONFUSIONS} most frequent; share is in percent of the species' boxes.",
        confusion_table(results.confusions),
        confusion_table(results.confusions[:_SHOWN_CONFUSIONS]),
    )
    if results.per_class:
        table = per_class_table(results.per_class)
        yield Section("per_class", "Every species", "Percent.", table, None)
    intervals = Table(_INTERVAL_COLUMNS, tuple(_intervals(results)))
    if intervals.rows:
        yield Section("intervals", "95% intervals", "", intervals, None)


def _intervals(results: Results) -> Iterator[tuple[str | float, ...]]:
    named = (
        [("table5", row.super_class, METRICS, row.values) for row in results.table5]
        + [("table6", " ".join(map(str, row.key)), METRICS, row.values) for row in results.table6]
        + [
            ("gap", " ".join(map(str, row.key)), ("gap_closed",), [row.closed])
            for row in results.gaps
        ]
    )
    for table, row, measures, values in named:
        for measure, value in zip(measures, values):
            if isinstance(value, Estimate):
                low, high = value - value.margin, value + value.margin
                yield table, row, measure, float(value), value.std_err, low, high


def size_table(rows: Sequence[SizeRow]) -> Table:
    """The sizes as a table."""
    return Table(SIZE_COLUMNS, tuple(row.cells() for row in rows))


def training_table(rows: Sequence[TrainingRow]) -> Table:
    """The bins as a table."""
    return Table(TRAINING_COLUMNS, tuple(row.cells() for row in rows))


def per_class_table(rows: Sequence[PerClassRow]) -> Table:
    """Every species as a table."""
    return Table(PER_CLASS_COLUMNS, tuple(row.cells() for row in rows))


def table5(rows: Sequence[Table5Row]) -> Table:
    """Table 5 as a table."""
    return Table(TABLE5_COLUMNS, tuple(row.cells() for row in rows))


def table6(rows: Sequence[Table6Row]) -> Table:
    """Table 6 as a table."""
    return Table(TABLE6_COLUMNS, tuple(row.cells() for row in rows))


def table6_matrix(rows: Sequence[Table6Row]) -> Table:
    """Table 6 as the paper sets it: AP, models down and granularities across."""
    by_key = {row.key: row.values[METRICS.index("AP")] for row in rows}
    levels = [g for g in Granularity if any(row.evaluated_on is g for row in rows)]
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


def gap_table(rows: Sequence[GapRow]) -> Table:
    """The gaps as a table."""
    return Table(GAP_COLUMNS, tuple(row.cells() for row in rows))


def error_table(rows: Sequence[ErrorRow]) -> Table:
    """The errors as a table."""
    return Table(ERROR_COLUMNS, tuple(row.cells() for row in rows))


def cost_table(rows: Sequence[ErrorRow]) -> Table:
    """Only what each kind costs, for reading."""
    columns = ("trained_on", "evaluated_on", "super_class", "images", "AP50", *KINDS)
    return Table(columns, tuple(row.cells()[: len(columns)] for row in rows))


def confusion_table(rows: Sequence[Confusion]) -> Table:
    """The confusions as a table."""
    return Table(CONFUSION_COLUMNS, tuple(row.cells() for row in rows))


def hierarchy_table(rows: Sequence[HierarchyRow]) -> Table:
    """The hierarchical errors as a table."""
    return Table(HIERARCHY_COLUMNS, tuple(row.cells() for row in rows))
