"""The report on classifiers: its tables, its figures, and what its files hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from inatdet.evaluation.classification.accuracy import Table3Row
from inatdet.evaluation.classification.results import Results
from inatdet.evaluation.classification.super_classes import Table4Row
from inatdet.evaluation.plausibility import DataWarning
from inatdet.report.classification.figures import FIGURE_5, LADDER, RELIABILITY
from inatdet.report.classification.gallery import ClassPicture, gallery_of
from inatdet.report.classification.given import Given
from inatdet.report.classification.protocol import described
from inatdet.report.classification.sections import SECTIONS
from inatdet.report.rendering import Gallery
from inatdet.report.saved import SavedReport
from inatdet.report.section import Section
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True, eq=False, repr=False)
class ClassificationReport(SavedReport[Results]):
    """What `inatdet.evaluate_predictions` returns. Printed, it gives the most important tables.

    Every section is an attribute with its `Table`: `table3`, `table3_paper`, `table4`,
    `table4_paper`, `figure5`, `frequency`, `ladder`, `mistakes`, `confusions`, `calibration`,
    `comparisons`, `coverage`, `left_out`, `per_class`, `intervals`. A table that these predictions
    do not allow is empty, and `left_out` says why: `figure5` and `frequency` without training
    labels, `calibration` without probabilities, `comparisons` of a single model, `table4` without a
    species model, `table4_paper` except on iNat2017.

    The first part of a key is the model. The second is the split in `table3` and `coverage`, the
    super-class in `table4`, the bin in `figure5` and `frequency`, the level in `calibration` and
    `ladder`, where the rule follows, and the category's id in `per_class`:
    `report.table3["inception_v3", "val"].top5`, `report.table4["inception_v3", "Aves"].top1`,
    `report.ladder["inception_v3", "genus", "mapped"].top1`,
    `report.mistakes["inception_v3"].severity`.

    Attributes:
        results: the numbers behind the tables.
        given: the labels and predictions that they come from.
        gallery: the pictures on the page.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    name: ClassVar[str] = "classification"
    title: ClassVar[str] = "Classification results"
    sections: ClassVar[tuple[Section[Results], ...]] = SECTIONS

    results: Results
    given: Given
    gallery: Sequence[ClassPicture] = ()
    warnings: Sequence[DataWarning] = ()
    command: str = ""

    @property
    def table3(self) -> Table[Table3Row]:
        """Every model on every split; `table3["inception_v3", "val"].top5` is one number."""
        return Table.of(Table3Row, self.results.table3)

    @property
    def table4(self) -> Table[Table4Row]:
        """Every species model by super-class; `table4["inception_v3", "Aves"].top1` is a number."""
        return Table.of(Table4Row, self.results.table4)

    def plot_figure5(self) -> matplotlib.figure.Figure:
        """Draws Figure 5, box plots of accuracy by number of training images, one per model.

        Returns:
            A Matplotlib figure. A notebook that has imported `matplotlib.pyplot` shows it;
            `savefig` saves it. Without training labels it has no boxes.
        """
        return FIGURE_5.draw(self.results)

    def plot_ladder(self) -> matplotlib.figure.Figure:
        """Draws the ladder, top-1 accuracy against level from fine to coarse.

        Returns:
            A Matplotlib figure, as `plot_figure5` does.
        """
        return LADDER.draw(self.results)

    def plot_calibration(self) -> matplotlib.figure.Figure:
        """Draws the reliability diagrams, accuracy against confidence, one diagram per level.

        Returns:
            A Matplotlib figure, as `plot_figure5` does. Without probabilities it has no lines.
        """
        return RELIABILITY.draw(self.results)

    def summary(self) -> str:
        """What was evaluated, in a sentence."""
        images = " and ".join(
            f"{len(truth):,} images of {split}" for split, truth in self.given.truths.items()
        )
        return f"{images}; models: {', '.join(self.results.models)}."

    def remarks(self) -> list[str]:
        """What has to be known to read the numbers, in paragraphs."""
        if not self.results.resamples:
            return []
        return [
            "± is the margin of the 95% interval for other samples of as many images, from "
            f"{self.results.resamples} random halves of these. It does not cover training the "
            "models again."
        ]

    def protocol(self) -> list[tuple[str, str]]:
        """What was measured and how, as names and values."""
        return described(self.results, self.given, self.command)

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        return self.given.sources()

    def numbers(self) -> object:
        """All numbers, for its JSON; the label spaces are in the protocol."""
        names = (field.name for field in dataclasses.fields(self.results))
        return {name: getattr(self.results, name) for name in names if name != "taxonomy"}

    def gallery_on_page(self) -> Gallery | None:
        """The pictures that the page ends with, if any."""
        return gallery_of(self.gallery)
