"""Time and memory of evaluating a classifier on all of iNat2017, against pandas and scikit-learn.

    python -m benchmarks.full_size_predictions --output_dir=DIR
    python -m benchmarks.classification_evaluation --data_dir=DIR

Both sides begin with the same Parquet file of the 100 best labels of each of 95,986 images, the
true labels being in memory, and end with the same numbers, which must agree: Table 3, Table 4,
Figure 5, rare, common and frequent species, every species, pairs of confused species, accuracy at
every rank by mapped and summed labels, the severity of mistakes, distances, and calibration. The
peer is what pandas and scikit-learn are made for: a long table of guesses, joins, groups, and a
function per measure. Halves of the images for standard errors have no peer; their time stands
beside it. The median of `--repeats` runs of each side, by turns. Memory is the process's peak after
our side, before any peer ran.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks.measuring import Target, peak_gib, print_table, print_targets, seconds
from inatdet.data.formats.image_labels import read_image_labels
from inatdet.data.formats.predictions import read_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.breakdowns import BINS
from inatdet.evaluation.classification.results import Results, evaluate
from inatdet.evaluation.frequency import LVIS

_HALVES = 200
_SPECIES = Granularity.SPECIES
_COARSER = (Granularity("genus"), Granularity.SUPER)


def ours(
    path: str, truth: ImageLabels, taxonomy: Taxonomy, train: dict[int, int], resamples: int = 0
) -> Results:
    """The numbers by this package."""
    predictions = read_predictions(path, taxonomy)
    return evaluate(
        {"val": truth},
        {"model": predictions},
        taxonomy=taxonomy,
        training_images=train,
        resamples=resamples,
    )


def peers(
    path: str, truth: ImageLabels, taxonomy: Taxonomy, train: dict[int, int]
) -> dict[str, float]:
    """The same numbers by pandas and scikit-learn, of which some are returned to be compared."""
    import pandas as pd
    from sklearn import metrics

    table = pd.read_parquet(path).set_index("image_id")
    label_of = taxonomy.label_of_category(_SPECIES)
    true = pd.Series([label_of[i] for i in truth.category_ids.tolist()], truth.image_ids)
    guesses = table[["labels"]].explode("labels").astype(np.int32)
    guesses["rank"] = guesses.groupby(level=0).cumcount()
    guesses["true"] = true.reindex(guesses.index)
    found = guesses[guesses["labels"] == guesses["true"]]["rank"].reindex(true.index)
    images = pd.DataFrame({"true": true, "best": guesses[guesses["rank"] == 0]["labels"]})
    for most in (1, 3, 5):
        images[f"top{most}"] = found < most
    images["confidence"] = table["probabilities"].str[0]
    species = pd.DataFrame(index=pd.RangeIndex(1, len(taxonomy.species) + 1))
    species["super"] = [c.supercategory for c in taxonomy.species]
    species["train"] = [train.get(c.id, 0) for c in taxonomy.species]
    by_species = images.groupby("true")
    species["top1"], species["top5"] = by_species["top1"].mean(), by_species["top5"].mean()
    species["confidence"], species["images"] = by_species["confidence"].mean(), by_species.size()
    species["precision"] = metrics.precision_score(
        images["true"], images["best"], labels=species.index, average=None, zero_division=np.nan
    )
    table4 = species.groupby("super")[["train", "top1", "top5"]].mean()
    boxes = species.groupby(pd.cut(species["train"], [*BINS, np.inf], right=False), observed=True)
    quartiles = boxes["top1"].describe()
    rates = species.groupby(pd.cut(species["train"], [-1, 0, *LVIS, np.inf]), observed=True)
    frequency = rates[["top1", "top5"]].mean()
    wrong = images[images["true"] != images["best"]]
    confusions = wrong.groupby(["true", "best"]).size().sort_values(ascending=False)
    numbers = {
        **{f"top{most}": metrics.accuracy_score(images[f"top{most}"], np.ones(len(images)))
           for most in (1, 3, 5)},
        "class_top1": metrics.balanced_accuracy_score(images["true"], images["best"]),
        "class_top5": species["top5"].mean(),
        "table4": table4["top1"].sum(),
        "boxes": quartiles["50%"].sum(),
        "frequency": frequency["top5"].sum(),
        "precision": species["precision"].sum(),
        "confidence": species["confidence"].sum(),
        "confusions": len(confusions),
        "most_confused": confusions.iloc[0],
        "ece": _ece(images["confidence"], images["top1"]),
    }  # fmt: skip
    guesses["height"] = (guesses["labels"] != guesses["true"]).astype(np.int8)
    every = np.arange(1, len(taxonomy.species) + 1)
    for level in _COARSER:
        coarse = pd.Series(taxonomy.coarsen(every, _SPECIES, level), every)
        of_true = images["true"].map(coarse)
        numbers[f"mapped_{level}"] = metrics.accuracy_score(of_true, images["best"].map(coarse))
        summed = table[f"labels_{level}"].str[0].reindex(images.index)
        numbers[f"summed_{level}"] = metrics.accuracy_score(of_true, summed)
        confidence = table[f"probabilities_{level}"].str[0].reindex(images.index)
        numbers[f"ece_{level}"] = _ece(confidence, of_true == summed)
        guesses["height"] += guesses["labels"].map(coarse) != guesses["true"].map(coarse)
    for most in (1, 5, 20):
        best = guesses[guesses["rank"] < most]
        numbers[f"distance{most}"] = best.groupby(level=0)["height"].mean().mean()
    mistakes = guesses[(guesses["rank"] == 0) & (guesses["height"] > 0)]
    return numbers | {"severity": mistakes["height"].mean()}


def _ece(confidence, right) -> float:
    import pandas as pd
    from sklearn.calibration import calibration_curve

    shares, means = calibration_curve(right, confidence, n_bins=10)
    bins = pd.cut(confidence, np.linspace(0, 1, 11), include_lowest=True).value_counts(sort=False)
    weights = bins.to_numpy()
    return float(np.abs(shares - means) @ weights[weights > 0] / weights.sum())


def numbers_of(found: Results) -> dict[str, float]:
    """Ours by the peer's names; shares in 0..1."""
    (table3,), (mistakes,) = found.table3, found.mistakes
    of_level = {row.evaluated_on: row.calibration.ece / 100 for row in found.calibration}
    accuracy = {(row.rule, row.evaluated_on): row.top1 / 100 for row in found.ladder}
    assert table3.top3 is not None
    assert table3.top5 is not None
    assert table3.class_top5 is not None
    return {
        "top1": table3.top1 / 100,
        "top3": table3.top3 / 100,
        "top5": table3.top5 / 100,
        "class_top1": table3.class_top1 / 100,
        "class_top5": table3.class_top5 / 100,
        "table4": sum(row.top1 for row in found.table4[:-1]) / 100,
        "boxes": sum(row.median for row in found.by_training) / 100,
        "frequency": sum(row.top5 or 0.0 for row in found.frequency) / 100,
        "precision": float(np.nansum([row.precision for row in found.per_class])) / 100,
        "confidence": float(np.nansum([row.mean_confidence for row in found.per_class])) / 100,
        "confusions": len(found.confusions),
        "most_confused": found.confusions[0].images,
        "ece": of_level[_SPECIES],
        **{f"ece_{level}": of_level[level] for level in _COARSER},
        **{f"{rule}_{level}": accuracy[rule, level]
           for rule in ("mapped", "summed") for level in _COARSER},
        "distance1": mistakes.distance1,
        "distance5": mistakes.distance5 or 0.0,
        "distance20": mistakes.distance20 or 0.0,
        "severity": mistakes.severity,
    }  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    truth = read_image_labels(os.path.join(values.data_dir, "val.json"))
    taxonomy = Taxonomy.from_categories(truth.categories, [c.id for c in truth.categories])
    training = read_image_labels(os.path.join(values.data_dir, "train.json"))
    given = (
        os.path.join(values.data_dir, f"{values.model}.parquet"),
        truth,
        taxonomy,
        dict(Counter(training.category_ids.tolist())),
    )
    del training
    with_halves = seconds(lambda: ours(*given, resamples=_HALVES))
    memory = peak_gib()
    times: list[tuple[float, float]] = []
    for _ in range(values.repeats):
        both: list[dict[str, float]] = []
        mine = seconds(lambda: both.append(numbers_of(ours(*given))))  # noqa: B023
        theirs = seconds(lambda: both.append(peers(*given)))  # noqa: B023
        for name, expected in both[1].items():
            assert np.isclose(both[0][name], expected, rtol=1e-5), (name, both, expected)
        times.append((mine, theirs))
    mine, theirs = (statistics.median(column) for column in zip(*times))
    print_table(
        ("images", "ours, s", f"ours with {_HALVES} halves, s", "pandas and scikit-learn, s"),
        [(f"{len(truth):,}", f"{mine:.1f}", f"{with_halves:.1f}", f"{theirs:.1f}")],
    )
    print_targets(
        [
            Target("pandas and scikit-learn against ours", theirs / mine, 5),
            Target("ours with standard errors", with_halves, 20, at_most=True, unit="s"),
            Target("peak memory, training labels included", memory, 2, at_most=True, unit="GiB"),
        ]
    )


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Where benchmarks.full_size_predictions wrote.",
                        required=True)  # fmt: skip
    flags.DEFINE_string("model", "inception_v3", "The model whose predictions are evaluated.")
    flags.DEFINE_integer("repeats", 3, "How often each side runs.", lower_bound=1)
    app.run(main)
