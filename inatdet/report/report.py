"""The report: all numbers of an evaluation, as tables, figures, page and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from warnings import warn

from inatdet.data.annotations import Annotations
from inatdet.data.counts import TrainingCounts
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import results as numbers
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.fixed_limits import fixed_warnings
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.evaluation.granularities import Table6Row
from inatdet.evaluation.label_errors import MOST_LISTED
from inatdet.evaluation.plausibility import DataWarning, data_warnings, told
from inatdet.evaluation.protocol import Prepared, prepare
from inatdet.evaluation.results import Results
from inatdet.evaluation.super_classes import Table5Row
from inatdet.report.calibration import RELIABILITY
from inatdet.report.curves import CURVES
from inatdet.report.fiftyone import FIFTYONE_FILE, write_fiftyone
from inatdet.report.gallery import Choose, Picture, check_images_dir, pictures, warnings_of
from inatdet.report.label_pictures import LabelPicture, label_pictures
from inatdet.report.ladder import LADDER
from inatdet.report.page import gallery_of, part_on_page
from inatdet.report.protocol import described, images_in_words
from inatdet.report.provenance import sources_of
from inatdet.report.rendering import Gallery
from inatdet.report.saved import SavedReport
from inatdet.report.section import Section
from inatdet.report.sections import SECTIONS
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure

PICTURES = 8
"""How many pictures of each choice the page shows."""


@dataclass(frozen=True, eq=False, repr=False)
class Report(SavedReport[Results]):
    """What `inatdet.evaluate` returns. Printed, it gives the tables that fit on a screen.

    Every section of the report is an attribute with its `Table`: `table5`, `table5_paper`,
    `table6`, `table6_ap`, `table6_paper`, `gap`, `fixed`, `ladder`, `by_training`, `frequency`,
    `calibration`, `sizes`, `proposals`, `errors`, `hierarchy`, `ancestors`, `confusions`, `unseen`,
    `naming`, `likely_wrong_labels`, `likely_misplaced_boxes`, `likely_missing_boxes`, `per_class`,
    `intervals`. A table that these detections do not allow, such as Table 5 without a species
    model, is empty. So are `ladder` and `ancestors` without ranks between species and
    super-classes, `unseen` and `naming` where the model has a label for every species,
    `by_training` and `frequency` without training boxes, `fixed` without `most_per_class`,
    `calibration` where scores are no probabilities, `proposals` but for a file of proposals, and
    `table5_paper` and `table6_paper` except on iNat2017.

    The keys of `fixed`, `ladder` and `calibration` are those of `table6`, those of `ancestors` and
    `naming` are levels, those of `frequency` are `rare`, `common` and `frequent`, those of
    `proposals` are how many count, as text, and `all` or a size, those of `likely_wrong_labels`
    and `likely_misplaced_boxes` are ids of annotations, as text:
    `report.ladder["species", "genus", "nms"].AP`, `report.naming["genus"].unseen_right`,
    `report.frequency["rare"].AP`, `report.calibration["species", "super", "nms"].ECE`,
    `report.likely_wrong_labels["17"].named`.

    Attributes:
        results: the numbers behind the tables.
        prepared: the images and detections that they come from.
        engine: which library counted.
        gallery: the pictures on the page.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
        label_gallery: the pictures of likely wrong labels.
    """

    name: ClassVar[str] = "report"
    title: ClassVar[str] = "Detection results"
    sections: ClassVar[tuple[Section[Results], ...]] = SECTIONS
    more_files: ClassVar[frozenset[str]] = frozenset({FIFTYONE_FILE})

    results: Results
    prepared: Prepared
    engine: Engine
    gallery: Sequence[Picture] = ()
    warnings: Sequence[DataWarning] = ()
    command: str = ""
    label_gallery: Sequence[LabelPicture] = ()

    @property
    def table5(self) -> Table[Table5Row]:
        """The species model by super-class; `table5["Aves"].AP50` is one number."""
        return Table.of(Table5Row, self.results.table5)

    @property
    def table6(self) -> Table[Table6Row]:
        """Every model at every granularity; `table6["species", "super", "nms"].AP` is one number.

        A key is the granularity that the model was trained at, the one at which it was evaluated,
        and the merge rule.
        """
        return Table.of(Table6Row, self.results.table6)

    def plot_curves(self) -> matplotlib.figure.Figure:
        """Draws Figure 6, precision against recall for each super-class.

        Returns:
            A Matplotlib figure. A notebook that has imported `matplotlib.pyplot` shows it;
            `savefig` saves it. Without a species model it has no curves.
        """
        return CURVES.draw(self.results)

    def plot_ladder(self) -> matplotlib.figure.Figure:
        """Draws the ladder, AP against level from fine to coarse, with the intervals there are.

        Returns:
            A Matplotlib figure, as `plot_curves` does. Without ranks between species and
            super-classes it has no lines.
        """
        return LADDER.draw(self.results)

    def plot_calibration(self) -> matplotlib.figure.Figure:
        """Draws the reliability diagrams, precision against score, one diagram per level.

        Returns:
            A Matplotlib figure, as `plot_curves` does. Where no model's scores are probabilities,
            it has no lines.
        """
        return RELIABILITY.draw(self.results)

    def save(
        self,
        output_dir: str | os.PathLike[str],
        latex: bool = False,
        notify: Callable[[str], None] = warn,
        *,
        beside: Sequence[SavedReport[Any]] = (),
        fiftyone: bool = False,
    ) -> None:
        """Writes every file of the report, all at once.

        Args:
            output_dir: the folder. What an earlier report left there is replaced, and removed
                where this one does not have it; other files stay.
            latex: whether to write each table for LaTeX as well.
            notify: called with a message if a figure cannot be drawn; all else is written.
            beside: reports in the same folder that the page leads to.
            fiftyone: whether to write the likely errors of the annotations for FiftyOne as well;
                `inatdet.report.fiftyone` says how to open the file.

        Raises:
            InputError: another process is writing a report there.
            OSError: the report cannot be written there; an earlier one stays as it was.
        """
        with self._written(output_dir, latex, notify, beside) as folder:
            if fiftyone and self.results.label_errors:
                write_fiftyone(folder / FIFTYONE_FILE, self.prepared, self.results.label_errors)

    def summary(self) -> str:
        """How much was evaluated, in a sentence."""
        counts = self.results.counts
        return (
            f"{counts.images_kept:,} images with {counts.boxes_kept:,} boxes; "
            f"{counts.classes_with_truth[Granularity.SPECIES]:,} species; "
            f"models: {', '.join(map(str, self.results.used))}."
        )

    def remarks(self) -> list[str]:
        """What has to be known to read the numbers, in paragraphs."""
        remarks = []
        if not self.results.table5:
            remarks.append("Table 5 and Figure 6 need the detections of a species model.")
        if self.results.resamples:
            remarks.append(
                "± is the margin of the 95% interval for other samples of as many images, from "
                f"{self.results.resamples} random halves of these. It does not cover training the "
                "models again, nor the upward bias of AP for classes with few images."
            )
        return remarks

    def section_on_page(self, section: Section[Results]) -> dict[str, Any]:
        """What the page shows of a section, as plain values."""
        return part_on_page(section, self.results, self.label_gallery)

    def gallery_on_page(self) -> Gallery | None:
        """The pictures that the page ends with, if any."""
        return gallery_of(self.gallery)

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        return sources_of(self.prepared)

    def protocol(self) -> list[tuple[str, str]]:
        """What was measured and how, as names and values."""
        return described(self.results, self.prepared, self.engine, self.command)


def evaluate(
    truth: Annotations,
    detections: Detections | Sequence[Detections],
    *,
    training: Annotations | TrainingCounts | None = None,
    frequency_bins: Sequence[int] = LVIS,
    images_dir: str | os.PathLike[str] | None = None,
    all_images: bool = False,
    levels: Sequence[Granularity | str] = ALWAYS,
    engine: Engine | str = Engine.INATDET,
    resamples: int = 0,
    errors: bool = True,
    label_errors: int = MOST_LISTED,
    most_per_class: int = 0,
    strict: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    command: str = "",
) -> Report:
    """Evaluates the detections of a model per level: Tables 5 and 6, Figure 6, and more.

    Args:
        truth: the ground truth, from `read_annotations`; its `taxonomy` sets the labels.
        detections: at most one set per model: from `read_detections`, or made of arrays by
            `Detections.from_arrays`. Besides a model's own, coarse detections that it made by
            summing its probabilities may be among them; these have `summed_from` set.
        training: the boxes the model was trained on, to be counted per species.
        frequency_bins: the most training images of a rare species, and of a common one; by default
            LVIS's.
        images_dir: the folder that the file names of `truth` start from, to show some pictures;
            those that cannot be read are left out with a warning.
        all_images: whether images with several boxes or none are evaluated. The paper leaves them
            out.
        levels: the levels that tables show besides those of the models, such as `genus`; the
            ladder has all that the label spaces have.
        engine: what counts Tables 5 and 6: this package, or as references `hotcoco` or
            `pycocotools`.
        resamples: how many random halves of the images standard errors come from; 0 means none.
        errors: whether to tell kinds of error apart.
        label_errors: how many likely errors of the annotations are listed of each kind; 0 means
            none.
        most_per_class: also AP-Fixed and AP-Pool, which count so many detections of each species
            over all images, 10,000 in their paper; 0 means neither.
        strict: whether anything that looks wrong with the files is an error instead of a warning.
        notify: called with a message at each step, and with each warning.
        command: the command line, for the report's record of where its numbers come from.

    Returns:
        The tables, the figures, and `save`, which writes the files.

    Raises:
        InputError: `frequency_bins` are not two rising numbers, no image is left to evaluate, a
            detection is in an image that `truth` does not
            list, there are two sets of detections for one model and granularity, `images_dir` is
            not a folder, or something looks wrong and `strict` is set.

    Example:
        >>> truth = inatdet.read_annotations("val.json")
        >>> found = inatdet.read_detections("species.json", truth, granularity="species")
        >>> results = inatdet.evaluate(truth, [found])
        >>> results.table5
        super_class  classes     AP   AP50   AP75    AR1   AR10
        Insecta            1  100.0  100.0  100.0  100.0  100.0
        Aves               2   50.0   50.0   50.0   50.0   50.0
        Overall            3   66.7   66.7   66.7   66.7   66.7
        >>> round(results.table6["species", "super", "nms"].AP, 1)
        100.0
        >>> results.save("report")
    """
    sets = [detections] if isinstance(detections, Detections) else list(detections)
    bins_of(frequency_bins)  # bad input is told before long work
    if images_dir:
        check_images_dir(images_dir)
    prepared = prepare(truth, sets, all_images=all_images, levels=levels)
    found = data_warnings(prepared)
    if most_per_class:
        found += fixed_warnings(prepared, most_per_class)
    drawn: list[Picture] = []
    missing: dict[str, str] = {}
    if images_dir and prepared.models:
        # Before the numbers, which take longer: nothing that can fail comes after them.
        finest = next(iter(prepared.models.values()))
        for choose in Choose:
            notify(f"drawing on images: {choose}")
            drawn += pictures(prepared, finest, images_dir, choose, PICTURES, unreadable=missing)
        found += warnings_of(missing)
    said = told(found, strict=strict, notify=notify)
    notify(f"images: {images_in_words(prepared)}")
    counts = TrainingCounts.of(training) if isinstance(training, Annotations) else training
    engine = Engine(engine)
    results = numbers.evaluate(
        prepared,
        engine=engine,
        training=counts,
        frequency_bins=frequency_bins,
        resamples=resamples,
        errors=errors,
        most_label_errors=label_errors,
        most_per_class=most_per_class,
        notify=notify,
    )
    doubted: tuple[LabelPicture, ...] = ()
    if images_dir and results.label_errors:
        # Now a picture that cannot be read is no error even with `strict`: the numbers are there.
        tried = dict(missing)
        doubted = label_pictures(results.label_errors.labels, images_dir, PICTURES, tried)
        late = {name: fault for name, fault in tried.items() if name not in missing}
        said += told(warnings_of(late), strict=False, notify=notify)
    return Report(results, prepared, engine, tuple(drawn), said, command, doubted)
