"""The arrays that a caller gives as predictions, checked for their types and shapes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inatdet.errors import InputError


def whole_numbers(name: str, given: npt.ArrayLike, what: str) -> np.ndarray:
    """An array of whole numbers, int64.

    Args:
        name: what messages call the predictions.
        given: the numbers.
        what: they are.

    Raises:
        InputError: they are others, or form no array.
    """
    numbers = _array(name, given, what)
    if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(f"{name}: {what} must be whole numbers, not {numbers.dtype}")
    return numbers.astype(np.int64)


def scores_of(name: str, given: npt.ArrayLike) -> np.ndarray:
    """An array of scores, of the type that it has.

    Args:
        name: what messages call the predictions.
        given: the scores.

    Raises:
        InputError: they are no real numbers, or form no array.
    """
    scores = _array(name, given, "scores")
    if not np.issubdtype(scores.dtype, np.number) or np.iscomplexobj(scores):
        raise InputError(f"{name}: scores must be numbers, not {scores.dtype}")
    return scores


def _array(name: str, given: npt.ArrayLike, what: str) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError as error:
        raise InputError(
            f"{name}: {what} do not form a table, as rows have different lengths; fill them up"
        ) from error


def matrix(values: np.ndarray) -> np.ndarray:
    """One value of each image `[images]` as a column `[images, 1]`; others as they are."""
    return values.reshape(-1, 1) if values.ndim == 1 else values


def check_shapes(
    name: str, image_ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None
) -> None:
    """Raises `InputError` unless every image has a row, and every label a probability.

    Args:
        name: what messages call the predictions.
        image_ids: `[images]`.
        labels: or scores, `[images, k]` if they fit.
        probabilities: of the labels; None where there are none.
    """
    if labels.ndim != 2 or len(labels) != len(image_ids) or not labels.shape[1]:
        raise InputError(
            f"{name}: {len(image_ids):,} images have labels or scores of the shape {labels.shape}; "
            "each needs one row"
        )
    if probabilities is not None and probabilities.shape != labels.shape:
        raise InputError(
            f"{name}: has labels of the shape {labels.shape}, but probabilities of the shape "
            f"{probabilities.shape}; each label needs its own"
        )
