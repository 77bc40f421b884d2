"""Reads predictions, whatever kind of file they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable

from inatdet.data.annotations import Image
from inatdet.data.formats.predictions_parquet import PredictionsWriter, read_parquet_predictions
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy

__all__ = ["PredictionsWriter", "read_predictions"]


def read_predictions(
    path: str | os.PathLike[str], taxonomy: Taxonomy, images: Iterable[Image] = ()
) -> Predictions:
    """Reads and checks predictions of whatever kind.

    Args:
        path: a Parquet file of `PredictionsWriter`.
        taxonomy: the label spaces to express the labels in.
        images: the images of the truth, by whose names image ids that are file names are found.

    Returns:
        The predictions, in the order of the file.

    Raises:
        InputError: the file is missing, empty, truncated or of another format; its labels do not
            fit; or an image comes twice, or has probabilities that are none.
    """
    return read_parquet_predictions(os.fspath(path), taxonomy)
