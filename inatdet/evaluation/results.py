"""All numbers of one evaluation: detections in, the rows of every table out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.best_of_classes import limits_at
from inatdet.data.counts import TrainingCounts
from inatdet.data.granularity import ALWAYS, Granularity
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
from inatdet.evaluation.fixed import FixedRow, fixed_row
from inatdet.evaluation.granularities import Key, Merge, Table6Row
from inatdet.evaluation.label_errors import MOST_LISTED, LabelErrors, label_errors
from inatdet.evaluation.matching import IOU_THRESHOLDS, matches, ranking
from inatdet.evaluation.overlaps import Overlaps, can_change_metrics, overlaps
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
    engine: Engine = Engine.HOTCOCO,
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
        engine: which library counts Tables 5 and 6. Sizes and confusions are always counted by
            hotcoco; standard errors, kinds of error and calibration follow from `matching`.
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
    doubtful: LabelErrors | None = None
    by_frequency: tuple[frequency.FrequencyRow, ...] = ()
    # Arrays as long as the detections are let go before the next ones are made.
    levels = prepared.taxonomy.levels
    for key in granularities.table6_keys(levels, prepared.models, prepared.marginals):
        columns = _columns(prepared, key, None if most_per_class else MAX_DETECTIONS[-1], notify)
        on_truth = None
        if key[1] is Granularity.SPECIES:  # at coarser levels hardly any can be left out
            on_truth = overlaps(prepared.truths[key[1]], columns)
        if most_label_errors > 0 and doubtful is None:  # the finest model's own come first
            doubtful = _label_errors(prepared, key, columns, on_truth, most_label_errors, notify)
        counted = _count(prepared, key, columns, on_truth, engine=engine, notify=notify)
        matched = _matched(
            prepared,
            key,
            columns,
            halves=halves,
            errors=errors,
            groups=bin_of if key[1] is Granularity.SPECIES else None,
            notify=notify,
        )
        kinds += matched.errors
        if matched.scores is not None:
            calibrated.append(calibration.CalibrationRow(*key, matched.scores.calibration()))
        sizes += counted.sizes
        values = counted.values
        if matched.on_halves is not None:
            on_halves[key] = matched.on_halves.mean()
            values = halves.estimates(values, on_halves[key])
        table6.append(Table6Row(*key, values))
        if most_per_class and key[1] in prepared.levels:
            notify(f"{_name(key)}: AP-Fixed and AP-Pool")
            limits = limits_at(prepared.taxonomy, key[1], most_per_class)
            average = values[METRICS.index("AP")]
            fixed.append(fixed_row(key, prepared.truths[key[1]], columns, limits, halves, average))
        if on_truth is not None:
            species = _species_tables(
                prepared,
                counted.results,
                columns,
                on_truth,
                training=training,
                halves=halves,
                on_halves=matched.on_halves,
                notify=notify,
            )
            if bin_of is not None:
                by_frequency = frequency.frequency_rows(
                    counted.results, bins, bin_of, matched.scores, halves, matched.on_halves
                )
        del columns, on_truth
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


def _columns(prepared: Prepared, key: Key, most: int | None, notify: Notify) -> np.ndarray:
    """The detections of a row of Table 6, as `average_precision.result_columns`.

    Merging leaves at most `most` of each image and class.
    """
    trained_on, target, rule = key
    if rule is Merge.MARGINAL:
        found = prepared.marginals[trained_on, target]
    else:
        found = prepared.models[trained_on]
    notify(f"{_name(key)}: {len(found):,} detections")
    if rule is not Merge.MARGINAL:
        found = granularities.merged(found, target, rule, most)
    return average_precision.result_columns(found, target)


def _name(key: Key) -> str:
    trained_on, target, rule = key
    return f"{trained_on} model on {target}, merge {rule}"


def _label_errors(
    prepared: Prepared,
    key: Key,
    columns: np.ndarray,
    on_truth: Overlaps | None,
    most: int,
    notify: Notify,
) -> LabelErrors:
    level = key[0]
    notify(f"{level} model: likely errors of the annotations")
    if on_truth is None:
        on_truth = overlaps(prepared.truths[level], columns)
    return label_errors(prepared.kept, prepared.taxonomy, level, columns, on_truth, most)


@dataclass(frozen=True)
class _Counted:
    """What a library counts for one row of Table 6.

    Attributes:
        results: the measures of every class.
        sizes: the rows by size; empty unless the model is at its own granularity.
    """

    results: ClassResults
    sizes: tuple[breakdowns.SizeRow, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The means of the measures, in percent."""
        return percent(self.results.mean())


