"""Which of a model's files of predictions is for which split, where nobody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.errors import InputError


def by_split(
    model: str, given: Sequence[Predictions], truths: Mapping[str, ImageLabels]
) -> dict[str, Predictions]:
    """The predictions for each split: those that have its images.

    Args:
        model: the model's name.
        given: its predictions, one set or several.
        truths: the labels of the images of each split, by its name.

    Returns:
        By the name of the split; splits of which no predictions have an image are left out.

    Raises:
        InputError: several sets have images of one split, or one has none of any split.
    """
    if len(given) == 1:
        return dict.fromkeys(truths, given[0])
    found: dict[str, Predictions] = {}
    for split, truth in truths.items():
        having = [one for one in given if np.isin(one.image_ids, truth.image_ids).any()]
        if len(having) > 1:
            raise InputError(
                f"{having[0].path} and {having[1].path} both have images of the split {split}; "
                f"give one of them as --predictions={model}@{split}=PATH, or write them into one "
                "file"
            )
        if having:
            found[split] = having[0]
    used = set(map(id, found.values()))
    unused = [one.path for one in given if id(one) not in used]
    if unused:
        paths = ", ".join(truth.path for truth in truths.values())
        raise InputError(
            f"{unused[0]}: has none of the images of {paths}; check that both are of the same split"
        )
    return found
