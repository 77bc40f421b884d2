"""The protocol from end to end: ground truth and detections in, the paper's numbers out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import coco, curves, granularity, tables
from inatdet.evaluation.coco import Engine
from inatdet.evaluation.detections import Detections


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
    """The numbers.

    Attributes:
        counts: what was evaluated.
        used: how many detections of each model lay in the images evaluated.
        table5: empty without a species model.
        table6: a row for each model, each granularity it can be seen at, each rule.
        curves: empty without a species model.
        per_class: a row a species; empty without a species model.
    """

    counts: Counts
    used: Mapping[Granularity, int]
    table5: tuple[tables.Table5Row, ...]
    table6: tuple[tables.Table6Row, ...]
    curves: tuple[curves.Curve, ...]
    per_class: tuple[tables.PerClassRow, ...]


def run(
    annotations: Annotations,
    taxonomy: Taxonomy,
    models: Mapping[Granularity, Detections],
    marginals: Mapping[tuple[Granularity, Granularity], Detections] | None = None,
    *,
    all_images: bool = False,
    engine: Engine = Engine.HOTCOCO,
    train_boxes: Mapping[int, int] | None = None,
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
        engine: which library counts.
        train_boxes: boxes in training by category id, for the table of all classes.
        say: is told what is going on.

    Raises:
        InputError: if no image is left to evaluate, or a detection lies in an image that the
            annotations do not know.
    """
    kept = annotations if all_images else annotations.single_instance()
    if not kept.images:
        raise InputError(
            f"{annotations.path}: no image has exactly one box, so none is left to evaluate; "
            "use --all_images"
        )
    truths = {g: coco.ground_truth_at(kept, taxonomy, g) for g in Granularity}
    used: dict[Granularity, int] = {}
    table5, drawn, per_class = (), (), ()
    table6: list[tables.Table6Row] = []
    for trained_on in Granularity:
        if trained_on not in models:
            continue
        detections = _in_images(models[trained_on], annotations, kept)
        used[trained_on] = len(detections)
        for target in trained_on.coarser_or_equal():
            for rule in granularity.rules(trained_on, target):
                say(f"{trained_on} model on {target}, merge {rule}: {len(detections):,} detections")
                left = granularity.merged(detections, target, rule)
                results = coco.evaluate(truths[target], left, target, engine)
                table6.append(
                    tables.Table6Row(trained_on, target, rule, tables.percent(results.mean()))
                )
                if trained_on is target is Granularity.SPECIES:
                    table5 = tables.table5_rows(results, taxonomy)
                    drawn = curves.curves_of(results, taxonomy)
                    per_class = tables.per_class_rows(
                        results, truths[target], taxonomy, train_boxes
                    )
            if (trained_on, target) in (marginals or {}):
                summed = _in_images(marginals[trained_on, target], annotations, kept)
                rule = granularity.Merge.MARGINAL
                say(f"{trained_on} model on {target}, merge {rule}: {len(summed):,} detections")
                results = coco.evaluate(truths[target], summed, target, engine)
                table6.append(
                    tables.Table6Row(trained_on, target, rule, tables.percent(results.mean()))
                )
    counts = _counts(annotations, kept, truths)
    return Results(counts, used, table5, tuple(table6), drawn, per_class)


def _in_images(detections: Detections, annotations: Annotations, kept: Annotations) -> Detections:
    known = np.array([image.id for image in annotations.images], np.int64)
    strange = ~np.isin(detections.image_ids, known)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"{detections.path}: detection {row + 1} is in image {detections.image_ids[row]}, "
            f"which {annotations.path} does not list; check that both are of the same split"
        )
    wanted = np.array([image.id for image in kept.images], np.int64)
    return detections.select(np.isin(detections.image_ids, wanted))


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
    """The numbers as plain JSON values; NaN becomes null."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        if isinstance(value, (list, tuple, np.ndarray)):
            return [plain(item) for item in value]
        if isinstance(value, float):
            return None if np.isnan(value) else float(value)
        return str(value) if isinstance(value, (Granularity, granularity.Merge)) else value

    return plain(results)
