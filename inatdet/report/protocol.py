"""The protocol of a report, in words."""

from __future__ import annotations

from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import MAX_DETECTIONS, Engine
from inatdet.evaluation.calibration import SCORE_BINS
from inatdet.evaluation.plausibility import numbered_names
from inatdet.evaluation.protocol import Prepared
from inatdet.evaluation.results import Results
from inatdet.report.calibration_in_words import left_out
from inatdet.report.provenance import listed, model_name, source, versions

_LISTED = 20  # labels of a granularity that are named


def described(
    results: Results, prepared: Prepared, engine: Engine, command: str
) -> list[tuple[str, str]]:
    """What was measured and how.

    Args:
        results: the numbers.
        prepared: the images and detections that they come from.
        engine: which library counted.
        command: the command line; empty where the numbers were computed from Python.

    Returns:
        Names and values, in the order in which a report shows them.
    """
    annotations = prepared.annotations
    return [
        ("annotations", source(annotations.path, annotations.sha256)),
        ("label spaces", source(annotations.taxonomy_source, annotations.taxonomy_sha256)),
        ("images", images_in_words(prepared)),
        ("bad entries left out", listed(annotations.skipped) or "none"),
        *((str(level), _labels(results, prepared, level)) for level in prepared.levels),
        *unfit_ranks(prepared.taxonomy),
        *_detections(results, prepared),
        ("measures", "COCO: AP over IoU .50:.05:.95, 101 recalls; AP50; AP75; AR1 and AR10"),
        (
            "detections counted",
            f"at most {MAX_DETECTIONS[-1]} for AP, {MAX_DETECTIONS[0]} for AR1 and "
            f"{MAX_DETECTIONS[1]} for AR10, of each image and class, as COCO defines maxDets",
        ),
        ("calibration", _calibration(results)),
        *_fixed(results),
        ("intervals", intervals_in_words(results.resamples)),
        ("engine", engine.version()),
        *versions(),
        ("command", command or "none, computed from Python"),
    ]


def images_in_words(prepared: Prepared) -> str:
    """How many images are evaluated, and how many are left out and why."""
    counts = prepared.counts
    if prepared.all_images:
        return f"all {counts.images:,}, with {counts.boxes_kept:,} boxes"
    return (
        f"{counts.images_kept:,} of {counts.images:,}, those with exactly one box; left out: "
        f"{counts.images_without_box:,} without a box, {counts.images_with_several:,} with "
        "several"
    )


def _labels(results: Results, prepared: Prepared, granularity: Granularity) -> str:
    counts = results.counts
    text = labels_in_words(prepared.taxonomy, granularity, counts.classes_with_truth[granularity])
    if unlabelled := counts.boxes_without_label[granularity]:
        text += f"; {unlabelled:,} true boxes have no label here and were left out"
    return text


def labels_in_words(
    taxonomy: Taxonomy, granularity: Granularity, with_truth: int | None = None
) -> str:
    """How many labels a level has, and the first of them.

    Args:
        taxonomy: the label spaces.
        granularity: the level.
        with_truth: how many of the labels have ground truth, to be said.
    """
    labels = taxonomy.num_labels(granularity)
    names = numbered_names(taxonomy.names(granularity), _LISTED)
    text = f"{labels:,} label{'' if labels == 1 else 's'} ({names})"
    if with_truth is not None:
        text += f", {with_truth:,} of them with ground truth"
    if own := taxonomy.without_value(granularity):
        text += f"; {own:,} species have no name at this rank and so a label of their own"
    return text


def unfit_ranks(taxonomy: Taxonomy) -> list[tuple[str, str]]:
    """The ranks that are no levels, and why."""
    unfit = [f"{m.granularity}, which {m.reason}" for m in taxonomy.misfits]
    return [("ranks left out", "; ".join(unfit))] if unfit else []


def _detections(results: Results, prepared: Prepared) -> list[tuple[str, str]]:
    levels = prepared.taxonomy.levels

    def order(given: Detections) -> tuple[bool, int, int]:
        summed = given.summed_from is not None
        return summed, levels.index(given.model_granularity), levels.index(given.trained_on)

    lines = []
    for given in sorted(prepared.given, key=order):
        text = f"{source(given.path, given.sha256)}, {len(given):,} detections read"
        if given.summed_from is None:
            text += f", {results.used[given.trained_on]:,} in the images evaluated"
            if given.model:
                text += f"; model {given.model}"
            if given.settings:
                text += f" ({listed(given.settings)})"
        lines.append((model_name(given), text))
    return lines


def _calibration(results: Results) -> str:
    if not results.calibration:
        return left_out(results)
    text = (
        f"detections counted for AP in {SCORE_BINS} bins of scores of equal width from 0 to 1, "
        "all classes together; right at IoU .5"
    )
    return f"{text}. {left_out(results)}" if left_out(results) else text


def _fixed(results: Results) -> list[tuple[str, str]]:
    if not results.most_per_class:
        return []
    text = (
        f"the {results.most_per_class:,} best detections of each species in the images evaluated, "
        "at coarser levels that many for each species of a class; no limit per image"
    )
    return [("AP-Fixed and AP-Pool", text)]


def intervals_in_words(resamples: int) -> str:
    """Where standard errors come from; `resamples` is on how many halves of the images."""
    if not resamples:
        return "none"
    return (
        f"1.96 standard errors from {resamples} random halves of the images (delete-half "
        "jackknife), paired between models"
    )
