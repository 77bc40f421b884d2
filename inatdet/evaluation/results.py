"""The protocol from end to end: ground truth and detections in, the paper's numbers out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation import (
    average_precision,
    breakdowns,
    confusions,
    error_kinds,
    granularities,
    super_classes,
)
from inatdet.evaluation.average_precision import OVERALL, Engine, percent
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.overlaps import Overlaps, overlaps, that_count
from inatdet.evaluation.protocol import Counts, _counts, images_to_evaluate, in_images
from inatdet.evaluation.resampling import Halves


@dataclass(frozen=True)
class Results:
    """The numbers. What needs a species model is empty without one.

    Attributes:
        counts: what was evaluated.
        used: how many detections of each model lay in the images evaluated.
        table6: a row for each model, each granularity it can be seen at, each rule.
        gaps: what each rule wins back of what fine models lose at coarser levels.
        sizes: a row for each model and each of COCO's sizes.
        errors: a row for each model, granularity and super-class; empty where not asked for.
        resamples: how many halves of the images the standard errors come from; 0: there are none.
        table5: a row a super-class, then Overall.
        curves: a curve a super-class.
        per_class: a row a species.
        by_training: a row for each bin of training images; empty without training counts.
        hierarchy: how far off wrong answers are in the taxonomy.
        confusions: pairs of species.
    """

    counts: Counts
    used: Mapping[Granularity, int]
    table6: tuple[granularities.Table6Row, ...]
    gaps: tuple[granularities.GapRow, ...]
    sizes: tuple[breakdowns.SizeRow, ...]
    errors: tuple[error_kinds.ErrorRow, ...]
    resamples: int
    table5: tuple[super_classes.Table5Row, ...] = ()
    curves: tuple[super_classes.Curve, ...] = ()
    per_class: tuple[super_classes.PerClassRow, ...] = ()
    by_training: tuple[breakdowns.TrainingRow, ...] = ()
    hierarchy: tuple[confusions.HierarchyRow, ...] = ()
    confusions: tuple[confusions.Confusion, ...] = ()


def run(
    annotations: Annotations,
    taxonomy: Taxonomy,
    models: Mapping[Granularity, Detections],
    marginals: Mapping[tuple[Granularity, Granularity], Detections] | None = None,
    *,
    all_images: bool = False,
    engine: Engine = Engine.HOTCOCO,
    training: breakdowns.TrainingCounts | None = None,
    resamples: int = 0,
    errors: bool = True,
    say: Callable[[str], None] = lambda message: None,
) -> Results:
    """Evaluates.

    Args:
        annotations: the whole annotation file.
        taxonomy: the label spaces; those that `models` were read with.
        models: the detections of each model, by the granularity it was trained at.
        marginals: coarse detections of fine models by summed probabilities, by the granularity
            the model was trained at and that of the detections; see `Merge.MARGINAL`.
        all_images: whether to keep images with several boxes or none. The paper does not.
        engine: which library counts Tables 5 and 6; the rest is always hotcoco's.
        training: how often each species was seen in training.
        resamples: on how many halves of the images the measures are counted again, for their
            standard errors.
        errors: whether to tell kinds of error apart, which takes most of the memory.
        say: is told what is going on.

    Raises:
        InputError: if no image is left to evaluate, or a detection lies in an image that the
            annotations do not know.
    """
    kept = images_to_evaluate(annotations, all_images)
    truths = {g: average_precision.ground_truth_at(kept, taxonomy, g) for g in Granularity}
    found = {
        (g, g): in_images(detections, annotations, kept) for g, detections in models.items()
    } | {
        key: in_images(detections, annotations, kept)
        for key, detections in (marginals or {}).items()
    }
    halves = Halves(truths[Granularity.GENERIC].image_ids, resamples)
    own = OwnLevel(truths, taxonomy, {g: found[g, g] for g in models}, say)
    on_halves: dict[tuple[Granularity, Granularity, Merge], np.ndarray] = {}
    table6, sizes = [], []
    species_tables = {}
    for key in _rows_of_table6(found):
        trained_on, target, rule = key
        source = found[trained_on, target if rule is Merge.MARGINAL else trained_on]
        name = f"{trained_on} model on {target}, merge {rule}"
        say(f"{name}: {len(source):,} detections")
        left = source if rule is Merge.MARGINAL else granularities.merged(source, target, rule)
        columns = counting = average_precision.result_columns(left, target)
        if target is Granularity.SPECIES:  # at coarser levels hardly any can be left out
            on_truth = overlaps(truths[target], columns)
            counting = columns[that_count(columns, on_truth)]
        evaluation = average_precision.counted(truths[target], counting)
        results = average_precision.class_results(
            evaluation
            if engine is Engine.HOTCOCO
            else average_precision.counted(truths[target], columns, engine)
        )
        values = percent(results.mean())
        if halves:
            say(f"{name}: {len(halves)} halves of the images")
            on_halves[key] = halves.measure(evaluation)
            values = halves.estimates(values, on_halves[key])
        table6.append(granularities.Table6Row(*key, values))
        if trained_on is target:
            say(f"{trained_on} model: sizes")
            sizes += breakdowns.size_rows(truths[target], evaluation, trained_on)
        del counting, evaluation  # large, and not needed beside what comes next
        if target is Granularity.SPECIES:
            species_tables = own.of_species(
                results, columns, on_truth, training, halves, on_halves.get(key)
            )
        del columns
    return Results(
        counts=_counts(annotations, kept, truths),
        used={g: len(found[g, g]) for g in Granularity if g in models},
        table6=tuple(table6),
        gaps=granularities.gap_rows(table6, halves, on_halves),
        sizes=tuple(sizes),
        errors=own.errors() if errors else (),
        resamples=resamples,
        **species_tables,
    )


def _rows_of_table6(
    found: Iterable[tuple[Granularity, Granularity]],
) -> Iterator[tuple[Granularity, Granularity, Merge]]:
    for trained_on in Granularity:
        if (trained_on, trained_on) not in found:
            continue
        for target in trained_on.coarser_or_equal():
            for rule in granularities.rules(trained_on, target):
                yield trained_on, target, rule
            if target is not trained_on and (trained_on, target) in found:
                yield trained_on, target, Merge.MARGINAL


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
        truths: Mapping[Granularity, average_precision.GroundTruth],
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
        results: average_precision.ClassResults,
        columns: np.ndarray,
        found: Overlaps,
        training: breakdowns.TrainingCounts | None,
        halves: Halves,
        on_halves: np.ndarray | None,
    ) -> dict[str, tuple]:
        """Table 5, the curves and the other fields of `Results` that need a species model.

        Args:
            results: of the species model at the species granularity.
            columns: its detections; see `average_precision.result_columns`.
            found: their overlaps with the true boxes.
            training: how often each species was seen in training.
            halves: for standard errors in Table 5.
            on_halves: the measures on each of them; None: there are none.
        """
        truth, taxonomy = self._truths[Granularity.SPECIES], self._taxonomy
        table5 = super_classes.table5_rows(results, taxonomy)
        if on_halves is not None:
            counting = columns[that_count(columns, found)]
            table5 = self._with_standard_errors(table5, counting, halves, on_halves)
        self._say("species model: confusions")
        matrix = confusions.answers(truth, columns, found)
        return {
            "table5": table5,
            "curves": super_classes.curves_of(results, taxonomy),
            "per_class": super_classes.per_class_rows(results, truth, taxonomy, training),
            "by_training": breakdowns.training_rows(results, taxonomy, training)
            if training
            else (),
            "hierarchy": confusions.hierarchy_rows(matrix, taxonomy),
            "confusions": confusions.confusions(matrix, taxonomy),
        }

    def _with_standard_errors(
        self,
        rows: tuple[super_classes.Table5Row, ...],
        columns: np.ndarray,
        halves: Halves,
        on_halves: np.ndarray,
    ) -> tuple[super_classes.Table5Row, ...]:
        members = super_classes.classes_of_super_classes(self._taxonomy)
        finished = []
        for row in rows:
            measured = on_halves
            if row.super_class != OVERALL:
                self._say(f"species model, {row.super_class}: {len(halves)} halves")
                labels = 1 + np.flatnonzero(members[row.super_class])
                truth = self._truths[Granularity.SPECIES].of_labels(labels)
                evaluation = average_precision.counted(
                    truth, columns[np.isin(columns[:, 6], labels)]
                )
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
                columns = average_precision.result_columns(self._models[level], target)
                rows += error_kinds.error_rows(
                    self._truths[target], columns, images_of, level, target
                )
        return tuple(rows)
