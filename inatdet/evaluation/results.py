"""All numbers of one evaluation: detections in, the rows of every table out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.counts import TrainingCounts
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.errors import InputError
from inatdet.evaluation import (
    ancestors,
    average_precision,
    breakdowns,
    confusions,
    error_kinds,
    granularities,
    super_classes,
)
from inatdet.evaluation.average_precision import ClassResults, Engine, percent
from inatdet.evaluation.counting import class_results
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.granularities import Key, Merge, Table6Row
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.protocol import Counts, Prepared
from inatdet.evaluation.resampling import Halves, OnHalves
from inatdet.evaluation.unseen import NamingRow, UnseenRow, unseen_rows

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Results:
    """The numbers. What needs a species model is empty without one.

    Attributes:
        counts: what was evaluated.
        used: how many detections of each model were in the images evaluated.
        table6: one row per model, level that tables show and merge rule.
        ladder: the same for every level of the label spaces; empty unless there are more levels
            than the three that there always are.
        gaps: what each rule recovers of the gap between fine models and coarse ones.
        sizes: one row per model and each of COCO's sizes.
        errors: one row per model, granularity and super-class; empty if not asked for.
        resamples: how many halves of the images the standard errors come from; 0 means none.
        table5: one row per super-class, then Overall.
        curves: one curve per super-class.
        per_class: one row per species.
        by_training: one row per bin of training images; empty without training counts.
        hierarchy: how far off wrong answers are in the taxonomy.
        ancestors: at which level answers are right; empty if the ladder is.
        confusions: pairs of species.
        naming: whether species that have no label are named rightly at coarser levels.
        unseen: what the species model does with them; empty without any.
    """

    counts: Counts
    used: Mapping[Granularity, int]
    table6: tuple[Table6Row, ...]
    ladder: tuple[Table6Row, ...]
    gaps: tuple[granularities.GapRow, ...]
    sizes: tuple[breakdowns.SizeRow, ...]
    errors: tuple[error_kinds.ErrorRow, ...]
    resamples: int
    table5: tuple[super_classes.Table5Row, ...] = ()
    curves: tuple[super_classes.Curve, ...] = ()
    per_class: tuple[super_classes.PerClassRow, ...] = ()
    by_training: tuple[breakdowns.TrainingRow, ...] = ()
    hierarchy: tuple[confusions.HierarchyRow, ...] = ()
    ancestors: tuple[ancestors.AncestorRow, ...] = ()
    confusions: tuple[confusions.Confusion, ...] = ()
    unseen: tuple[UnseenRow, ...] = ()
    naming: tuple[NamingRow, ...] = ()


def evaluate(
    prepared: Prepared,
    *,
    engine: Engine = Engine.INATDET,
    training: TrainingCounts | None = None,
    resamples: int = 0,
    errors: bool = True,
    notify: Notify = lambda message: None,
) -> Results:
    """Computes all numbers.

    Args:
        prepared: the images and detections that count: at most one set of detections per model
            and granularity.
        engine: what counts Tables 5 and 6. Everything else but confusions, which are hotcoco's,
            follows from `matching`.
        training: how often each species was seen in training.
        resamples: on how many halves of the images the measures are counted again, for their
            standard errors.
        errors: whether to tell kinds of error apart.
        notify: called with a message at each step.

    Raises:
        InputError: there are no detections, or two sets for one model and granularity.
    """
    _check_models(prepared)
    halves = Halves(prepared.truths[Granularity.GENERIC].image_ids, resamples)
    table6: list[Table6Row] = []
    sizes: list[breakdowns.SizeRow] = []
    kinds: list[error_kinds.ErrorRow] = []
    on_halves: dict[Key, np.ndarray] = {}
    species = _SpeciesTables()
    images_of = error_kinds.images_of_super_classes(
        prepared.truths[Granularity.SUPER], prepared.taxonomy
    )
    levels = prepared.taxonomy.levels
    met: tuple[Detections, Encounters] | None = None
    # Arrays as long as the detections are let go before the next ones are made.
    for key in granularities.table6_keys(levels, prepared.models, prepared.marginals):
        trained_on, target, rule = key
        found = _detections(prepared, key)
        notify(f"{_name(key)}: {len(found):,} detections")
        own = met if met and met[0] is found else (found, prepared.encounters(found))
        if rule is not Merge.MARGINAL:  # those are of one row only
            met = own
        labelled = _labelled(prepared, key, *own)
        del own
        matches = labelled.matches()
        results = _counted(prepared, key, labelled, matches, engine)
        values = percent(results.mean())
        of_halves = None
        if halves:
            notify(f"{_name(key)}: {len(halves)} halves of the images")
            of_halves = halves.by_class(labelled, matches)
            on_halves[key] = of_halves.mean()
            values = halves.estimates(values, on_halves[key])
        table6.append(Table6Row(*key, values))
        if errors and rule is Merge.NONE and target in prepared.levels:
            notify(f"{_name(key)}: kinds of error")
            kinds += error_kinds.error_rows(labelled, images_of, trained_on, target, matches)
        if trained_on is target:
            notify(f"{trained_on} model: sizes")
            sizes += breakdowns.size_rows(labelled, trained_on)
        if target is Granularity.SPECIES:
            species = _species_tables(
                prepared,
                results,
                labelled,
                training=training,
                halves=halves,
                on_halves=of_halves,
                notify=notify,
            )
        del labelled, matches, found
    shown = tuple(row for row in table6 if row.evaluated_on in prepared.levels)
    return Results(
        counts=prepared.counts,
        used={granularity: len(found) for granularity, found in prepared.models.items()},
        table6=shown,
        ladder=tuple(table6) if len(levels) > len(ALWAYS) else (),
        gaps=granularities.gap_rows(shown, halves, on_halves),
        sizes=tuple(sizes),
        errors=tuple(kinds),
        resamples=resamples,
        table5=species.table5,
        curves=species.curves,
        per_class=species.per_class,
        by_training=species.by_training,
        hierarchy=species.hierarchy,
        ancestors=species.ancestors,
        confusions=species.confusions,
        unseen=species.unseen,
        naming=species.naming,
    )


def _check_models(prepared: Prepared) -> None:
    seen: dict[tuple[Granularity, Granularity], str] = {}
    for detections in prepared.given:
        key = (detections.model_granularity, detections.trained_on)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {detections.path} are both {detections.trained_on} detections "
                f"of a {key[0]} model; evaluate them separately, or test them against each other "
                "with the compare program"
            )
        seen[key] = detections.path
    if not prepared.models:
        raise InputError("there are no detections of a model's own labels; give at least one file")
    for trained_on, target in prepared.marginals:
        if trained_on not in prepared.models:
            raise InputError(
                f"{seen[trained_on, target]}: the {trained_on} model's own detections are missing; "
                "give them as well"
            )


def _detections(prepared: Prepared, key: Key) -> Detections:
    trained_on, target, rule = key
    if rule is Merge.MARGINAL:
        return prepared.marginals[trained_on, target]
    return prepared.models[trained_on]


def _labelled(prepared: Prepared, key: Key, found: Detections, met: Encounters) -> Labelled:
    """The detections of a row of Table 6 with the labels of its level."""
    _, target, rule = key
    labels = found.labels[target].astype(np.int32)
    if rule is Merge.NMS:
        labels[~granularities.left_by(found, target, rule)] = NO_LABEL
    has_label = prepared.has_label(target)
    rows = np.where(has_label, np.cumsum(has_label, dtype=np.int32) - 1, -1)
    return Labelled(prepared.truths[target], met, labels, rows.astype(np.int32))


def _name(key: Key) -> str:
    trained_on, target, rule = key
    return f"{trained_on} model on {target}, merge {rule}"


def _counted(
    prepared: Prepared, key: Key, labelled: Labelled, matches: Matches, engine: Engine
) -> ClassResults:
    """The measures of every class for one row of Table 6."""
    if engine is Engine.INATDET:
        return class_results(labelled, matches)
    found = granularities.merged(
        _detections(prepared, key), key[1], Merge.NMS if key[2] is Merge.NMS else Merge.NONE
    )
    columns = average_precision.result_columns(found, key[1])
    return average_precision.class_results(
        average_precision.counted(labelled.truth, columns, engine)
    )


@dataclass(frozen=True)
class _SpeciesTables:
    """The fields of `Results` that need a species model."""

    table5: tuple[super_classes.Table5Row, ...] = ()
    curves: tuple[super_classes.Curve, ...] = ()
    per_class: tuple[super_classes.PerClassRow, ...] = ()
    by_training: tuple[breakdowns.TrainingRow, ...] = ()
    hierarchy: tuple[confusions.HierarchyRow, ...] = ()
    ancestors: tuple[ancestors.AncestorRow, ...] = ()
    confusions: tuple[confusions.Confusion, ...] = ()
    unseen: tuple[UnseenRow, ...] = ()
    naming: tuple[NamingRow, ...] = ()


def _species_tables(
    prepared: Prepared,
    results: ClassResults,
    labelled: Labelled,
    *,
    training: TrainingCounts | None,
    halves: Halves,
    on_halves: OnHalves | None,
    notify: Notify,
) -> _SpeciesTables:
    truth, taxonomy = prepared.truths[Granularity.SPECIES], prepared.taxonomy
    table5 = super_classes.table5_rows(results, taxonomy)
    if on_halves is not None:
        table5 = super_classes.with_standard_errors(table5, taxonomy, halves, on_halves)
    notify("species model: confusions")
    matrix = confusions.answers(labelled)
    by_training = breakdowns.training_rows(results, taxonomy, training) if training else ()
    has_ranks = len(taxonomy.levels) > len(ALWAYS)
    never_seen, naming = unseen_rows(prepared.kept, prepared.models[Granularity.SPECIES], taxonomy)
    return _SpeciesTables(
        table5=table5,
        curves=super_classes.curves_of(results, taxonomy),
        per_class=super_classes.per_class_rows(results, truth, taxonomy, training),
        by_training=by_training,
        hierarchy=confusions.hierarchy_rows(matrix, taxonomy),
        ancestors=ancestors.ancestor_rows(matrix, taxonomy) if has_ranks else (),
        confusions=confusions.confusions(matrix, taxonomy),
        unseen=never_seen,
        naming=naming,
    )
