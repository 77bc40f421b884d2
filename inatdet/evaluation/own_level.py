"""What a model is asked beyond its rows in Table 6, mostly at its own granularity."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation import breakdowns, coco, confusions, curves, error_kinds, tables
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.resampling import Halves

if TYPE_CHECKING:
    import hotcoco


class OwnLevel:
    """What is asked of each model, but for kinds of error at the granularity it was trained at.

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
        evaluation: hotcoco.COCOeval,
        training: breakdowns.TrainingCounts | None,
        halves: Halves,
    ) -> dict[str, tuple]:
        """Table 5, the curves and the other fields of `Results` that need a species model.

        Args:
            results: of the species model at the species granularity.
            evaluation: that they are of, or the same one by hotcoco.
            training: how often each species was seen in training.
            halves: for standard errors in Table 5.
        """
        truth, taxonomy = self._truths[Granularity.SPECIES], self._taxonomy
        table5 = tables.table5_rows(results, taxonomy)
        if halves:
            table5 = self._with_standard_errors(table5, halves)
        self._say("species model: confusions")
        matrix = confusions.answers(evaluation)
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
        self, rows: tuple[tables.Table5Row, ...], halves: Halves
    ) -> tuple[tables.Table5Row, ...]:
        members = tables.classes_of_super_classes(self._taxonomy)
        columns = self._columns(Granularity.SPECIES)
        finished = []
        for row in rows:
            self._say(f"species model, {row.super_class}: {len(halves)} halves")
            labels = 1 + np.flatnonzero(
                members.get(row.super_class, np.ones(len(self._taxonomy.species), bool))
            )
            truth = self._truths[Granularity.SPECIES].of_labels(labels)
            evaluation = coco.counted(truth, columns[np.isin(columns[:, 6], labels)])
            values = halves.estimates(row.values, halves.measure(evaluation))
            finished.append(dataclasses.replace(row, values=values))
        return tuple(finished)

    def sizes(self) -> tuple[breakdowns.SizeRow, ...]:
        """Each model on small, medium and large animals."""
        rows = []
        for level in self._levels():
            self._say(f"{level} model: sizes")
            rows += breakdowns.size_rows(self._truths[level], self._columns(level), level)
        return tuple(rows)

    def errors(self) -> tuple[error_kinds.ErrorRow, ...]:
        """Each model's kinds of error, at its own granularity and the coarser ones."""
        truth = self._truths[Granularity.SUPER]
        images_of = {
            name: np.unique(truth.box_images[truth.labels == label])
            for label, name in enumerate(self._taxonomy.super_classes, 1)
        }
        rows = []
        for level in self._levels():
            for target in level.coarser_or_equal():
                self._say(f"{level} model on {target}: kinds of error")
                columns = coco.result_columns(self._models[level], target)
                rows += error_kinds.error_rows(
                    self._truths[target], columns, images_of, level, target
                )
        return tuple(rows)

    def _levels(self) -> list[Granularity]:
        return [level for level in Granularity if level in self._models]

    def _columns(self, level: Granularity) -> np.ndarray:
        return coco.result_columns(self._models[level], level)
