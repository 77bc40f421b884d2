"""Two files of detections of the same images, compared pair by pair of images."""

from __future__ import annotations

import json
import os
import pathlib
from dataclasses import dataclass

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import average_precision, granularities
from inatdet.evaluation.average_precision import percent
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.protocol import images_to_evaluate, in_images
from inatdet.evaluation.resampling import Difference, Halves, differences
from inatdet.files import atomic_path
from inatdet.report.table import Table

COLUMNS = ("measure", "first", "second", "difference", "std_err", "lower", "upper", "p_value")
_FILE = "comparison"


@dataclass(frozen=True)
class Comparison:
    """How a second model differs from a first one.

    Attributes:
        rows: one for each of COCO's measures.
        first: the first file's detections.
        second: the second file's.
        evaluated_on: the granularity at which they were compared.
        merge: what became of detections of a finer model.
        images: how many were evaluated.
        resamples: how many halves of the images the standard errors come from.
    """

    rows: tuple[Difference, ...]
    first: Detections
    second: Detections
    evaluated_on: Granularity
    merge: Merge
    images: int
    resamples: int

    def table(self) -> Table:
        """All of it, as it is saved."""
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
                for row in self.rows
            ),
        )

    def __str__(self) -> str:
        """As it is printed on a screen."""
        rows = [(r.measure, r.first, r.second, r.change, f"{r.p_value:.2g}") for r in self.rows]
        table = Table(("measure", "first", "second", "difference", "p"), tuple(rows))
        return "\n".join(f"{name}: {value}" for name, value in self.protocol()) + f"\n{table}"

    def protocol(self) -> list[tuple[str, str]]:
        """What was compared and how."""
        return [
            ("first", f"{self.first.path}, {self.first.trained_on} labels"),
            ("second", f"{self.second.path}, {self.second.trained_on} labels"),
            ("evaluated on", f"{self.evaluated_on}, merge {self.merge}, {self.images:,} images"),
            (
                "difference",
                "second minus first, in percent points, ± 1.96 standard errors from "
                f"{self.resamples} random halves of the images, the same for both",
            ),
        ]

    def save(self, output_dir: str | os.PathLike[str]) -> None:
        """Writes comparison.csv and comparison.json."""
        os.makedirs(output_dir, exist_ok=True)
        folder = pathlib.Path(output_dir)
        table = self.table()
        table.save(folder / f"{_FILE}.csv")
        rows = [dict(zip(table.columns, row)) for row in table.rows]
        record = {"protocol": dict(self.protocol()), "results": rows}
        with atomic_path(folder / f"{_FILE}.json") as temporary:
            pathlib.Path(temporary).write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def compare(
    annotations: Annotations,
    taxonomy: Taxonomy,
    first: Detections,
    second: Detections,
    *,
    resamples: int,
    merge: Merge = Merge.NONE,
    all_images: bool = False,
) -> Comparison:
    """Compares at the coarser of the two files' granularities.

    Args:
        annotations: the whole annotation file.
        taxonomy: the label spaces; those that the detections were read with.
        first: one model's detections.
        second: another one's.
        resamples: on how many halves of the images the measures are counted again.
        merge: `NONE` or `NMS`, for the finer one of two different granularities.
        all_images: whether to keep images with several boxes or none.

    Raises:
        InputError: no image is left to evaluate, or there are fewer than two.
    """
    kept = images_to_evaluate(annotations, all_images)
    if len(kept.images) < 2:
        raise InputError(f"{annotations.path}: has one image to evaluate; a test needs two or more")
    levels = list(Granularity)
    target = max(first.trained_on, second.trained_on, key=levels.index)
    truth = average_precision.ground_truth_at(kept, taxonomy, target)
    halves = Halves(truth.image_ids, resamples)
    sides = []
    for detections in (first, second):
        found = in_images(detections, annotations, kept)
        if detections.trained_on is not target:
            found = granularities.merged(found, target, merge)
        evaluation = average_precision.counted(
            truth, average_precision.result_columns(found, target)
        )
        sides += [
            percent(average_precision.class_results(evaluation).mean()),
            halves.measure(evaluation),
        ]
    return Comparison(
        differences(halves, *sides), first, second, target, merge, len(kept.images), resamples
    )
