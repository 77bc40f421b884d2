"""The statistics of a dataset, as tables, figures, page and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from warnings import warn

from inatdet.data.annotations import Annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.datasets.statistics.doubts import doubts
from inatdet.datasets.statistics.results import Statistics, count
from inatdet.datasets.statistics.species import SuperClassRow
from inatdet.datasets.statistics.splits import TRAIN, VAL, Dataset, Split, join
from inatdet.evaluation.plausibility import DataWarning, told
from inatdet.files import write_text
from inatdet.report.markdown import (
    protocol_in_markdown,
    sections_in_markdown,
    warnings_in_markdown,
)
from inatdet.report.provenance import FORMAT_VERSION, listed, package_versions, source, write_json
from inatdet.report.rendering import rendered, section_on_page
from inatdet.report.section import Section, Sectioned, optional_files, write_sections
from inatdet.report.statistics_figures import SIZES, SPECIES
from inatdet.report.statistics_sections import SECTIONS
from inatdet.report.table import Table
from inatdet.result_folder import files_of_one_run
from inatdet.version import VERSION

if TYPE_CHECKING:
    import matplotlib.figure

TEXT_FILE = "statistics.md"
PAGE_FILE = "statistics.html"
RECORD_FILE = "statistics.json"

_TITLE = "Dataset statistics"


@dataclass(frozen=True, eq=False, repr=False)
class StatisticsReport(Sectioned[Statistics]):
    """What `inatdet.statistics` returns. Printed, it gives the tables that fit on a screen.

    Every section is an attribute with its `Table`: `table2`, `table2_paper`, `table1`, `spread`,
    `relative_sizes`, `areas`, `boxes_per_image`, `section3_paper`, `ranks`, `observers`, `species`.
    A table is empty where its numbers are not known: those of boxes without boxes, `observers`
    without observers, `table1` without training images, `table2_paper` and `section3_paper` except
    on iNat2017.

    The keys of `table2`, `relative_sizes` and `areas` are super-classes or `Total`, those of
    `spread` and `boxes_per_image` are `train` and `val`, those of `ranks` are ranks, and those of
    `species` are ids of categories: `report.table2["Aves"].boxes`, `report.spread["train"].most`.

    Attributes:
        results: the numbers behind the tables.
        dataset: the splits that they come from.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    sections: ClassVar[tuple[Section[Statistics], ...]] = SECTIONS

    results: Statistics
    dataset: Dataset
    warnings: Sequence[DataWarning] = ()
    command: str = ""

    @property
    def table2(self) -> Table[SuperClassRow]:
        """Table 2; `table2["Aves"].train_images` is one number, `table2["Total"]` a sum."""
        return Table.of(SuperClassRow, self.results.super_classes)

    def plot_species(self) -> matplotlib.figure.Figure:
        """Draws Figure 2, images per species on a logarithmic scale.

        Returns:
            A Matplotlib figure. A notebook that has imported `matplotlib.pyplot` shows it;
            `savefig` saves it.
        """
        return SPECIES.draw(self.results)

    def plot_sizes(self) -> matplotlib.figure.Figure:
        """Draws Figure 4, relative sizes of boxes by super-class.

        Returns:
            A Matplotlib figure, as `plot_species` does. Without boxes it has no lines.
        """
        return SIZES.draw(self.results)

    def save(
        self,
        output_dir: str | os.PathLike[str],
        latex: bool = False,
        notify: Callable[[str], None] = warn,
    ) -> None:
        """Writes every file of the report, all at once.

        Args:
            output_dir: the folder. What an earlier report left there is replaced, and removed
                where this one does not have it; other files stay.
            latex: whether to write each table for LaTeX as well.
            notify: called with a message if a figure cannot be drawn; all else is written.

        Raises:
            InputError: another process is writing a report there.
            OSError: the report cannot be written there; an earlier one stays as it was.
        """
        known = {TEXT_FILE, PAGE_FILE, RECORD_FILE} | optional_files(SECTIONS)
        with files_of_one_run(output_dir, known) as folder:
            write_sections(SECTIONS, self.results, folder, latex=latex, notify=notify)
            write_json(folder / RECORD_FILE, self._record())
            write_text(folder / TEXT_FILE, self.markdown())
            write_text(folder / PAGE_FILE, self.page())

    def markdown(self) -> str:
        """The whole report as Markdown."""
        parts = [f"# {_TITLE}", "", self.summary(), ""]
        parts += warnings_in_markdown(self.warnings)
        parts += sections_in_markdown(SECTIONS, self.results)
        parts += protocol_in_markdown(self.protocol())
        return "\n".join(parts)

    def page(self) -> str:
        """The report as one HTML file."""
        return rendered(
            title=_TITLE,
            summary=self.summary(),
            sections=[section_on_page(section, self.results) for section, _ in self.filled],
            protocol=self.protocol(),
            warnings=self.warnings,
        )

    def summary(self) -> str:
        """The size of the dataset, in a sentence."""
        total = self.results.super_classes[-1]
        splits = " and ".join(f"{row.images:,} of {row.split}" for row in self.results.spread)
        boxes = "" if total.boxes is None else f"; {total.boxes:,} boxes"
        supers = len(self.results.super_classes) - 1
        return (
            f"Images: {splits}{boxes}; {total.classes:,} species in {supers:,} "
            f"super-class{'es' * (supers != 1)}."
        )

    def protocol(self) -> list[tuple[str, str]]:
        """What was counted and how, as names and values."""
        results = self.results
        return [
            *self._files(),
            *((f"{name}, bad entries left out", text) for name, text in self._left_out()),
            *(
                (f"images of {split} that show no known species", f"{number:,}, not counted")
                for split, number in results.without_species.items()
                if number
            ),
            ("categories without an image or a box", f"{results.listed_only:,}, not counted"),
            ("areas", self._areas()),
            package_versions(),
            ("command", self.command or "none, computed from Python"),
        ]

    def _files(self) -> Iterator[tuple[str, str]]:
        for part in self.dataset.splits:
            split = part.split
            if split.labels is not None:
                yield f"labels of {split.name}", source(split.labels.path, split.labels.sha256)
            if split.boxes is not None:
                yield f"boxes of {split.name}", source(split.boxes.path, split.boxes.sha256)
            if split.observers:
                yield f"observers of {split.name}", f"of {len(split.observers):,} images"

    def _left_out(self) -> Iterator[tuple[str, str]]:
        for part in self.dataset.splits:
            for file in part.split.files:
                if file.skipped:
                    yield file.path, listed(file.skipped)

    def _areas(self) -> str:
        text = "half of each box, as the paper has them"
        if self.results.other_areas:
            text += f"; {self.results.other_areas:,} boxes have another area in their file"
        if self.results.crowds:
            text += f"; {self.results.crowds:,} boxes around a crowd count as one box each"
        return text

    def _record(self) -> dict[str, object]:
        return {
            "format_version": FORMAT_VERSION,
            "inatdet_version": VERSION,
            "command": self.command,
            "files": [
                {"split": part.split.name, "path": file.path, "sha256": file.sha256 or None}
                for part in self.dataset.splits
                for file in part.split.files
            ],
            "warnings": self.warnings,
            "protocol": dict(self.protocol()),
            "results": self.results,
        }


