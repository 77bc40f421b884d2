"""The figure of the study: what each change is worth, beside the gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.granularity_gap.effects import GAP, Effect
from inatdet.report.figures import blank

if TYPE_CHECKING:
    import matplotlib.figure

_GAP_COLOR, _CERTAIN, _OPEN = "#E69F00", "#0072B2", "0.55"


def draw(rows: Sequence[Effect]) -> matplotlib.figure.Figure:
    """One diagram per level at which there is a gap: effects with their 95% intervals.

    Args:
        rows: of `effects.all_effects`.
    """
    levels = list(dict.fromkeys(row.level for row in rows if row.name == GAP))
    names = list(dict.fromkeys(row.name for row in rows if row.level in levels and row.name != GAP))
    figure = blank(2.6 + 3.4 * max(len(levels), 1), 1.4 + 0.32 * len(names))
    diagrams = figure.subplots(1, max(len(levels), 1), sharey=True, squeeze=False)[0]
    for axes, level in zip(diagrams, levels):
        of_level = {row.name: row for row in rows if row.level is level}
        gap = of_level[GAP].effect
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.axvline(gap.value, color=_GAP_COLOR)
        axes.axvspan(
            gap.value - gap.margin, gap.value + gap.margin, color=_GAP_COLOR, alpha=0.18, lw=0
        )
        for place, name in enumerate(names):
            row = of_level.get(name)
            if row is None:
                continue
            is_certain = row.verdict == "significant"
            color = _CERTAIN if is_certain else _OPEN
            axes.errorbar(
                row.effect.value,
                place,
                xerr=row.effect.margin,
                color=color,
                marker="o",
                markerfacecolor=color if is_certain else "white",
                markersize=5,
                capsize=2.5,
                linewidth=1.2,
            )
        axes.set_title(f"{level} level: gap {gap.value:.1f} ± {gap.margin:.1f}", fontsize=10)
        axes.set_xlabel("AP, percent points; filled: significant")
        axes.grid(axis="x", color="0.92")
    diagrams[0].set_yticks(range(len(names)), names)
    diagrams[0].invert_yaxis()
    return figure
