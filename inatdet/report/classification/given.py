"""What an evaluation of classifiers is given, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.protocol import PROTOCOL_VERSION
from inatdet.files import sha256_of


@dataclass(frozen=True, eq=False)
class Given:
    """What was evaluated.

    Attributes:
        truths: the labels of the images of each split, by its name.
        predictions: what each model says, by its name and that of the split.
        label_spaces: where the label spaces come from, in words.
        label_spaces_sha256: the hash of their file; empty if there is none.
        training: where the numbers of training images come from, in words; empty if they are not
            known.
    """

    truths: Mapping[str, ImageLabels]
    predictions: Mapping[str, Mapping[str, Predictions]]
    label_spaces: str
    label_spaces_sha256: str = ""
    training: str = ""

    def files_of(self, model: str) -> dict[int, tuple[Predictions, list[str]]]:
        """The sets of predictions of a model, each with the splits that it is for."""
        files: dict[int, tuple[Predictions, list[str]]] = {}
        for split, found in self.predictions[model].items():
            files.setdefault(id(found), (found, []))[1].append(split)
        return files

    def sources(self) -> dict[str, object]:
        """All files, with their hashes."""
        return {
            "protocol_version": PROTOCOL_VERSION,
            "labels": [
                {"split": split, "path": truth.path, "sha256": truth.sha256 or None}
                for split, truth in self.truths.items()
            ],
            "taxonomy": {
                "source": self.label_spaces,
                "sha256": self.label_spaces_sha256 or None,
            },
            "predictions": [
                {
                    "model": model,
                    "splits": splits,
                    "path": found.path,
                    "sha256": found.sha256 or None,
                    "granularity": str(found.trained_on),
                }
                for model in self.predictions
                for found, splits in self.files_of(model).values()
            ],
        }


def given_of(
    truths: Mapping[str, ImageLabels],
    predictions: Mapping[str, Mapping[str, Predictions]],
    taxonomy: Taxonomy | str | os.PathLike[str] | None,
    training: str = "",
) -> tuple[Given, Taxonomy]:
    """What is given, and the label spaces to evaluate in.

    Args:
        truths: the labels of the images of each split, by its name.
        predictions: what each model says, by its name and that of the split.
        taxonomy: the label spaces or their file; by default those of the predictions.
        training: see `Given`.

    Raises:
        InputError: the file cannot be read, or there are no predictions to have label spaces.
    """
    if isinstance(taxonomy, (str, os.PathLike)):
        path = os.fspath(taxonomy)
        spaces = Taxonomy.load(path)
        for truth in truths.values():
            spaces = spaces.with_ranks_of(truth.categories)
        return Given(truths, predictions, path, sha256_of(path), training), spaces
    if taxonomy is not None:
        return Given(truths, predictions, "given", training=training), taxonomy
    for found in predictions.values():
        for one in found.values():
            where = "those that the predictions were read with"
            return Given(truths, predictions, where, training=training), one.taxonomy
    raise InputError("there are no predictions; give those of at least one model")