def statistics(
    train: Annotations | None = None,
    val: Annotations | None = None,
    *,
    train_labels: ImageLabels | None = None,
    val_labels: ImageLabels | None = None,
    train_observers: Mapping[int, Hashable] | None = None,
    val_observers: Mapping[int, Hashable] | None = None,
    strict: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    command: str = "",
) -> StatisticsReport:
    """Counts the statistics of a dataset: Tables 1 and 2, Figures 2 and 4, Section 3.3.

    Any of the files will do, and what they do not say is left out. Images are counted by their
    labels where these are given, otherwise by their boxes.

    Args:
        train: the boxes of the training images, from `read_annotations`.
        val: those of the validation images.
        train_labels: what each training image shows, from `read_image_labels`; the files for
            classification list more images than those with boxes do.
        val_labels: what each validation image shows.
        train_observers: who took each training image, by image id, from `read_observers`.
        val_observers: who took each validation image.
        strict: whether anything that looks wrong with the files is an error instead of a warning.
        notify: called with each warning.
        command: the command line, for the report's record of where its numbers come from.

    Returns:
        The tables, the figures, and `save`, which writes the files.

    Raises:
        InputError: no image shows a known species, the files contradict each other about a
            category, or something looks wrong and `strict` is set.

    Example:
        >>> report = inatdet.statistics(inatdet.read_annotations("val.json"))
        >>> report.table1
        dataset       train_images  classes  imbalance
        this dataset             4        3        2.0
        >>> report.table2["Aves"].train_boxes
        3
        >>> report.save("statistics")
    """
    dataset = join(
        [
            Split(TRAIN, train, train_labels, train_observers or {}),
            Split(VAL, val, val_labels, val_observers or {}),
        ]
    )
    found = tuple(DataWarning(*doubt) for doubt in doubts(dataset))
    warnings = told(found, strict=strict, notify=notify)
    return StatisticsReport(count(dataset), dataset, warnings, command)
