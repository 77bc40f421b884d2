"""A table, as it is printed, saved, and set in Markdown and LaTeX."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.resampling import Estimate
from inatdet.files import atomic_path


@dataclass(frozen=True)
class Table:
    """Rows under columns; `str` gives the aligned table, with one decimal as in the paper."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(map(printed, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        words = [isinstance(cell, str) for cell in (self.rows or [("",) * len(widths)])[0]]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if word else cell.rjust(width)
                for cell, width, word in zip(line, widths, words)
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """The table in Markdown, with one decimal."""
        words = [isinstance(cell, str) for cell in (self.rows or [("",)])[0]]
        lines = [self.columns, ["---" if word else "---:" for word in words]]
        lines += [tuple(map(printed, row)) for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def latex(self) -> str:
        """The table as a LaTeX `tabular` with booktabs' rules, with one decimal.

        A line comes before the last row where that is a mean of the others, as in the paper.
        """
        words = [isinstance(cell, str) for cell in (self.rows or [("",) * len(self.columns)])[0]]
        lines = [f"{' & '.join(map(_escaped, map(printed, row)))} \\\\" for row in self.rows]
        if len(lines) > 1 and self.rows[-1][0] == OVERALL:
            lines.insert(-1, "\\midrule")
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                f"\\begin{{tabular}}{{{''.join('l' if word else 'r' for word in words)}}}",
                "\\toprule",
                f"{' & '.join(map(_escaped, self.columns))} \\\\",
                "\\midrule",
                *lines,
                "\\bottomrule",
                "\\end{tabular}",
                "",
            ]
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes CSV, numbers in full precision; a measure without any class is left empty."""
        with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(
                ["" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row]
                for row in self.rows
            )


def printed(cell: str | int | float) -> str:
    """A cell as the paper prints it: one decimal, a dash for what does not exist.

    An estimate has the margin of its 95% interval beside it.
    """
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else cell
    if np.isnan(cell):
        return "-"
    if isinstance(cell, Estimate) and not np.isnan(cell.margin):
        return f"{cell:.1f} ± {cell.margin:.1f}"
    return f"{cell:.1f}"


def _escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
    }
    return "".join(
        special.get(character, f"\\{character}" if character in "&%$#_{}" else character)
        for character in text
    )
