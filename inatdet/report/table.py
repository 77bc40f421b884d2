"""A table: on a screen, in a notebook, and as CSV, Markdown, LaTeX or pandas."""

from __future__ import annotations

import csv
import html
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import numpy as np

from inatdet.data.rows import TOTAL
from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.rows import Cell, Row
from inatdet.files import write_text
from inatdet.report.text import in_csv, in_latex, in_markdown, one_line, shortened, width

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=Row)

SUMMARIES = frozenset({OVERALL, TOTAL})
"""What the rows are called that sum up those above them."""

SUMMARIES_WITHIN = 3
"""In which of its first cells a row says that it sums up others."""

_LONGEST_ON_SCREEN = 60  # characters of a cell


@dataclass(frozen=True, repr=False)
class Table(Generic[R]):
    """Rows of cells under columns.

    `str` and `repr` give aligned text, with one decimal as in the paper; a notebook shows an HTML
    table. Length and iteration are those of the rows of cells. `table[key]` is the record behind a
    row, with its measures as attributes.

    Attributes:
        columns: the names of the columns.
        rows: one cell per column each; numbers in full precision, NaN for what does not exist.
        records: what the rows were made from; empty for a table made of plain cells.

    Example:
        >>> table = inatdet.Table(("size", "AP"), (("small", 12.345), ("large", 67.8)))
        >>> table
        size     AP
        small  12.3
        large  67.8
        >>> print(table.to_csv(), end="")
        size,AP
        small,12.345
        large,67.8
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    records: tuple[R, ...] = ()

    @classmethod
    def of(cls, kind: type[R], records: Sequence[R]) -> Table[R]:
        """The table of some records.

        Args:
            kind: the class of the records, which has the columns.
            records: one per row.
        """
        return cls(kind.columns, tuple(record.cells() for record in records), tuple(records))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Cell, ...]]:
        return iter(self.rows)

    def __getitem__(self, key: str | tuple[str, ...]) -> R:
        """The record with a key, such as `"Aves"` in Table 5.

        Raises:
            KeyError: there is none; the message lists the keys.
        """
        wanted = (key,) if isinstance(key, str) else tuple(key)
        for record in self.records:
            if record.key == wanted:
                return record
        keys = ", ".join(repr(tuple(map(str, record.key))) for record in self.records[:20])
        raise KeyError(f"{tuple(map(str, wanted))} is not a row of this table; it has {keys}")

    def __str__(self) -> str:
        lines = [self.columns, *self._printed(lambda text: shortened(text, _LONGEST_ON_SCREEN))]
        widths = [max(map(width, column)) for column in zip(*lines)]

        def aligned(cell: str, columns: int, text: bool) -> str:
            blanks = " " * (columns - width(cell))
            return cell + blanks if text else blanks + cell

        return "\n".join(
            "  ".join(map(aligned, line, widths, self.text_columns())).rstrip() for line in lines
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as notebooks show it."""
        sides = ["left" if text else "right" for text in self.text_columns()]

        def line(tag: str, cells: Sequence[str]) -> str:
            parts = (
                f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
                for cell, side in zip(cells, sides)
            )
            return f"<tr>{''.join(parts)}</tr>"

        body = "\n".join(line("td", row) for row in self._printed(one_line))
        head = line("th", self.columns)
        return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def _printed(self, shown: Callable[[str], str]) -> Iterator[tuple[str, ...]]:
        """The rows as text; `shown` makes that of a cell."""
        return (tuple(shown(printed(cell)) for cell in row) for row in self.rows)

    def text_columns(self) -> list[bool]:
        """Which columns hold text, which is aligned to the left; numbers are not."""
        first = self.rows[0] if self.rows else ("",) * len(self.columns)
        return [isinstance(cell, str) for cell in first]

    def markdown(self) -> str:
        """The table in Markdown, with one decimal."""
        lines = [self.columns, ["---" if text else "---:" for text in self.text_columns()]]
        lines += self._printed(in_markdown)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def latex(self) -> str:
        """The table as a LaTeX `tabular` with booktabs rules, with one decimal.

        A rule precedes the last row if that sums up the others, as in the paper.
        """
        lines = [f"{' & '.join(row)} \\\\" for row in self._printed(in_latex)]
        if len(lines) > 1 and not SUMMARIES.isdisjoint(self.rows[-1][:SUMMARIES_WITHIN]):
            lines.insert(-1, "\\midrule")
        sides = "".join("l" if text else "r" for text in self.text_columns())
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                f"\\begin{{tabular}}{{{sides}}}",
                "\\toprule",
                f"{' & '.join(map(in_latex, self.columns))} \\\\",
                "\\midrule",
                *lines,
                "\\bottomrule",
                "\\end{tabular}",
                "",
            ]
        )

    @overload
    def to_csv(self) -> str: ...

    @overload
    def to_csv(self, path: str | os.PathLike[str]) -> None: ...

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The table as CSV, numbers in full precision; what does not exist is left empty.

        Text that a spreadsheet would take for a formula, as it begins with =, +, - or @, has an
        apostrophe before it.

        Args:
            path: the file to write; without it, the text is returned.

        Returns:
            The text, or None if it went to a file.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(map(_exact, row) for row in self.rows)
        if path is None:
            return text.getvalue()
        write_text(path, text.getvalue())
        return None

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas DataFrame, numbers in full precision.

        Raises:
            ImportError: pandas is not installed; this package does not install it.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_pandas() needs pandas, which is not installed; run: pip install pandas"
            ) from error
        plain = [[float(c) if isinstance(c, float) else c for c in row] for row in self.rows]
        return pd.DataFrame(plain, columns=list(self.columns))


def printed(cell: Cell) -> str:
    """A cell as the paper prints it: one decimal, a dash for what does not exist.

    An estimate is followed by the margin of its 95% interval.
    """
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else cell
    if np.isnan(cell):
        return "-"
    if isinstance(cell, Estimate) and not np.isnan(cell.margin):
        return f"{cell:.1f} ± {cell.margin:.1f}"
    return f"{cell:.1f}"


def _exact(cell: Cell) -> Cell:
    """A cell as CSV has it."""
    if isinstance(cell, str):
        return in_csv(cell)
    return "" if isinstance(cell, float) and np.isnan(cell) else cell
