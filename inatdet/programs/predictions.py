"""Flags about predictions of classifiers, and what their values mean."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.boxes_as_labels import labels_of_boxes
from inatdet.data.formats.reading import read_predictions
from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.classification.assignment import by_split
from inatdet.evaluation.classification.protocol import MAIN_SPLIT
from inatdet.programs.reading import read_labels_as_flags_say
from inatdet.programs.running import progress

# The flags defined here belong to the programs that ask for them, and so do their lines of help.
flags.disclaim_key_flags()

_IS_NAME = re.compile(r"[\w.+ -]{1,80}").fullmatch

LABELS = "--labels=PATH, or --labels=SPLIT=PATH for several splits"
PREDICTIONS = "--predictions=MODEL=PATH, or --predictions=MODEL@SPLIT=PATH for one split"


@dataclass(frozen=True)
class Source:
    """One value of --predictions.

    Attributes:
        model: the model's name.
        split: the split it is for; empty if it does not say.
        path: the file.
    """

    model: str
    split: str
    path: str


def define_labels() -> None:
    """Defines --labels."""
    flags.DEFINE_multi_string(
        "labels",
        [],
        "What each image shows, to evaluate predictions: JSON with one category for each image; "
        "SPLIT=PATH where there are several.",
    )


def define_predictions() -> None:
    """Defines the flags of predictions, and of their truth."""
    define_labels()
    flags.DEFINE_multi_string(
        "predictions",
        [],
        "MODEL=PATH, what a classifier says about images: Parquet of inatdet classify, CSV as "
        "Kaggle's, other tables, or NumPy's .npz; several files for several splits, "
        "MODEL@SPLIT=PATH where image ids of splits are the same.",
    )
    flags.DEFINE_string(
        "image_taxonomy",
        None,
        "The label spaces of predictions, an image_taxonomy.json, where --taxonomy is that of "
        "detections.",
    )
    flags.DEFINE_string("main_split", None, "The split that all but Table 3 is about.")
    flags.DEFINE_string(
        "train_labels", None, "What each training image shows, to be counted per species: JSON."
    )


def paths_of_labels(items: Sequence[str]) -> dict[str, str]:
    """Splits the values of --labels.

    Args:
        items: `SPLIT=PATH`, or `PATH` alone.

    Returns:
        The paths by the names of the splits; that of a single path is `val`.

    Raises:
        InputError: a path lacks its name although there are several, or a name comes twice.
    """
    paths: dict[str, str] = {}
    for item in items:
        name, sign, path = item.partition("=")
        if not (sign and _IS_NAME(name)) or os.path.exists(item):
            name, path = MAIN_SPLIT, item
            if len(items) > 1:
                raise InputError(
                    f"--labels={item}: there are several, so give each the name of its split, as "
                    "in --labels=val=PATH"
                )
        if not path:
            raise InputError(f"--labels={item}: must be {LABELS}")
        if name in paths:
            raise InputError(f"--labels={item}: {name} is given twice; give it once")
        paths[name] = path
    return paths


def one_path_of_labels(items: Sequence[str]) -> str:
    """The path of --labels where there is to be one split.

    Raises:
        InputError: there are several, or it is of another form.
    """
    if len(items) > 1:
        raise InputError("--labels: models are tested on one split; give one file")
    return next(iter(paths_of_labels(items).values()))


def two_models(items: Sequence[str]) -> dict[str, str]:
    """Splits `MODEL=PATH MODEL=PATH`.

    Returns:
        The paths by the names of the models.

    Raises:
        InputError: one is of another form, or both have the same name.
    """
    paths = dict(item.partition("=")[::2] for item in items)
    for model, path in paths.items():
        if not model or not path:
            raise InputError(f"{model}: must be MODEL=PATH")
    if len(paths) < len(items):
        raise InputError(
            f"both models are called {next(iter(paths))}; give each a name of its own, as in "
            "first=PATH second=PATH"
        )
    return paths


def sources_of(items: Sequence[str], splits: Collection[str]) -> list[Source]:
    """Splits the values of --predictions.

    Args:
        items: `MODEL=PATH`, or `MODEL@SPLIT=PATH`.
        splits: the names of the splits.

    Raises:
        InputError: a value is of another form, names a split without labels, or comes twice.
    """
    sources: list[Source] = []
    for item in items:
        name, _, path = item.partition("=")
        model, at, split = name.rpartition("@") if "@" in name else (name, "", "")
        if not path or not model or (at and not split):
            raise InputError(f"--predictions={item}: must be {PREDICTIONS}")
        if at and split not in splits:
            raise InputError(
                f"--predictions={item}: there are no labels of a split {split}; the splits are "
                f"{', '.join(splits)}"
            )
        source = Source(model, split, path)
        if source in sources or (split and (model, split) in {(s.model, s.split) for s in sources}):
            raise InputError(f"--predictions={item}: is given twice; give it once")
        sources.append(source)
    return sources


def read_labels_of(
    paths: Mapping[str, str], values: flags.FlagValues, annotations: Annotations | None = None
) -> dict[str, ImageLabels]:
    """Reads the labels of each split.

    Args:
        paths: of `paths_of_labels`.
        values: the flags of `define_reading`.
        annotations: boxes that say what images show, where there are no paths.

    Raises:
        InputError: one cannot be read, or there is neither a path nor any annotations.
    """
    if paths:
        return {split: read_labels_as_flags_say(path, values) for split, path in paths.items()}
    if annotations is None:
        raise InputError(
            f"--predictions needs what the images show; give {LABELS}, or boxes as --annotations"
        )
    return {MAIN_SPLIT: labels_of_boxes(annotations)}


def label_spaces_of(truths: Mapping[str, ImageLabels], path: str | None) -> Taxonomy:
    """The label spaces that predictions are expressed in.

    Args:
        truths: the labels of each split.
        path: a file of label spaces, if one was given.

    Raises:
        InputError: the file cannot be read, or splits have different categories.
    """
    first, *others = truths.values()
    if path:
        return Taxonomy.load(path).with_ranks_of(first.categories)
    for other in others:
        if set(other.categories) != set(first.categories):
            raise InputError(
                f"{other.path}: has other categories than {first.path}; give label spaces that "
                "hold for both with --taxonomy"
            )
    return first.full_taxonomy


def read_predictions_of(
    sources: Sequence[Source], truths: Mapping[str, ImageLabels], taxonomy: Taxonomy
) -> dict[str, dict[str, Predictions]]:
    """Reads the files of `sources_of`.

    Args:
        sources: the files.
        truths: the labels of each split.
        taxonomy: the label spaces.

    Returns:
        By the name of the model, then by that of the split.

    Raises:
        InputError: one cannot be read, or has none of the images.
    """
    models: dict[str, dict[str, Predictions]] = {}
    for model in dict.fromkeys(source.model for source in sources):
        own = [source for source in sources if source.model == model]
        found = {
            source.split: read_predictions_at(source.path, truths[source.split], taxonomy)
            for source in own
            if source.split
        }
        others = {split: truth for split, truth in truths.items() if split not in found}
        unnamed = [
            read_predictions_at(source.path, _joined(others or truths), taxonomy)
            for source in own
            if not source.split
        ]
        models[model] = found | (by_split(model, unnamed, others) if unnamed else {})
    return models


def _joined(truths: Mapping[str, ImageLabels]) -> ImageLabels:
    """The images of all splits, for files that have several."""
    first, *others = truths.values()
    if not others:
        return first
    return replace(
        first,
        images=tuple(image for truth in truths.values() for image in truth.images),
        category_ids=np.concatenate([truth.category_ids for truth in truths.values()]),
    )


def read_predictions_at(path: str, truth: ImageLabels, taxonomy: Taxonomy) -> Predictions:
    """Reads one file of predictions, and prints what there is to say about how it was read.

    Raises:
        InputError: it cannot be read.
    """
    progress(f"reading {path}")
    found = read_predictions(path, truth, taxonomy=taxonomy)
    for note in found.notes:
        progress(f"note: {note}")
    return found
