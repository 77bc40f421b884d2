"""All numbers of one evaluation: detections in, the rows of every table out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.best_of_classes import limits_at
from inatdet.data.counts import TrainingCounts
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.errors import InputError
from inatdet.evaluation import (
    ancestors,
    average_precision,
    breakdowns,
    calibration,
    confusions,
    error_kinds,
    frequency,
    granularities,
    super_classes,
)
from inatdet.evaluation.average_precision import (
    MAX_DETECTIONS,
    METRICS,
    ClassResults,
    Engine,
    percent,
)
from inatdet.evaluation.counting import class_results
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.fixed import FixedRow, fixed_row
from inatdet.evaluation.granularities import Key, Merge, Table6Row
from inatdet.evaluation.label_errors import MOST_LISTED, LabelErrors, label_errors
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
        calibration: one row per model, level of the label spaces and merge rule, but for models
            whose scores are not all in 0..1.
        resamples: how many halves of the images the standard errors come from; 0 means none.
        most_per_class: how many detections of each species count for `fixed`; 0 if not asked for.
        fixed: one row per row of `table6`, without a limit per image; empty if not asked for.
        table5: one row per super-class, then Overall.
        curves: one curve per super-class.
        per_class: one row per species.
        by_training: one row per bin of training images; empty without training counts.
        frequency: one row each for rare, common and frequent species; empty without training
            counts.
        hierarchy: how far off wrong answers are in the taxonomy.
        ancestors: at which level answers are right; empty if the ladder is.
        confusions: pairs of species.
        naming: whether species that have no label are named rightly at coarser levels.
        unseen: what the species model does with them; empty without any.
        label_errors: likely errors of the annotations, as the finest model sees them; None if not
            asked for.
    """

    counts: Counts
    used: Mapping[Granularity, int]
    table6: tuple[Table6Row, ...]
    ladder: tuple[Table6Row, ...]
    gaps: tuple[granularities.GapRow, ...]
    sizes: tuple[breakdowns.SizeRow, ...]
    errors: tuple[error_kinds.ErrorRow, ...]
    calibration: tuple[calibration.CalibrationRow, ...]
    resamples: int
    most_per_class: int = 0
    fixed: tuple[FixedRow, ...] = ()
    table5: tuple[super_classes.Table5Row, ...] = ()
    curves: tuple[super_classes.Curve, ...] = ()
    per_class: tuple[super_classes.PerClassRow, ...] = ()
    by_training: tuple[breakdowns.TrainingRow, ...] = ()
    frequency: tuple[frequency.FrequencyRow, ...] = ()
    hierarchy: tuple[confusions.HierarchyRow, ...] = ()
    ancestors: tuple[ancestors.AncestorRow, ...] = ()
    confusions: tuple[confusions.Confusion, ...] = ()
    unseen: tuple[UnseenRow, ...] = ()
    naming: tuple[NamingRow, ...] = ()
    label_errors: LabelErrors | None = None


def evaluate(
    prepared: Prepared,
    *,
    engine: Engine = Engine.INATDET,
    training: TrainingCounts | None = None,
    frequency_bins: Sequence[int] = frequency.LVIS,
    resamples: int = 0,
    errors: bool = True,
    most_label_errors: int = MOST_LISTED,
    most_per_class: int = 0,
    notify: Notify = lambda message: None,
) -> Results:
    """Computes all numbers.

    Args:
        prepared: the images and detections that count: at most one set of detections per model
            and granularity.
        engine: what counts Tables 5 and 6. Everything else but confusions, which are hotcoco's,
            follows from `matching`.
        training: how often each species was seen in training.
        frequency_bins: the most training images of a rare species, and of a common one.
        resamples: on how many halves of the images the measures are counted again, for their
            standard errors.
        errors: whether to tell kinds of error apart.
        most_label_errors: how many likely errors of the annotations are listed of each kind; 0: not
            asked for.
        most_per_class: how many detections of each species count for AP-Fixed and AP-Pool; 0 means
            neither.
        notify: called with a message at each step.

    Raises:
        InputError: there are no detections, or two sets for one model and granularity; or
            `frequency_bins` are not two rising numbers.
    """
    _check_models(prepared)
    bins = frequency.bins_of(frequency_bins)
    bin_of = bins.of_species(prepared.taxonomy, training) if training else None
    halves = Halves(prepared.truths[Granularity.GENERIC].image_ids, resamples)
    table6: list[Table6Row] = []
    fixed: list[FixedRow] = []
    sizes: list[breakdowns.SizeRow] = []
    kinds: list[error_kinds.ErrorRow] = []
    calibrated: list[calibration.CalibrationRow] = []
    on_halves: dict[Key, np.ndarray] = {}
    species = _SpeciesTables()
    by_frequency: tuple[frequency.FrequencyRow, ...] = ()
    doubtful: LabelErrors | None = None
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
        labelled = _labelled(prepared, key, *own, all_of_each_image=most_per_class > 0)
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
        groups = bin_of if target is Granularity.SPECIES else None
        scores = calibration.score_counts(labelled, matches, groups, halves)
        if scores is None:
            notify(f"{_name(key)}: no calibration, as scores are below 0 or above 1")
        else:
            calibrated.append(calibration.CalibrationRow(*key, scores.calibration()))
        if most_per_class and target in prepared.levels:
            notify(f"{_name(key)}: AP-Fixed and AP-Pool")
            limits = limits_at(prepared.taxonomy, target, most_per_class)
            fixed.append(fixed_row(key, labelled, limits, halves, values[METRICS.index("AP")]))
        if errors and rule is Merge.NONE and target in prepared.levels:
            notify(f"{_name(key)}: kinds of error")
            kinds += error_kinds.error_rows(labelled, images_of, trained_on, target, matches)
        if trained_on is target:
            notify(f"{trained_on} model: sizes")
            sizes += breakdowns.size_rows(labelled, trained_on)
        if most_label_errors > 0 and doubtful is None:  # the finest model's own come first
            notify(f"{trained_on} model: likely errors of the annotations")
            doubtful = label_errors(
                prepared.kept, prepared.taxonomy, target, labelled, most_label_errors
            )
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
            if bin_of is not None:
                by_frequency = frequency.frequency_rows(
                    results, bins, bin_of, scores, halves, of_halves
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
        calibration=tuple(calibrated),
        resamples=resamples,
        most_per_class=most_per_class,
        fixed=tuple(fixed),
        table5=species.table5,
        curves=species.curves,
        per_class=species.per_class,
        by_training=species.by_training,
        frequency=by_frequency,
        hierarchy=species.hierarchy,
        ancestors=species.ancestors,
        confusions=species.confusions,
        unseen=species.unseen,
        naming=species.naming,
        label_errors=doubtful,
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


def _labelled(
    prepared: Prepared, key: Key, found: Detections, met: Encounters, *, all_of_each_image: bool
) -> Labelled:
    """The detections of a row of Table 6 with the labels of its level."""
    _, target, rule = key
    labels = found.labels[target].astype(np.int32)
    if rule is Merge.NMS:
        most = None if all_of_each_image else MAX_DETECTIONS[-1]
        labels[~granularities.left_by(found, target, rule, most)] = NO_LABEL
    return prepared.labelled(target, met, labels)


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
