"""Two models of one dataset tested against each other, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.evaluation import comparison as numbers
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.plausibility import DataWarning, checked
from inatdet.evaluation.protocol import Prepared, prepare
from inatdet.report.paired import PairedReport
from inatdet.report.protocol import images_in_words
from inatdet.report.provenance import (
    model_name,
    source,
    sources_of,
    versions,
)
from inatdet.report.table import Table

COLUMNS = ("measure", "first", "second", "difference", "std_err", "lower", "upper", "p_value")


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonReport(PairedReport):
    """What `inatdet.compare` returns. Printed, it gives the protocol and the table.

    Attributes:
        results: the numbers.
        prepared: the images and the two sets of detections that they come from.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    results: numbers.Comparison
    prepared: Prepared
    warnings: Sequence[DataWarning] = ()
    command: str = ""

    @property
    def table(self) -> Table[Any]:
        """One row per measure, in full, as it is saved; `difference` is second minus first."""
        return Table(
            COLUMNS,
            tuple(
                (
                    row.measure,
                    row.first,
                    row.second,
                    float(row.change),
                    row.change.std_err,
                    row.change - row.change.margin,
                    row.change + row.change.margin,
                    row.p_value,
                )
                for row in self.results.rows
            ),
        )

    def short_table(self) -> Table[Any]:
        """The same for reading."""
        return Table(
            ("measure", "first", "second", "difference", "p"),
            tuple(
                (row.measure, row.first, row.second, row.change, f"{row.p_value:.2g}")
                for row in self.results.rows
            ),
        )

    def protocol(self) -> list[tuple[str, str]]:
        """What was compared and how, as names and values."""
        results, annotations = self.results, self.prepared.annotations
        first, second = self.prepared.given
        return [
            ("first", f"{model_name(first)}, {first.path}"),
            ("second", f"{model_name(second)}, {second.path}"),
            (
                "evaluated on",
                f"{results.evaluated_on}, merge {results.merge}, {results.images:,} images",
            ),
            (
                "difference",
                "second minus first, in percent points, ± 1.96 standard errors from "
                f"{results.resamples} random halves of the images, the same for both",
            ),
            ("annotations", source(annotations.path, annotations.sha256)),
            ("label spaces", source(annotations.taxonomy_source, annotations.taxonomy_sha256)),
            *versions(),
        ]

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        return sources_of(self.prepared)


def compare(
    truth: Annotations,
    first: Detections,
    second: Detections,
    *,
    resamples: int = 1000,
    merge: Merge | str = Merge.NONE,
    all_images: bool = False,
    strict: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    command: str = "",
) -> ComparisonReport:
    """Tests two models of one dataset against each other, on the same images.

    Models of two granularities are compared at the coarser one.

    Args:
        truth: the ground truth, from `read_annotations`; its `taxonomy` sets the labels.
        first: one model's detections.
        second: the other model's detections.
        resamples: how many random halves of the images standard errors come from.
        merge: `none` or `nms`, for the finer one of two different granularities.
        all_images: whether images with several boxes or none are evaluated.
        strict: whether anything that looks wrong with the files is an error instead of a warning.
        notify: called with each warning.
        command: the command line, for the record of where the numbers come from.

    Returns:
        The difference of each measure with its interval and p-value, and `save`, which writes the
        files.

    Raises:
        InputError: fewer than two images are left to evaluate, a detection is in an image that
            `truth` does not list, or something looks wrong and `strict` is set.

    Example:
        >>> first = inatdet.read_detections("species.json", truth, granularity="species")
        >>> second = inatdet.read_detections("super.json", truth, granularity="super")
        >>> compared = inatdet.compare(truth, first, second, resamples=50)
        >>> compared.results.evaluated_on
        Granularity('super')
        >>> compared.table.columns[:4]
        ('measure', 'first', 'second', 'difference')
    """
    prepared = prepare(truth, [first, second], all_images=all_images)
    warnings = checked(prepared, strict=strict, notify=notify)
    notify(f"images: {images_in_words(prepared)}")
    results = numbers.compare(prepared, resamples=resamples, merge=Merge(merge))
    return ComparisonReport(results, prepared, warnings, command)
