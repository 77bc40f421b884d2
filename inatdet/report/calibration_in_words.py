"""What calibration says, in sentences."""

from __future__ import annotations

from inatdet.evaluation.calibration import CalibrationRow
from inatdet.evaluation.granularities import Merge, Table6Row
from inatdet.evaluation.results import Results

HIGH = 50
"""From which score on, in percent, a detection is likely to be used."""


def in_words(results: Results) -> str:
    """How often the high scores of each model are right at its own level, and what is left out."""
    own = (row for row in results.calibration if row.trained_on is row.evaluated_on)
    return " ".join(filter(None, [*map(_of_model, own), left_out(results)]))


def _of_model(row: CalibrationRow) -> str:
    high = [each for each in row.calibration.bins if each.detections and each.lower >= HIGH]
    count = sum(each.detections for each in high)
    if not count:
        return f"No detection of the {row.trained_on} model has a score of {HIGH}% or more."
    scores = sum(each.detections * each.mean_score for each in high) / count
    right = sum(each.detections * each.precision for each in high) / count
    return (
        f"With scores of {HIGH}% or more, the {row.trained_on} model's detections ({count:,}) are "
        f"right in {right:.0f}% of cases, at a mean score of {scores:.0f}%."
    )


def left_out(results: Results) -> str:
    """Which models have no calibration, and why, in a sentence; empty where all have one."""
    known = {row.key for row in results.calibration}
    models = dict.fromkeys(
        f"{row.trained_on} model{_summed(row)}"
        for row in results.ladder or results.table6
        if row.key not in known
    )
    if not models:
        return ""
    return (
        f"Calibration is left out for the {' and the '.join(models)}: scores below 0 or above 1 "
        "are no probabilities."
    )


def _summed(row: Table6Row) -> str:
    return f" summed for {row.evaluated_on}" if row.merge is Merge.MARGINAL else ""
