"""What a model is asked beyond its rows in Table 6."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation import breakdowns, coco, confusions, curves, error_kinds, tables
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.overlaps import Overlaps, that_count
from inatdet.evaluation.resampling import Halves
from inatdet.evaluation.table import OVERALL


class OwnLevel:
    """What is asked of a species model, and the kinds of error of each model.

    Args:
        truths: the true boxes at each granularity.
        taxonomy: the label spaces.
        models: the detections of each model in the images evaluated.
        say: is told what is going on.
    """

    def __init__(
        self,
        truths: Mapping[Granularity, coco.GroundTruth],
        taxonomy: Taxonomy,
        models: Mapping[Granularity, Detections],
        say: Callable[[str], None],
    ):
        self._truths = truths
        self._taxonomy = taxonomy
        self._models = models
        self._say = say

    def of_species(
        self,
        results: coco.ClassResults,
        columns: np.ndarray,
        found: Overlaps,
        training: breakdowns.TrainingCounts | None,
        halves: Halves,
        on_halves: np.ndarray | None,
    ) -> dict[str, tuple]:
        """Table 5, the curves and the other fields of `Results` that need a species model.

        Args:
            results: of the species model at the species granularity.
            columns: its detections; see `coco.result_columns`.
            found: their overlaps with the true boxes.
            training: how often each species was seen in training.
            halves: for standard errors in Table 5.
            on_halves: the measures on each of them; None: there are none.
        """
        truth, taxonomy = self._truths[Granularity.SPECIES], self._taxonomy
        table5 = tables.table5_rows(results, taxonomy)
        if on_halves is not None:
            counting = columns[that_count(columns, found)]
            table5 = self._with_standard_errors(table5, counting, halves, on_halves)
        self._say("species model: confusions")
        matrix = confusions.answers(truth, columns, found)
        return {
            "table5": table5,
            "curves": curves.curves_of(results, taxonomy),
            "per_class": tables.per_class_rows(results, truth, taxonomy, training),
            "by_training": breakdowns.training_rows(results, taxonomy, training)
            if training
            else (),
            "hierarchy": confusions.hierarchy_rows(matrix, taxonomy),
            "confusions": confusions.confusions(matrix, taxonomy),
        }

    def _with_standard_errors(
        self,
        rows: tuple[tables.Table5Row, ...],
        columns: np.ndarray,
        halves: Halves,
        on_halves: np.ndarray,
    ) -> tuple[tables.Table5Row, ...]:
        members = tables.classes_of_super_classes(self._taxonomy)
        finished = []
        for row in rows:
            measured = on_halves
            if row.super_class != OVERALL:
                self._say(f"species model, {row.super_class}: {len(halves)} halves")
                labels = 1 + np.flatnonzero(members[row.super_class])
                truth = self._truths[Granularity.SPECIES].of_labels(labels)
                evaluation = coco.counted(truth, columns[np.isin(columns[:, 6], labels)])
                measured = halves.measure(evaluation)
            values = halves.estimates(row.values, measured)
            finished.append(dataclasses.replace(row, values=values))
        return tuple(finished)

    def errors(self) -> tuple[error_kinds.ErrorRow, ...]:
        """Each model's kinds of error, at its own granularity and the coarser ones."""
        truth = self._truths[Granularity.SUPER]
        images_of = {
            name: np.unique(truth.box_images[truth.labels == label])
            for label, name in enumerate(self._taxonomy.super_classes, 1)
        }
        rows = []
        for level in Granularity:
            if level not in self._models:
                continue
            for target in level.coarser_or_equal():
                self._say(f"{level} model on {target}: kinds of error")
                columns = coco.result_columns(self._models[level], target)
                rows += error_kinds.error_rows(
                    self._truths[target], columns, images_of, level, target
                )
        return tuple(rows)