def _count(
    prepared: Prepared,
    key: Key,
    columns: np.ndarray,
    on_truth: Overlaps | None,
    *,
    engine: Engine,
    notify: Notify,
) -> _Counted:
    trained_on, target, _ = key
    truth = prepared.truths[target]
    counting = columns if on_truth is None else columns[can_change_metrics(columns, on_truth)]
    evaluation = average_precision.counted(truth, counting)
    results = average_precision.class_results(
        evaluation
        if engine is Engine.HOTCOCO
        else average_precision.counted(truth, columns, engine)
    )
    sizes: tuple[breakdowns.SizeRow, ...] = ()
    if trained_on is target:
        notify(f"{trained_on} model: sizes")
        sizes = breakdowns.size_rows(truth, evaluation, trained_on)
    return _Counted(results, sizes)


@dataclass(frozen=True)
class _Matched:
    """What follows from the matches of one row of Table 6.

    Attributes:
        on_halves: the measures of every class on each half; None without halves.
        errors: the kinds of error; empty for merged detections, and if not asked for.
        scores: the detections by score; None where scores are no probabilities.
    """

    on_halves: OnHalves | None
    errors: tuple[error_kinds.ErrorRow, ...]
    scores: calibration.ScoreCounts | None


def _matched(
    prepared: Prepared,
    key: Key,
    columns: np.ndarray,
    *,
    halves: Halves,
    errors: bool,
    groups: np.ndarray | None,
    notify: Notify,
) -> _Matched:
    """Counts what follows from matches.

    Args:
        prepared: the images and true boxes.
        key: the row.
        columns: its detections, as `average_precision.result_columns`.
        halves: the halves of the images.
        errors: whether to tell kinds of error apart.
        groups: int64 `[classes]`, the groups of classes that scores are counted for; None for all
            together.
        notify: called with a message at each step.
    """
    trained_on, target, rule = key
    errors = errors and rule is Merge.NONE and target in prepared.levels
    truth = prepared.truths[target]
    notify(f"{_name(key)}: matches")
    ranked = ranking(truth, columns)
    # Without halves, nothing asks for higher thresholds than .5.
    found = matches(truth, columns, ranked, IOU_THRESHOLDS if halves else IOU_THRESHOLDS[:1])
    if groups is None:
        groups = np.zeros(truth.num_labels, np.int64)
    scores = calibration.score_counts(columns, ranked, found, groups, halves)
    if scores is None:
        notify(f"{_name(key)}: no calibration, as scores are below 0 or above 1")
    on_halves = None
    kinds: tuple[error_kinds.ErrorRow, ...] = ()
    if halves:
        notify(f"{_name(key)}: {len(halves)} halves of the images")
        on_halves = halves.by_class(truth, ranked, found)
    if errors:
        notify(f"{trained_on} model on {target}: kinds of error")
        images_of = error_kinds.images_of_super_classes(
            prepared.truths[Granularity.SUPER], prepared.taxonomy
        )
        kinds = error_kinds.error_rows(
            truth, columns, images_of, trained_on, target, (ranked, found)
        )
    return _Matched(on_halves, kinds, scores)


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
    columns: np.ndarray,
    on_truth: Overlaps,
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
    matrix = confusions.answers(truth, columns, on_truth)
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
