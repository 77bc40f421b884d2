"""Other ways to read the four numbers of a box, and how well each fits the ground truth.

Programs write boxes as corners, as centers, as fractions, with y before x, or in pixels of a
resized image. Read as `x, y, width, height` in pixels, such boxes are still numbers, so only the
comparison with the true boxes shows the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

_INPUT_SIDES = (224, 256, 300, 320, 384, 416, 448, 512, 600, 608, 640, 768, 800, 1024, 1280, 1333)
"""Sides, in pixels, that detectors commonly resize images to."""

_LONGEST_SIDES = {600: 1024, 800: 1333}
"""The limit on the longer side that goes with a shorter side."""

_LARGEST_FRACTION = 2.0  # boxes may reach over the edge of their image

LEAST_FIT = 0.5
"""A reading is named only if the boxes have at least this mean IoU with the true ones, ..."""

WORSE_BY = 0.7
"""... and if the boxes as they stand have at most this share of it."""

Reading = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From boxes `[n, 4]` and their images' widths and heights `[n, 2]` to `x, y, width, height`."""


def better_reading(
    boxes: np.ndarray, sizes: np.ndarray, fit: Callable[[np.ndarray], float]
) -> str | None:
    """The reading that fits the ground truth far better than the boxes as they stand.

    Args:
        boxes: float64 `[n, 4]`, as the file has them.
        sizes: float64 `[n, 2]`, the width and height of each box's image.
        fit: gives the mean IoU of boxes `[n, 4]` with the true boxes.

    Returns:
        What the four numbers seem to be, in words; None where nothing fits far better.
    """
    as_read = fit(boxes)
    if not len(boxes) or as_read > WORSE_BY:  # a mean IoU is at most 1, so none fits far better
        return None
    fits = {name: fit(read(boxes, sizes)) for name, read in _readings(boxes)}
    best = max(fits, key=lambda name: fits[name])
    if fits[best] < LEAST_FIT or as_read > WORSE_BY * fits[best]:
        return None
    return best


def _readings(boxes: np.ndarray) -> Iterator[tuple[str, Reading]]:
    yield "corners (x, y, right, bottom)", _corners
    yield "centers (center x, center y, width, height)", _centers
    yield "y before x (y, x, height, width)", _swapped
    yield (
        "corners with y before x (y, x, bottom, right)",
        lambda boxes, sizes: _corners(_swapped(boxes, sizes), sizes),
    )
    if np.mean(boxes <= _LARGEST_FRACTION) > 0.9:
        yield from _of_fractions()
    for side in _INPUT_SIDES:
        yield f"pixels of a {side} x {side} input", _stretched(side)
        yield f"pixels of an input whose longer side is {side}", _scaled(side, None)
        yield (
            f"pixels of an input whose shorter side is {side}",
            _scaled(_LONGEST_SIDES.get(side), side),
        )


def _of_fractions() -> Iterator[tuple[str, Reading]]:
    def scaled(read: Reading) -> Reading:
        return lambda boxes, sizes: read(boxes, sizes) * np.tile(sizes, 2)

    yield "fractions of the image (x, y, width, height)", scaled(lambda boxes, _: boxes)
    yield "fractions of the image, as corners", scaled(_corners)
    yield "fractions of the image, as centers", scaled(_centers)


def _corners(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    del sizes
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _centers(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    del sizes
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def _swapped(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    del sizes
    return boxes[:, [1, 0, 3, 2]]


def _stretched(side: int) -> Reading:
    return lambda boxes, sizes: boxes * np.tile(sizes / side, 2)


def _scaled(longest: int | None, shortest: int | None) -> Reading:
    """Images that keep their aspect ratio: resized by the longer side, the shorter, or both."""

    def read(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        factors = np.full(len(sizes), np.inf)
        if longest is not None:
            factors = longest / sizes.max(axis=1)
        if shortest is not None:
            factors = np.minimum(factors, shortest / sizes.min(axis=1))
        scaled: np.ndarray = boxes / factors[:, np.newaxis]
        return scaled

    return read
