"""The protocol from end to end: ground truth and detections in, the paper's numbers out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import (
    breakdowns,
    coco,
    confusions,
    curves,
    error_kinds,
    gap,
    granularity,
    tables,
)
from inatdet.evaluation.coco import Engine
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.granularity import Merge
from inatdet.evaluation.overlaps import overlaps, that_count
from inatdet.evaluation.own_level import OwnLevel
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.table import percent


@dataclass(frozen=True)
class Counts:
    """What was evaluated and what was left out.

    Attributes:
        images: images in the annotation file.
        images_kept: images evaluated.
        images_without_box: left out, unless all images are evaluated.
        images_with_several: left out, unless all images are evaluated.
        boxes_kept: true boxes in the images evaluated.
        boxes_without_label: of those, boxes whose category has no label at each granularity.
        classes: labels at each granularity.
        classes_with_truth: of those, the ones with a true box in the images evaluated.
    """

    images: int
    images_kept: int
    images_without_box: int
    images_with_several: int
    boxes_kept: int
    boxes_without_label: Mapping[Granularity, int]
    classes: Mapping[Granularity, int]
    classes_with_truth: Mapping[Granularity, int]


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
    table6: tuple[tables.Table6Row, ...]
    gaps: tuple[gap.GapRow, ...]
    sizes: tuple[breakdowns.SizeRow, ...]
    errors: tuple[error_kinds.ErrorRow, ...]
    resamples: int
    table5: tuple[tables.Table5Row, ...] = ()
    curves: tuple[curves.Curve, ...] = ()
    per_class: tuple[tables.PerClassRow, ...] = ()
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
    truths = {g: coco.ground_truth_at(kept, taxonomy, g) for g in Granularity}
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
        left = source if rule is Merge.MARGINAL else granularity.merged(source, target, rule)
        columns = counting = coco.result_columns(left, target)
        if target is Granularity.SPECIES:  # at coarser levels hardly any can be left out
            on_truth = overlaps(truths[target], columns)
            counting = columns[that_count(columns, on_truth)]
        evaluation = coco.counted(truths[target], counting)
        results = coco.class_results(
            evaluation
            if engine is Engine.HOTCOCO
            else coco.counted(truths[target], columns, engine)
        )
        values = percent(results.mean())
        if halves:
            say(f"{name}: {len(halves)} halves of the images")
            on_halves[key] = halves.measure(evaluation)
            values = halves.estimates(values, on_halves[key])
        table6.append(tables.Table6Row(*key, values))
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
        gaps=gap.gap_rows(table6, halves, on_halves),
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
            for rule in granularity.rules(trained_on, target):
                yield trained_on, target, rule
            if target is not trained_on and (trained_on, target) in found:
                yield trained_on, target, Merge.MARGINAL


def images_to_evaluate(annotations: Annotations, all_images: bool) -> Annotations:
    """The part of an annotation file that is evaluated.

    Raises:
        InputError: it has no image.
    """
    kept = annotations if all_images else annotations.single_instance()
    if not kept.images:
        raise InputError(
            f"{annotations.path}: no image has exactly one box, so none is left to evaluate; "
            "use --all_images"
        )
    return kept


def in_images(detections: Detections, annotations: Annotations, kept: Annotations) -> Detections:
    """The detections in the images that are evaluated.

    Raises:
        InputError: one is in an image that the annotations do not list.
    """
    inside = _are_in(detections, kept)
    if inside.all():
        return detections
    known = _are_in(detections, annotations)
    if not known.all():
        row = int(np.argmin(known))
        raise InputError(
            f"{detections.path}: detection {row + 1} is in image {detections.image_ids[row]}, "
            f"which {annotations.path} does not list; check that both are of the same split"
        )
    return detections.select(inside)


def _are_in(detections: Detections, annotations: Annotations) -> np.ndarray:
    ids = np.fromiter((image.id for image in annotations.images), np.int64)
    return np.isin(detections.image_ids, ids)


def _counts(
    annotations: Annotations, kept: Annotations, truths: Mapping[Granularity, coco.GroundTruth]
) -> Counts:
    boxed, boxes = np.unique(annotations.image_ids, return_counts=True)
    everything = len(kept.images) == len(annotations.images)
    return Counts(
        images=len(annotations.images),
        images_kept=len(kept.images),
        images_without_box=0 if everything else len(annotations.images) - len(boxed),
        images_with_several=0 if everything else int((boxes > 1).sum()),
        boxes_kept=len(kept.boxes),
        boxes_without_label={g: len(kept.boxes) - len(t.labels) for g, t in truths.items()},
        classes={g: t.num_labels for g, t in truths.items()},
        classes_with_truth={g: len(np.unique(t.labels)) for g, t in truths.items()},
    )


def as_record(results: Results) -> dict[str, object]:
    """The numbers as plain JSON values.

    NaN becomes null, and an estimate an object with its value, standard error and the margin of its
    95% interval.
    """

    def plain(value: object) -> object:
        if type(value) in (str, int):
            return value
        if type(value) is float:
            return None if math.isnan(value) else value
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        if isinstance(value, (list, tuple, np.ndarray)):
            return [plain(item) for item in value]
        if isinstance(value, Estimate) and not np.isnan(value.std_err):
            return {"value": float(value), "std_err": value.std_err, "margin_95": value.margin}
        if isinstance(value, float):
            return plain(float(value))
        return str(value) if isinstance(value, (Granularity, Merge)) else value

    return plain(results)
