"""What classifiers say about images: the table that classification is evaluated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy

MOST_LABELS = 100
"""How many labels of an image are kept by default, of thousands."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best labels of each image at one level.

    Attributes:
        labels: int32 `[images, k]`, the best first. `NO_LABEL` stands for a guess that the label
            spaces do not have, which is wrong, and for no guess behind an image's last one.
        probabilities: float32 `[images, k]`, 0 where there is no guess; None where only the order
            is known.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None

    @property
    def k(self) -> int:
        """How many labels an image has at most."""
        return int(self.labels.shape[1])


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one model. Row i of every column is the i-th image; each image comes once.

    Attributes:
        path: the file they were read from, or what they are called.
        trained_on: the level of the model's labels.
        image_ids: int64 `[images]`.
        ranked: the best labels by level: at `trained_on`, and at coarser levels for which the model
            summed the probabilities of all its labels. Labels are those of `taxonomy`.
        taxonomy: the label spaces.
        model: what the file says about its model.
        settings: what the file says about how the predictions were made.
        sha256: the hash of the file, in hexadecimal; empty where it was not computed.
        notes: sentences about how the file was read, where there was more than one way.
    """

    path: str
    trained_on: Granularity
    image_ids: np.ndarray
    ranked: Mapping[Granularity, Ranked]
    taxonomy: Taxonomy
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        return (
            f"Predictions({self.path!r}: {len(self):,} images, the best {self.own.k} of "
            f"{self.trained_on} labels)"
        )

    @property
    def own(self) -> Ranked:
        """The labels that the model was trained on."""
        return self.ranked[self.trained_on]
