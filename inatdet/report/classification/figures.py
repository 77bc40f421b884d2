"""The figures of classification: the paper's Figure 5, the ladder, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import FEW
from inatdet.evaluation.classification.guesses import Rule
from inatdet.evaluation.classification.ladder import LadderRow
from inatdet.evaluation.classification.results import Results
from inatdet.evaluation.classification.training import BoxRow
from inatdet.report import box_plots, ladder_chart, ladder_lines, reliability
from inatdet.report.box_plots import Box, Chart
from inatdet.report.figures import Figure
from inatdet.report.ladder_chart import Ladder
from inatdet.report.ladder_lines import Rung
from inatdet.report.reliability import Diagram
from inatdet.report.table import Table

_BINS_COLUMNS = (
    "model", "level", "confidence_from", "confidence_to", "images", "mean_confidence", "top1"
)  # fmt: skip
_RULES = (str(Rule.MAPPED), str(Rule.SUMMED))
_FIGURE_5 = box_plots.Words("Training images", "Top-1 accuracy of a species (percent)", "species")
_RELIABILITY = reliability.Words("mean confidence", "top-1 accuracy", "Model")


def charts_of(rows: Sequence[BoxRow]) -> list[Chart]:
    """Figure 5: one chart per model."""
    charts: dict[str, list[Box]] = {}
    for row in rows:
        box = Box(
            row.train_images,
            row.species,
            row.minimum,
            row.lower_quartile,
            row.median,
            row.upper_quartile,
            row.maximum,
            row.mean,
        )
        charts.setdefault(row.model, []).append(box)
    return [Chart(model, boxes) for model, boxes in charts.items()]


def ladder_of(results: Results) -> Ladder:
    """The ladder's figure."""
    rungs = [_rung(row) for row in _finest_first(results)]
    return Ladder(
        ladder_lines.levels_of(rungs),
        ladder_lines.lines_of(rungs, _RULES),
        {level: results.taxonomy.num_labels(level) for level in results.taxonomy.levels},
        "Top-1 accuracy",
        "Model, rule",
    )


def _finest_first(results: Results) -> list[LadderRow]:
    """The ladder's rows, those of the finest models first."""
    levels = results.taxonomy.levels
    return sorted(results.ladder, key=lambda row: levels.index(row.trained_on))


def _rung(row: LadderRow) -> Rung:
    is_start = row.rule is Rule.OWN
    rule = Rule.MAPPED if is_start else row.rule
    return Rung(row.model, str(rule), row.evaluated_on, row.top1, is_start)


def diagrams_of(results: Results) -> tuple[Diagram, ...]:
    """The reliability diagrams, one per level at which an answer can be wrong."""
    levels = results.taxonomy.levels
    several = [each for each in results.calibration if _can_be_wrong(each.evaluated_on, results)]
    rows = sorted(several, key=lambda row: levels.index(row.trained_on))
    return reliability.diagrams_of(
        [(row.model, "", row.evaluated_on, row.calibration) for row in rows], ("",)
    )


def _can_be_wrong(level: Granularity, results: Results) -> bool:
    return results.taxonomy.num_labels(level) > 1


def bins_of(results: Results) -> Table[Any]:
    """The bins of the reliability diagrams as a table."""
    rows = results.calibration
    return reliability.bins_table(
        _BINS_COLUMNS, (((row.model, str(row.evaluated_on)), row.calibration) for row in rows)
    )


FIGURE_5: Figure[Results] = Figure(
    name="figure5_drawn",
    heading="Figure 5, drawn: accuracy by number of training images",
    link="Figure 5",
    note=(
        "A box holds the middle half of the species with so many training images, by their top-1 "
        "accuracy; the line in it is the median, the point the mean, and the whiskers reach to the "
        "lowest and the highest species. The number of species stands on each box."
    ),
    alt="Box plots of top-1 accuracy per species, by number of training images",
    image_file="figure5.png",
    exists=lambda results: bool(results.by_training),
    draw=lambda results: box_plots.draw(charts_of(results.by_training), _FIGURE_5),
    on_page=lambda results: box_plots.on_page(charts_of(results.by_training), _FIGURE_5),
    page_part=box_plots.PAGE_PART,
)

LADDER: Figure[Results] = Figure(
    name="ladder_figure",
    heading="Accuracy at every rank, drawn",
    link="",
    note=(
        "One line per model and rule, from fine levels to coarse ones; in parentheses the number "
        "of labels of each level. Bars are 95% intervals, where there are any; points stand a "
        "little beside their level so that these do not hide each other."
    ),
    alt="Top-1 accuracy against level, one line per model and rule",
    image_file="classification_ladder.png",
    exists=lambda results: bool(ladder_of(results).lines),
    draw=lambda results: ladder_chart.draw(ladder_of(results)),
    on_page=lambda results: ladder_chart.on_page(ladder_of(results)),
    page_part=ladder_chart.PAGE_PART,
)

RELIABILITY: Figure[Results] = Figure(
    name="reliability",
    heading="Reliability diagrams",
    link="",
    note=(
        "One diagram per level, one point per bin of confidences: how often the best label is "
        "right against its mean probability. On the dashed line, probabilities are what they say; "
        "below it, the model is over-confident, above it under-confident. Bars are 95% intervals, "
        f"where there are any; hollow points stand for fewer than {FEW} images."
    ),
    alt="Top-1 accuracy against mean confidence, one diagram per level, one line per model",
    image_file="classification_reliability.png",
    exists=lambda results: bool(diagrams_of(results)),
    draw=lambda results: reliability.draw(diagrams_of(results), _RELIABILITY),
    on_page=lambda results: reliability.on_page(diagrams_of(results), _RELIABILITY),
    page_part=reliability.PAGE_PART,
    table_file="classification_reliability.csv",
    table=bins_of,
)
