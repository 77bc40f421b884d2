"""What follows from the species model's own detections alone."""

from __future__ import annotations

from dataclasses import dataclass

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import ancestors, confusions, super_classes
from inatdet.evaluation.breakdowns import TrainingRow, training_rows
from inatdet.evaluation.frequency import FrequencyRow, frequency_rows
from inatdet.evaluation.measuring import Measured
from inatdet.evaluation.unseen import NamingRow, UnseenRow, unseen_rows


@dataclass(frozen=True, kw_only=True)
class SpeciesTables:
    """The numbers that need a species model; empty without one.

    Attributes:
        table5: one row per super-class, then Overall.
        curves: one curve per super-class.
        per_class: one row per species.
        by_training: one row per bin of training images; empty without training counts.
        frequency: one row each for rare, common and frequent species; empty without training
            counts.
        hierarchy: how far off wrong answers are in the taxonomy.
        ancestors: at which level answers are right; empty without ranks between species and
            super-classes.
        confusions: pairs of species.
        unseen: what the species model does with species that have no label; empty without any.
        naming: whether these are named rightly at coarser levels.
    """

    table5: tuple[super_classes.Table5Row, ...] = ()
    curves: tuple[super_classes.Curve, ...] = ()
    per_class: tuple[super_classes.PerClassRow, ...] = ()
    by_training: tuple[TrainingRow, ...] = ()
    frequency: tuple[FrequencyRow, ...] = ()
    hierarchy: tuple[confusions.HierarchyRow, ...] = ()
    ancestors: tuple[ancestors.AncestorRow, ...] = ()
    confusions: tuple[confusions.Confusion, ...] = ()
    unseen: tuple[UnseenRow, ...] = ()
    naming: tuple[NamingRow, ...] = ()


def species_tables(species: Measured) -> SpeciesTables:
    """The tables.

    Args:
        species: the species model's detections at the species level.
    """
    plan, results = species.plan, species.results
    prepared, training = plan.prepared, plan.training
    taxonomy, truth = prepared.taxonomy, prepared.truths[Granularity.SPECIES]
    table5 = super_classes.table5_rows(results, taxonomy)
    if species.on_halves is not None:
        table5 = super_classes.with_standard_errors(
            table5, taxonomy, plan.halves, species.on_halves
        )
    plan.notify("species model: confusions")
    matrix = confusions.answers(species.labelled)
    has_ranks = len(taxonomy.levels) > len(ALWAYS)
    unseen, naming = unseen_rows(prepared.kept, species.given.found, taxonomy)
    return SpeciesTables(
        table5=table5,
        curves=super_classes.curves_of(results, taxonomy),
        per_class=super_classes.per_class_rows(results, truth, taxonomy, training),
        by_training=training_rows(results, taxonomy, training) if training else (),
        frequency=_frequency(species),
        hierarchy=confusions.hierarchy_rows(matrix, taxonomy),
        ancestors=ancestors.ancestor_rows(matrix, taxonomy) if has_ranks else (),
        confusions=confusions.confusions(matrix, taxonomy),
        unseen=unseen,
        naming=naming,
    )


def _frequency(species: Measured) -> tuple[FrequencyRow, ...]:
    plan = species.plan
    if plan.frequencies is None:
        return ()
    return frequency_rows(
        species.results,
        plan.bins,
        plan.frequencies,
        species.scores,
        plan.halves,
        species.on_halves,
    )
