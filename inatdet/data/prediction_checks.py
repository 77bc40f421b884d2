"""Checks of predictions, whatever file or array they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from inatdet.data.entries import short
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.errors import InputError

ROUNDING = 1e-5
"""By how much a probability may be above one, or above the one before it."""

SUM_ROUNDING = 1e-2
"""By how much the probabilities of an image may sum to more than one: they may have been rounded to
few digits, or computed with 16 bits."""

_ROWS_AT_ONCE = 1 << 13  # of which temporary copies are made

Fault = Callable[[slice], np.ndarray]
"""From rows to bool `[rows, ...]`."""


Names = Sequence[object] | np.ndarray
"""`[images]`, what images are called in messages: their ids or the names that a file has."""


def shown(name: object) -> str:
    """The name of an image in a message: a number as it is, anything else in quotes and short."""
    is_number = not isinstance(name, str) or (name.isdecimal() and len(name) < 20)
    return str(name) if is_number else short(name)


def check_image_ids(path: str, image_ids: np.ndarray, names: Names | None = None) -> None:
    """Raises `InputError` if there is no image, or one comes twice; the first such is named.

    Args:
        path: the file, for the message.
        image_ids: int64 `[images]`.
        names: what they are called, by default their ids.
    """
    if not len(image_ids):
        raise InputError(f"{path}: has no predictions; give the file that has them")
    ascending = np.sort(image_ids)
    twice = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(twice):
        count = len(np.unique(twice))
        name = (image_ids if names is None else names)[int(np.argmax(image_ids == twice[0]))]
        raise InputError(
            f"{path}: has image {shown(name)} twice or more often; {so_many(count)} like this; "
            "keep one prediction of each"
        )


def check_lengths(path: str, images: Names, lengths: np.ndarray) -> None:
    """Raises `InputError` where an image has no label; the first such image is named.

    Args:
        path: the file, for the message.
        images: what they are called.
        lengths: int `[images]`, how many labels each has.
    """
    empty = lengths == 0
    if empty.any():
        row = int(np.argmax(empty))
        raise InputError(
            f"{path}: image {shown(images[row])} has no label; {so_many(int(empty.sum()))} like "
            "this; write at least the best label of each image, or leave the image out"
        )


def check_ranked(
    path: str,
    images: Names,
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    *,
    count: int,
    level: Granularity,
    called: Callable[[int], str] = "label {}".format,
) -> None:
    """Checks the labels and probabilities of predictions at one level.

    Args:
        path: the file, for the message.
        images: what they are called.
        labels: int32 `[images, k]`, in which `NO_LABEL` may stand.
        probabilities: float32 `[images, k]`, or None.
        count: how many labels there are.
        level: the level of the labels.
        called: what a label is called in messages.

    Raises:
        InputError: a label is not in 0..count or comes twice for one image, or probabilities are
            not finite, outside of 0..1, not in descending order or sum to more than one. The first
            such image is named.
    """

    def refuse(fault: Fault, what: Callable[[int], str], advice: str) -> None:
        blocks = range(0, len(labels), _ROWS_AT_ONCE)
        bad = np.zeros(len(labels), bool)
        for start in blocks:
            rows = slice(start, start + _ROWS_AT_ONCE)
            bad[rows] = fault(rows).any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(
                f"{path}: image {shown(images[row])} {what(row)}; {so_many(int(bad.sum()))} like "
                f"this; {advice}"
            )

    refuse(
        lambda rows: _are_outside(labels[rows], count),
        lambda row: f"has the label {labels[row][_are_outside(labels[row], count)][0]}",
        f"{level} labels go from 1 to {count}",
    )
    refuse(
        lambda rows: _have_repeats(labels[rows]),
        lambda row: f"has {called(_repeated(labels[row]))} twice",
        "write each of an image once",
    )
    if probabilities is None:
        return
    values = probabilities
    refuse(
        lambda rows: _are_impossible(values[rows]),
        lambda row: f"has the probability {values[row][_are_impossible(values[row])][0]:g}",
        "probabilities are finite and go from 0 to 1",
    )
    refuse(
        lambda rows: values[rows, 1:] > values[rows, :-1] + ROUNDING,
        lambda row: "does not have its probabilities in descending order",
        "write the best label first",
    )
    refuse(
        lambda rows: values[rows].sum(axis=1, dtype=np.float64, keepdims=True) > 1 + SUM_ROUNDING,
        lambda row: f"has probabilities that sum to {values[row].sum(dtype=np.float64):.4g}",
        "those of one image sum to at most 1, as softmax makes them",
    )


def _are_outside(labels: np.ndarray, count: int) -> np.ndarray:
    outside: np.ndarray = (labels < 0) | (labels > count)
    return outside


def _have_repeats(labels: np.ndarray) -> np.ndarray:
    ascending = np.sort(labels, axis=1)
    repeats: np.ndarray = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] != NO_LABEL)
    return repeats


def _repeated(labels: np.ndarray) -> int:
    known, counts = np.unique(labels[labels != NO_LABEL], return_counts=True)
    return int(known[counts > 1][0])


def _are_impossible(probabilities: np.ndarray) -> np.ndarray:
    impossible: np.ndarray = ~((probabilities >= 0) & (probabilities <= 1 + ROUNDING))  # as NaN is
    return impossible


def so_many(count: int, noun: str = "image") -> str:
    """`3 images are`, or `1 image is`."""
    return f"{count:,} {noun}s are" if count != 1 else f"1 {noun} is"
