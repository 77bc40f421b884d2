"""What a section of a report is, and a report that consists of sections."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from inatdet.files import write_text
from inatdet.report.figures import Figure, S
from inatdet.report.table import Table


@dataclass(frozen=True)
class Section(Generic[S]):
    """A table with what must be known to read it.

    Attributes:
        name: the name of its links and of the attribute of a report, and of its files.
        heading: the heading.
        table: makes all of it; what is saved.
        note: what the numbers mean.
        link: the text of the link in the page's navigation; empty: it is not on the page.
        excerpt: makes the part that is for reading, where all of it is too much.
        in_text: whether report.md shows it; else it only names the file.
        on_screen: whether the program prints it.
        answer: what the numbers say, in a sentence above the table; empty where they say nothing.
        figure: what follows the table, where there is anything to draw.
        heat_map: whether the page shows Table 6 as a heat map and a chart as well.
        in_percent: whether numbers with a decimal are percentages, as they mostly are; the page
            draws them as bars.
        no_percent: the columns whose numbers are no percentages all the same.
        file: the name of its files, without ending, where that is another than `name`.
    """

    name: str
    heading: str
    table: Callable[[S], Table[Any]]
    note: str = ""
    link: str = ""
    excerpt: Callable[[S], Table[Any]] | None = None
    in_text: bool = True
    on_screen: bool = False
    answer: Callable[[S], str] = lambda subject: ""
    figure: Figure[S] | None = None
    heat_map: bool = False
    in_percent: bool = True
    no_percent: frozenset[str] = frozenset()
    file: str = ""

    @property
    def stem(self) -> str:
        """The name of its files, without ending."""
        return self.file or self.name

    def shown(self, subject: S) -> Table[Any]:
        """The table for reading."""
        return (self.excerpt or self.table)(subject)

    def drawn(self, subject: S) -> Figure[S] | None:
        """The figure, where there is anything to draw."""
        return self.figure if self.figure and self.figure.exists(subject) else None


def with_rows(
    sections: Sequence[Section[S]], subject: S
) -> Iterator[tuple[Section[S], Table[Any]]]:
    """The sections that have rows for this subject, each with its whole table."""
    for section in sections:
        table = section.table(subject)
        if table.rows:
            yield section, table


def write_sections(
    sections: Sequence[Section[S]],
    subject: S,
    folder: pathlib.Path,
    *,
    latex: bool,
    notify: Callable[[str], None],
) -> None:
    """Writes the tables and figures of all sections that have rows.

    Args:
        sections: of a report.
        subject: what they are about.
        folder: where to write.
        latex: whether to write each table for LaTeX as well.
        notify: called with a message if a figure cannot be drawn; all else is written.
    """
    for section, table in with_rows(sections, subject):
        table.to_csv(folder / f"{section.stem}.csv")
        if latex:
            write_text(folder / f"{section.stem}.tex", section.shown(subject).latex())
        if figure := section.drawn(subject):
            _write_figure(figure, subject, folder, notify)


def _write_figure(
    figure: Figure[S], subject: S, folder: pathlib.Path, notify: Callable[[str], None]
) -> None:
    if figure.table:
        figure.table(subject).to_csv(folder / figure.table_file)
    try:
        figure.save(subject, folder / figure.image_file)
    except (ImportError, RuntimeError, ValueError) as error:
        notify(
            f"warning: {figure.image_file} could not be drawn ({error}); check that Matplotlib "
            "works"
        )


def optional_files(sections: Sequence[Section[Any]]) -> set[str]:
    """Every file of `write_sections` that some reports have and others do not."""
    names = {f"{section.stem}{ending}" for section in sections for ending in (".csv", ".tex")}
    drawn = [section.figure for section in sections if section.figure]
    return names | {name for figure in drawn for name in figure.files}


class Sectioned(Generic[S]):
    """A report of which every section is an attribute with its `Table`.

    Printed, it gives the tables that fit on a screen.

    Attributes:
        sections: all that such a report can have, in the order in which it shows them.
        results: what their tables are made from.
    """

    sections: ClassVar[Sequence[Section[Any]]]
    results: S

    def __getattr__(self, name: str) -> Table[Any]:
        for section in self.sections:
            if section.name == name:
                return section.table(self.results)
        raise AttributeError(f"a report has no {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(section.name for section in self.sections)})

    @functools.cached_property
    def filled(self) -> tuple[tuple[Section[S], Table[Any]], ...]:
        """The sections that have rows, each with its whole table."""
        return tuple(with_rows(self.sections, self.results))

    @property
    def _on_screen(self) -> Iterator[tuple[str, Table[Any]]]:
        """The headings and tables of the sections that are printed."""
        for section, _ in self.filled:
            if section.on_screen:
                unit = " (percent)" if section.in_percent else ""
                yield f"{section.heading}{unit}", section.shown(self.results)

    def __str__(self) -> str:
        return "\n\n".join(f"{heading}\n{table}" for heading, table in self._on_screen)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same tables as notebooks show them."""
        return "\n".join(
            f"<h4>{heading}</h4>\n{table._repr_html_()}" for heading, table in self._on_screen
        )
