"""What follows from the detections of one row of Table 6, at the level of that row."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.best_of_classes import limits_at
from inatdet.data.counts import TrainingCounts
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation import average_precision, calibration, granularities
from inatdet.evaluation.average_precision import (
    MAX_DETECTIONS,
    METRICS,
    ClassResults,
    Engine,
    percent,
)
from inatdet.evaluation.breakdowns import SizeRow, size_rows
from inatdet.evaluation.calibration import CalibrationRow, ScoreCounts
from inatdet.evaluation.counting import class_results
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.error_kinds import ErrorRow, error_rows, images_of_super_classes
from inatdet.evaluation.fixed import FixedRow, fixed_row
from inatdet.evaluation.frequency import ImageBins
from inatdet.evaluation.granularities import Key, Merge, Table6Row
from inatdet.evaluation.label_errors import LabelErrors, label_errors
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.proposals import ProposalRow, proposal_rows
from inatdet.evaluation.protocol import Prepared
from inatdet.evaluation.resampling import Halves, OnHalves

Notify = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed, and how.

    Attributes:
        prepared: the images and detections that count.
        engine: what counts Tables 5 and 6.
        halves: the halves of the images that standard errors come from.
        training: how often each species was seen in training; None if that is not known.
        bins: the numbers of training images of rare, common and frequent species.
        errors: whether to tell kinds of error apart.
        most_label_errors: how many likely errors of the annotations are listed of each kind; 0:
            not asked for.
        most_per_class: how many detections of each species count for AP-Fixed and AP-Pool; 0
            means neither.
        notify: called with a message at each step.
    """

    prepared: Prepared
    engine: Engine
    halves: Halves
    training: TrainingCounts | None
    bins: ImageBins
    errors: bool
    most_label_errors: int
    most_per_class: int
    notify: Notify

    @functools.cached_property
    def frequencies(self) -> np.ndarray | None:
        """The bin of each species, int64 `[species]`; None if training is not known."""
        if self.training is None:
            return None
        return self.bins.of_species(self.prepared.taxonomy, self.training)

    @functools.cached_property
    def images_of(self) -> Mapping[str, np.ndarray]:
        """The ids of the images with a true box of each super-class."""
        truth = self.prepared.truths[Granularity.SUPER]
        return images_of_super_classes(truth, self.prepared.taxonomy)


