"""The statistics of a dataset, as tables, figures, page and files."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from inatdet.data.annotations import Annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.datasets.statistics.doubts import doubts
from inatdet.datasets.statistics.results import Statistics, count
from inatdet.datasets.statistics.species import SuperClassRow
from inatdet.datasets.statistics.splits import TRAIN, VAL, Dataset, Split, join
from inatdet.evaluation.plausibility import DataWarning, told
from inatdet.report.provenance import listed, package_versions, source
from inatdet.report.saved import SavedReport
from inatdet.report.section import Section
from inatdet.report.statistics_figures import SIZES, SPECIES
from inatdet.report.statistics_sections import SECTIONS
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True, eq=False, repr=False)
class StatisticsReport(SavedReport[Statistics]):
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

    name: ClassVar[str] = "statistics"
    title: ClassVar[str] = "Dataset statistics"
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

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        return {
            "files": [
                {"split": part.split.name, "path": file.path, "sha256": file.sha256 or None}
                for part in self.dataset.splits
                for file in part.split.files
            ]
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
