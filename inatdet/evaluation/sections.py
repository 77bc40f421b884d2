"""The parts of a report, in order, whatever form it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inatdet.evaluation import breakdowns, confusions, error_kinds, gap, tables
from inatdet.evaluation.benchmark import Results
from inatdet.evaluation.coco import METRICS
from inatdet.evaluation.granularity import MERGE_IOU
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.table import OVERALL, Table

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
        tables.table5(results.table5),
    )
    yield from section(
        "table6",
        "Table 6: training and evaluating at different granularities",
        "Percent. merge says what became of a finer model's detections when their labels were made "
        f"coarser: none, nothing; nms, class-wise suppression again at IoU {MERGE_IOU}; marginal, "
        "the detector summed the probabilities of each super-class' species on its proposals and "
        "suppressed once, at the coarse level.",
        tables.table6(results.table6),
    )
    yield from section(
        "table6_ap",
        "Table 6 as the paper sets it",
        "AP in percent, models down and what they were evaluated on across.",
        tables.table6_matrix(results.table6),
    )
    yield from section(
        "gap",
        "What merging wins back",
        "A fine model's AP at a coarser level against that of the model trained there. gap_closed "
        "is in percent of the gap between the latter and the fine model with nothing merged.",
        gap.gap_table(results.gaps),
    )
    yield from section(
        "by_training",
        "The species model, by the number of training images",
        "Percent; means over the species with that many training images, as in the paper's "
        "Figure 5.",
        breakdowns.training_table(results.by_training),
    )
    yield from section(
        "sizes",
        "By size",
        "Percent; each model at its own granularity. COCO's sizes: small below 32², medium below "
        "96² square pixels, by the area in the annotations (in iNat2017, half the box).",
        breakdowns.size_table(results.sizes),
    )
    yield from section(
        "errors",
        "Kinds of error",
        "Each model at each granularity, nothing merged, in the images with an animal of each "
        "super-class. "
        "AP50, and by how many points it would rise if all errors of one kind (TIDE's) were "
        "mended; these do not add up. The numbers of errors are in the file.",
        error_kinds.error_table(results.errors),
        error_kinds.cost_table(results.errors),
    )
    yield from section(
        "hierarchy",
        "How wrong the names are",
        "For each true box, the best-scored detection at IoU .5 or more, whatever its name: of the "
        "right species, of another species of the right super-class, of another super-class; or "
        "none; in percent of the boxes. hierarchical_error, over the boxes found, is the mean "
        "height in the taxonomy at which the name and the truth meet: 0 species, 50 super-class, "
        "100 animal.",
        confusions.hierarchy_table(results.hierarchy),
    )
    yield from section(
        "confusions",
        "Species taken for others",
        f"The {_SHOWN_CONFUSIONS} most frequent; share is in percent of the species' boxes.",
        confusions.confusion_table(results.confusions),
        confusions.confusion_table(results.confusions[:_SHOWN_CONFUSIONS]),
    )
    if results.per_class:
        table = tables.per_class_table(results.per_class)
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