@dataclass(frozen=True, eq=False)
class Given:
    """Detections as they were given; what they meet serves all levels."""

    prepared: Prepared
    found: Detections

    @functools.cached_property
    def met(self) -> Encounters:
        """What they meet among all true boxes."""
        return self.prepared.encounters(self.found)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one row of Table 6.

    Attributes:
        table6: the row.
        on_halves: its measures on each half, float64 `[halves, 5]`; None without halves.
        calibration: None where scores are no probabilities.
        fixed: AP-Fixed and AP-Pool; None where they are not asked for.
        errors: one row per super-class; empty where kinds of error are not told apart.
        sizes: one row per size; empty but at the level that the model was trained at.
        proposals: their recall; empty where these are detections.
    """

    table6: Table6Row
    on_halves: np.ndarray | None
    calibration: CalibrationRow | None
    fixed: FixedRow | None
    errors: tuple[ErrorRow, ...]
    sizes: tuple[SizeRow, ...]
    proposals: tuple[ProposalRow, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """The detections of one row of Table 6 with the labels of its level.

    What is computed is kept for whatever else needs it. Much of it is as long as the detections:
    let it go before the next one computes anything.

    Attributes:
        plan: what is computed, and how.
        key: trained on, evaluated on, merged how.
        given: the detections.
    """

    plan: Plan
    key: Key
    given: Given

    @property
    def level(self) -> Granularity:
        """The level of the labels."""
        return self.key[1]

    @functools.cached_property
    def labelled(self) -> Labelled:
        """The detections and the true boxes."""
        _, level, rule = self.key
        found = self.given.found
        labels = found.labels[level].astype(np.int32)
        if rule is Merge.NMS:
            most = None if self.plan.most_per_class else MAX_DETECTIONS[-1]
            labels[~granularities.left_by(found, level, rule, most)] = NO_LABEL
        return self.plan.prepared.labelled(level, self.given.met, labels)

    @functools.cached_property
    def matches(self) -> Matches:
        """Which true boxes they match, at each of COCO's IoU thresholds."""
        return self.labelled.matches()

    @functools.cached_property
    def results(self) -> ClassResults:
        """The measures of every class."""
        if self.plan.engine is Engine.INATDET:
            return class_results(self.labelled, self.matches)
        rule = Merge.NMS if self.key[2] is Merge.NMS else Merge.NONE
        found = granularities.merged(self.given.found, self.level, rule)
        columns = average_precision.result_columns(found, self.level)
        return average_precision.class_results(
            average_precision.counted(self.labelled.truth, columns, self.plan.engine)
        )

    @functools.cached_property
    def on_halves(self) -> OnHalves | None:
        """The measures of every class on each half; None without halves."""
        if not self.plan.halves:
            return None
        self._notify(f"{len(self.plan.halves)} halves of the images")
        return self.plan.halves.by_class(self.labelled, self.matches)

    @functools.cached_property
    def scores(self) -> ScoreCounts | None:
        """The detections by score, of species by frequency too; None without probabilities."""
        groups = self.plan.frequencies if self.level is Granularity.SPECIES else None
        counts = calibration.score_counts(self.labelled, self.matches, groups, self.plan.halves)
        if counts is None:
            self._notify("no calibration, as scores are below 0 or above 1")
        return counts

    def numbers(self) -> Numbers:
        """The numbers that a row of this level and rule has."""
        plan = self.plan
        trained_on, level, rule = self.key
        self._notify(f"{len(self.given.found):,} detections")
        values = percent(self.results.mean())
        on_halves = None if self.on_halves is None else self.on_halves.mean()
        if on_halves is not None:
            values = plan.halves.estimates(values, on_halves)
        is_shown = level in plan.prepared.levels
        return Numbers(
            table6=Table6Row(*self.key, values),
            on_halves=on_halves,
            calibration=self._calibration(),
            fixed=self._fixed(values) if plan.most_per_class and is_shown else None,
            errors=self._errors() if plan.errors and rule is Merge.NONE and is_shown else (),
            sizes=self._sizes() if trained_on is level else (),
            proposals=self._proposals() if self.given.found.are_proposals else (),
        )

    def label_errors(self) -> LabelErrors:
        """Likely errors of the annotations, as these detections see them."""
        self.plan.notify(f"{self.key[0]} model: likely errors of the annotations")
        prepared, most = self.plan.prepared, self.plan.most_label_errors
        return label_errors(prepared.kept, prepared.taxonomy, self.level, self.labelled, most)

    def _calibration(self) -> CalibrationRow | None:
        if self.scores is None:
            return None
        return CalibrationRow(*self.key, self.scores.calibration())

    def _fixed(self, values: tuple[float, ...]) -> FixedRow:
        self._notify("AP-Fixed and AP-Pool")
        limits = limits_at(self.plan.prepared.taxonomy, self.level, self.plan.most_per_class)
        average = values[METRICS.index("AP")]
        return fixed_row(self.key, self.labelled, limits, self.plan.halves, average)

    def _errors(self) -> tuple[ErrorRow, ...]:
        self._notify("kinds of error")
        return error_rows(self.labelled, self.plan.images_of, self.key[0], self.level, self.matches)

    def _sizes(self) -> tuple[SizeRow, ...]:
        self.plan.notify(f"{self.level} model: sizes")
        return size_rows(self.labelled, self.level)

    def _proposals(self) -> tuple[ProposalRow, ...]:
        self._notify("recall of proposals")
        return proposal_rows(self.labelled, self.plan.halves)

    def _notify(self, message: str) -> None:
        trained_on, level, rule = self.key
        self.plan.notify(f"{trained_on} model on {level}, merge {rule}: {message}")


def each_row(plan: Plan) -> Iterator[Measured]:
    """The rows of Table 6 in order, from the finest model on, each as yet without any numbers."""
    prepared = plan.prepared
    keys = granularities.table6_keys(prepared.taxonomy.levels, prepared.models, prepared.marginals)
    own: Given | None = None
    for key in keys:
        trained_on, level, rule = key
        if rule is Merge.MARGINAL:
            yield Measured(plan, key, Given(prepared, prepared.marginals[trained_on, level]))
            continue
        found = prepared.models[trained_on]
        if own is None or own.found is not found:
            own = Given(prepared, found)
        yield Measured(plan, key, own)
