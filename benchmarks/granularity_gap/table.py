"""The tables of the study."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.granularity_gap.effects import Effect, Numbers, less
from benchmarks.granularity_gap.measures import AP, ECE
from benchmarks.granularity_gap.steps import OWN
from benchmarks.granularity_gap.study import Reading
from inatdet.evaluation.proposals import ALL_SIZES, MOST
from inatdet.evaluation.runs import OverRuns, holm
from inatdet.report.table import Table

COLUMNS = (
    "level", "variant", "cause", "runs", "AP", "AP_lower", "AP_upper",
    "effect", "effect_lower", "effect_upper", "share", "share_lower", "share_upper",
    "left", "left_lower", "left_upper", "left_of_both", "left_of_both_lower", "left_of_both_upper",
    "p", "p_adjusted", "verdict",
)  # fmt: skip


def table_of(rows: Sequence[Effect]) -> Table:
    """All rows in full, as they are saved."""
    return Table(
        COLUMNS,
        tuple(
            (
                str(row.level),
                row.name,
                row.cause,
                len(row.seeds),
                *_interval(row.value),
                *_interval(row.effect),
                *_interval(row.share),
                *_interval(row.left),
                *_interval(row.of_both),
                row.effect.p_value if len(row.seeds) > 1 else math.nan,
                row.adjusted,
                row.verdict,
            )
            for row in rows
        ),
    )


def short_table_of(rows: Sequence[Effect]) -> Table:
    """The same for reading."""
    return Table(
        (
            *("level", "variant", "cause", "runs", "AP", "effect"),
            *("share of the gap", "left", "of both", "p", "verdict"),
        ),
        tuple(
            (
                str(row.level),
                row.name,
                row.cause or "-",
                len(row.seeds),
                shown(row.value),
                shown(row.effect, "+.1f"),
                "-" if row.share is None else f"{shown(row.share, '.0f')}%",
                *("-" if one is None else shown(one, "+.1f") for one in (row.left, row.of_both)),
                _p_in_words(row),
                row.verdict,
            )
            for row in rows
        ),
    )


def shown(number: OverRuns, form: str = ".1f") -> str:
    """`12.3 ± 1.2`."""
    return f"{number.value:{form}} ± {number.margin:{form.lstrip('+')}}"


def _interval(number: OverRuns | None) -> tuple[float, float, float]:
    if number is None:
        return math.nan, math.nan, math.nan
    return number.value, number.value - number.margin, number.value + number.margin


def _p_in_words(row: Effect) -> str:
    p = row.effect.p_value if row.is_gap else row.adjusted
    if len(row.seeds) < 2 or math.isnan(p):
        return "-"
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def proposal_table(numbers: Numbers) -> Table:
    """The recall of each baseline's proposals, and how it differs from the fine model's.

    P-values are adjusted for all differences in the table.
    """
    study = numbers.study
    models = [str(study.fine), *map(str, study.coarse)]
    sizes = dict.fromkeys(
        size for measures in numbers.runs.values() for _, size, _ in measures.proposals
    )
    rows, p_values = [], []
    for measure in ("AR50", "AR"):
        for size in sizes:
            for most in MOST:
                fine = numbers.recall(models[0], most, size, measure)
                for model in models:
                    own = numbers.recall(model, most, size, measure)
                    by_seed = less(own, fine)
                    if not by_seed or np.isnan(own[min(by_seed)][0]):
                        continue
                    value = numbers.over_runs(own, by_seed)
                    difference = numbers.over_runs(by_seed)
                    is_tested = model != models[0] and len(by_seed) > 1 and size == ALL_SIZES
                    p_values.append(difference.p_value if is_tested else math.nan)
                    rows.append(
                        (measure, size, str(most), model, len(by_seed), *_interval(value),
                         *_interval(None if model == models[0] else difference))
                    )  # fmt: skip
    return Table(
        ("measure", "size", "most", "trained_on", "runs", "recall", "recall_lower",
         "recall_upper", "difference", "difference_lower", "difference_upper", "p_adjusted"),
        tuple((*row, p) for row, p in zip(rows, holm(p_values))),
    )  # fmt: skip


def readings_table(numbers: Numbers) -> Table:
    """AP and the expected calibration error of each training at each level, as it is read."""
    rows = []
    for model, (own, _) in numbers.study.models.items():
        for level in numbers.levels():
            for reading in Reading:
                if level is own and reading is not Reading.NONE:
                    continue
                values = [numbers.of(model, OWN, reading, level, name) for name in (AP, ECE)]
                if any(values):
                    cells = [shown(numbers.over_runs(one)) if one else "-" for one in values]
                    runs = max(map(len, values))
                    rows.append((model, str(level), str(reading), runs, *cells))
    return Table(("training", "level", "merge", "runs", AP, ECE), tuple(rows))
