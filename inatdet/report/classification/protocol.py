"""The protocol of a report on classifiers, in words."""

from __future__ import annotations

from collections.abc import Iterator

from inatdet.data.image_labels import ImageLabels
from inatdet.evaluation.calibration import SCORE_BINS
from inatdet.evaluation.classification.results import Results
from inatdet.report.classification.given import Given
from inatdet.report.protocol import intervals_in_words, labels_in_words, unfit_ranks
from inatdet.report.provenance import listed, source, versions


def described(results: Results, given: Given, command: str) -> list[tuple[str, str]]:
    """What was measured and how.

    Args:
        results: the numbers.
        given: what they come from.
        command: the command line; empty where the numbers were computed from Python.

    Returns:
        Names and values, in the order in which a report shows them.
    """
    taxonomy = results.taxonomy
    return [
        *((f"labels of {name}", _truth(truth)) for name, truth in given.truths.items()),
        ("main split", f"{results.split}; all tables but Table 3 and the tests are of it"),
        ("label spaces", source(given.label_spaces, given.label_spaces_sha256)),
        *((str(level), labels_in_words(taxonomy, level)) for level in taxonomy.levels),
        *unfit_ranks(taxonomy),
        *_models(results, given),
        (
            "images counted",
            "those of a split whose category has a label at the level; one that a model has no "
            "prediction for is wrong, and predictions for other images are ignored",
        ),
        (
            "measures",
            "top-k accuracy: the true label is among the k best of the image, in the order of the "
            "file",
        ),
        ("calibration", _calibration(results)),
        ("training images", given.training or "not known; give the training labels"),
        ("intervals", intervals_in_words(results.resamples)),
        *versions(),
        ("command", command or "none, computed from Python"),
    ]


def _truth(truth: ImageLabels) -> str:
    text = f"{source(truth.path, truth.sha256)}, {len(truth):,} images"
    return f"{text}; left out: {listed(truth.skipped)}" if truth.skipped else text


def _models(results: Results, given: Given) -> Iterator[tuple[str, str]]:
    missing = {row.key: row.without_prediction for row in results.coverage}
    for model in results.models:
        for found, splits in given.files_of(model).values():
            text = (
                f"{source(found.path, found.sha256)}, for {' and '.join(splits)}; {len(found):,} "
                f"images, the best {found.own.k:,} {found.trained_on} labels"
            )
            if found.own.probabilities is None:
                text += " without probabilities"
            summed = [str(level) for level in found.ranked if level is not found.trained_on]
            if summed:
                text += f"; probabilities summed for {', '.join(summed)}"
            for split in splits:
                if missing.get((model, split)):
                    text += f"; {missing[model, split]:,} images of {split} have no prediction"
            if found.model:
                text += f"; model {found.model}"
            if found.settings:
                text += f" ({listed(found.settings)})"
            yield model, text


def _calibration(results: Results) -> str:
    if not results.calibration:
        return "left out, as no model has probabilities"
    return (
        f"images in {SCORE_BINS} bins of equal width, from 0 to 1, by the probability of their "
        "best label"
    )
