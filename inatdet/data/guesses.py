"""The best labels of images, given as the dataset's category ids."""

from __future__ import annotations

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.label_matching import check_categories, match_categories
from inatdet.data.labels import NO_LABEL
from inatdet.data.prediction_checks import Names, check_ranked, shown
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy


def rank_categories(
    path: str,
    images: Names,
    category_ids: np.ndarray,
    lengths: np.ndarray,
    probabilities: np.ndarray | None,
    taxonomy: Taxonomy,
) -> tuple[Ranked, tuple[str, ...]]:
    """Checks categories and makes labels of them.

    Args:
        path: the file, for messages.
        images: what they are called.
        category_ids: int64 `[images, k]`, the best first.
        lengths: int `[images]`, how many of them are meant.
        probabilities: float32 `[images, k]`, or None.
        taxonomy: the label spaces.

    Returns:
        Species labels, and what to tell about them.

    Raises:
        InputError: a category is unknown or comes twice for an image, or probabilities are none.
    """
    meant = np.arange(category_ids.shape[1]) < lengths[:, np.newaxis]
    space = np.unique(category_ids[meant])

    def where(category_id: int) -> str:
        row = int(np.argmax((meant & (category_ids == category_id)).any(axis=1)))
        return f" (image {shown(images[row])})"

    check_categories(path, space, taxonomy, where)
    labels = (np.searchsorted(space, category_ids) + 1).astype(np.int32)
    labels[~meant] = NO_LABEL
    check_ranked(
        path,
        images,
        labels,
        probabilities,
        count=len(space),
        level=Granularity.SPECIES,
        called=lambda label: f"category {space[label - 1]}",
    )
    notes = match_categories(path, space, taxonomy).apply(labels)
    return Ranked(labels, probabilities), notes
