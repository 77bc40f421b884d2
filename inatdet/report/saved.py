"""A report as files: what all kinds of reports have in common when they are written."""

from __future__ import annotations

import abc
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from warnings import warn

from inatdet.evaluation.plausibility import DataWarning
from inatdet.files import write_text
from inatdet.report.figures import S
from inatdet.report.markdown import (
    protocol_in_markdown,
    sections_in_markdown,
    warnings_in_markdown,
)
from inatdet.report.provenance import provenance, write_json
from inatdet.report.rendering import Gallery, rendered, section_on_page
from inatdet.report.section import Section, Sectioned, optional_files, write_sections
from inatdet.result_folder import files_of_one_run


class SavedReport(Sectioned[S], abc.ABC):
    """A report of sections that is written as tables, figures, Markdown, JSON and a page.

    Attributes:
        name: what its text, its JSON and its page are called, without ending.
        title: its heading.
        more_files: the names of files that only this kind of report has.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    more_files: ClassVar[frozenset[str]] = frozenset()

    warnings: Sequence[DataWarning]
    command: str

    @abc.abstractmethod
    def summary(self) -> str:
        """What it is about, in a sentence."""

    @abc.abstractmethod
    def protocol(self) -> list[tuple[str, str]]:
        """What was measured and how, as names and values."""

    @abc.abstractmethod
    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes, for its JSON."""

    def numbers(self) -> object:
        """All numbers, for its JSON."""
        return self.results

    def remarks(self) -> Sequence[str]:
        """Paragraphs that precede the sections where they are text."""
        return ()

    def gallery_on_page(self) -> Gallery | None:
        """The pictures that the page ends with, if any."""
        return None

    def section_on_page(self, section: Section[S]) -> dict[str, Any]:
        """What the page shows of a section, as plain values."""
        return section_on_page(section, self.results)

    @property
    def page_file(self) -> str:
        """The name of the page's file."""
        return f"{self.name}.html"

    def save(
        self,
        output_dir: str | os.PathLike[str],
        latex: bool = False,
        notify: Callable[[str], None] = warn,
        *,
        beside: Sequence[SavedReport[Any]] = (),
    ) -> None:
        """Writes every file of the report, all at once.

        Args:
            output_dir: the folder. What an earlier report left there is replaced, and removed
                where this one does not have it; other files stay.
            latex: whether to write each table for LaTeX as well.
            notify: called with a message if a figure cannot be drawn; all else is written.
            beside: reports in the same folder that the page leads to.

        Raises:
            InputError: another process is writing a report there.
            OSError: the report cannot be written there; an earlier one stays as it was.
        """
        with self._written(output_dir, latex, notify, beside):
            pass

    @contextlib.contextmanager
    def _written(
        self,
        output_dir: str | os.PathLike[str],
        latex: bool,
        notify: Callable[[str], None],
        beside: Sequence[SavedReport[Any]],
    ) -> Iterator[pathlib.Path]:
        """Writes the files, and yields the folder for those that only this kind of report has."""
        known = {f"{self.name}.md", f"{self.name}.json", self.page_file, *self.more_files}
        with files_of_one_run(output_dir, known | optional_files(self.sections)) as folder:
            write_sections(self.sections, self.results, folder, latex=latex, notify=notify)
            write_json(folder / f"{self.name}.json", self._record())
            write_text(folder / f"{self.name}.md", self.markdown())
            write_text(folder / self.page_file, self.page(beside))
            yield folder

    def _record(self) -> dict[str, object]:
        return {
            **provenance(self.command),
            **self.sources(),
            "warnings": self.warnings,
            "protocol": dict(self.protocol()),
            "results": self.numbers(),
        }

    def markdown(self) -> str:
        """The whole report as Markdown."""
        parts = [f"# {self.title}", "", self.summary(), ""]
        parts += warnings_in_markdown(self.warnings)
        parts += [line for remark in self.remarks() for line in (remark, "")]
        parts += sections_in_markdown(self.sections, self.results)
        parts += protocol_in_markdown(self.protocol())
        return "\n".join(parts)

    def page(self, beside: Sequence[SavedReport[Any]] = ()) -> str:
        """The report as one HTML file.

        Args:
            beside: reports in the same folder that it leads to.
        """
        return rendered(
            title=self.title,
            summary=self.summary(),
            sections=[self.section_on_page(section) for section, _ in self.filled],
            protocol=self.protocol(),
            warnings=self.warnings,
            gallery=self.gallery_on_page(),
            beside=[(other.page_file, other.title) for other in beside],
        )
