"""All numbers of one evaluation: detections in, the rows of every table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inatdet.data.counts import TrainingCounts
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.breakdowns import SizeRow
from inatdet.evaluation.calibration import CalibrationRow
from inatdet.evaluation.error_kinds import ErrorRow
from inatdet.evaluation.fixed import FixedRow
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.evaluation.granularities import GapRow, Table6Row, gap_rows
from inatdet.evaluation.label_errors import MOST_LISTED, LabelErrors
from inatdet.evaluation.measuring import Notify, Numbers, Plan, each_row
from inatdet.evaluation.proposals import ProposalRow
from inatdet.evaluation.protocol import Counts, Prepared
from inatdet.evaluation.resampling import Halves
from inatdet.evaluation.species_tables import SpeciesTables, species_tables


@dataclass(frozen=True, kw_only=True)
class Results(SpeciesTables):
    """The numbers; those that need a species model are inherited.

    Attributes:
        counts: what was evaluated.
        used: how many detections of each model were in the images evaluated.
        table6: one row per model, level that tables show and merge rule.
        ladder: the same for every level of the label spaces; empty unless there are more levels
            than the three that there always are.
        gaps: what each rule recovers of the gap between fine models and coarse ones.
        sizes: one row per model and each of COCO's sizes.
        proposals: their recall, one row per number of them and size; empty for detections.
        errors: one row per model, granularity and super-class; empty if not asked for.
        calibration: one row per model, level of the label spaces and merge rule, but for models
            whose scores are not all in 0..1.
        resamples: how many halves of the images the standard errors come from; 0 means none.
        most_per_class: how many detections of each species count for `fixed`; 0 if not asked for.
        fixed: one row per row of `table6`, without a limit per image; empty if not asked for.
        label_errors: likely errors of the annotations, as the finest model sees them; None if not
            asked for.
    """

    counts: Counts
    used: Mapping[Granularity, int]
    table6: tuple[Table6Row, ...]
    ladder: tuple[Table6Row, ...]
    gaps: tuple[GapRow, ...]
    sizes: tuple[SizeRow, ...]
    errors: tuple[ErrorRow, ...]
    calibration: tuple[CalibrationRow, ...]
    resamples: int
    most_per_class: int = 0
    fixed: tuple[FixedRow, ...] = ()
    proposals: tuple[ProposalRow, ...] = ()
    label_errors: LabelErrors | None = None


def evaluate(
    prepared: Prepared,
    *,
    engine: Engine = Engine.INATDET,
    training: TrainingCounts | None = None,
    frequency_bins: Sequence[int] = LVIS,
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
    plan = Plan(
        prepared=prepared,
        engine=engine,
        halves=Halves(prepared.truths[Granularity.GENERIC].image_ids, resamples),
        training=training,
        bins=bins_of(frequency_bins),
        errors=errors,
        most_label_errors=most_label_errors,
        most_per_class=most_per_class,
        notify=notify,
    )
    rows: list[Numbers] = []
    species = SpeciesTables()
    doubtful: LabelErrors | None = None
    for measured in each_row(plan):
        rows.append(measured.numbers())
        if most_label_errors > 0 and doubtful is None:  # the finest model's own come first
            doubtful = measured.label_errors()
        if measured.level is Granularity.SPECIES:
            species = species_tables(measured)
    table6 = tuple(row.table6 for row in rows)
    shown = tuple(row for row in table6 if row.evaluated_on in prepared.levels)
    on_halves = {row.table6.key: row.on_halves for row in rows if row.on_halves is not None}
    return Results(
        **vars(species),
        counts=prepared.counts,
        used={granularity: len(found) for granularity, found in prepared.models.items()},
        table6=shown,
        ladder=table6 if len(prepared.taxonomy.levels) > len(ALWAYS) else (),
        gaps=gap_rows(shown, plan.halves, on_halves),
        sizes=tuple(size for row in rows for size in row.sizes),
        errors=tuple(error for row in rows for error in row.errors),
        calibration=tuple(row.calibration for row in rows if row.calibration),
        resamples=resamples,
        most_per_class=most_per_class,
        fixed=tuple(row.fixed for row in rows if row.fixed),
        proposals=tuple(proposal for row in rows for proposal in row.proposals),
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
