"""The reliability diagrams of detectors: precision against score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inatdet.evaluation.calibration import FEW, CalibrationRow
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.results import Results
from inatdet.report import reliability
from inatdet.report.figures import Figure
from inatdet.report.reliability import PAGE_PART, Diagram, Words, bins_table, draw, on_page
from inatdet.report.table import Table

COLUMNS = (
    "trained_on", "evaluated_on", "merge", "score_from", "score_to", "detections", "mean_score",
    "precision",
)  # fmt: skip

_WORDS = Words("mean score", "precision", "Model, merge rule")


def diagrams_of(rows: Sequence[CalibrationRow]) -> tuple[Diagram, ...]:
    """The diagram of each level that has detections, from fine to coarse."""
    return reliability.diagrams_of(
        [(str(row.trained_on), str(row.merge), row.evaluated_on, row.calibration) for row in rows],
        [str(merge) for merge in Merge],
    )


def table_of(rows: Sequence[CalibrationRow]) -> Table[Any]:
    """The bins as a table, all of each row's."""
    return bins_table(COLUMNS, ((tuple(map(str, row.key)), row.calibration) for row in rows))


RELIABILITY: Figure[Results] = Figure(
    name="reliability",
    heading="Reliability diagrams",
    link="",
    note=(
        "One diagram per level, one point per bin of scores: how often its detections are right "
        "against their mean score. On the dashed line, scores are probabilities; below it, the "
        "model is over-confident, above it under-confident. Bars are 95% intervals, where there "
        f"are any; hollow points stand for fewer than {FEW} detections. reliability.csv has the "
        "number of detections of each point; on the page it is shown when the point is pointed at."
    ),
    alt="Precision against mean score, one diagram per level, one line per model and merge rule",
    image_file="reliability.png",
    exists=lambda results: bool(diagrams_of(results.calibration)),
    draw=lambda results: draw(diagrams_of(results.calibration), _WORDS),
    on_page=lambda results: on_page(diagrams_of(results.calibration), _WORDS),
    page_part=PAGE_PART,
    table_file="reliability.csv",
    table=lambda results: table_of(results.calibration),
)
