"""Warnings about files that are valid and still look wrong.

Detections that are plausible as numbers and wrong as data, corners where widths and heights belong
or names shifted by one, give an average precision near zero without any error. Each rule here
measures one such mistake against the ground truth, says how many detections or images it concerns,
and names the reading that would fit. The rules stay silent on detections that are merely bad: a
warning needs another reading that fits several times better, or a count that no working detector
produces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inatdet.data.boxes import RIGHT_IOU, iou
from inatdet.data.conventions import look_like_corners
from inatdet.data.detections import Detections
from inatdet.data.formats.image_ids import ids_of_numbers
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.errors import InputError
from inatdet.evaluation.limits import cutting_limit
from inatdet.evaluation.orders import (
    LEAST_AGREEMENT,
    SEVERAL_TIMES,
    other_order,
    share_in_order,
)
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.protocol import Prepared
from inatdet.evaluation.readings import better_reading

_BEST_PER_IMAGE = 3  # detections of an image that are compared with its true boxes
_MAX_IMAGES = 5000  # that the comparison looks at: enough for shares to a percent
_MAX_TRUE_BOXES = 200  # of an image that it looks at
_ENOUGH = 20  # images or detections; of fewer, no share is judged
_FEW, _MANY, _MOSTLY = 0.01, 0.1, 0.8  # shares
_LEAVES_BY = 0.05  # share of the image's longer side
_ROWS_AT_ONCE = 1 << 14  # they stay in a core's cache
_ROUNDED = 1e-4  # how much files of one model may differ, relatively


@dataclass(frozen=True)
class DataWarning:
    """Something that looks wrong.

    Attributes:
        kind: what it is about, in one word: `boxes`, `classes`, `coverage`, `images`, `models`,
            `pictures` or `scores`.
        message: one sentence: which file, what, how many, and what to do.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


def checked(
    prepared: Prepared, *, strict: bool, notify: Callable[[str], None]
) -> tuple[DataWarning, ...]:
    """`told` the `data_warnings`."""
    return told(data_warnings(prepared), strict=strict, notify=notify)


def told(
    warnings: tuple[DataWarning, ...], *, strict: bool, notify: Callable[[str], None]
) -> tuple[DataWarning, ...]:
    """The warnings, each of them told at once, before anything that takes long.

    Args:
        warnings: what looks wrong.
        strict: whether a warning is an error.
        notify: called with each warning.

    Raises:
        InputError: there is a warning and `strict` is set.
    """
    if strict and warnings:
        more = f" ({len(warnings)} warnings, of which this is the first)" if warnings[1:] else ""
        raise InputError(f"{warnings[0]}{more}; without --strict this is a warning")
    for warning in warnings:
        notify(f"warning: {warning}")
    return warnings


def data_warnings(prepared: Prepared) -> tuple[DataWarning, ...]:
    """What looks wrong with the ground truth and with each model's detections."""
    found = [*_about_annotations(prepared), *_about_pairs(prepared.given)]
    for detections in prepared.detections:
        if not len(detections):
            message = (
                f"{detections.path}: has no detections in the images evaluated; check the file"
            )
            found.append(DataWarning("coverage", message))
            continue
        matches = _Matches(prepared, detections)
        found += _about_images(prepared, detections, matches)
        found += _about_boxes(detections, matches)
        found += _about_classes(prepared, detections, matches)
        found += _about_scores(detections)
        found += _about_coverage(prepared, detections)
    return tuple(found)


def _about_pairs(given: Sequence[Detections]) -> Iterator[DataWarning]:
    for position, first in enumerate(given):
        for second in given[position + 1 :]:
            if _are_same(first, second):
                yield DataWarning(
                    "models",
                    f"{second.path}: has the same boxes and scores as {first.path}, so both seem "
                    "to be of one model; check the paths",
                )


def _are_same(first: Detections, second: Detections) -> bool:
    """Whether two files have the same boxes and scores, in whatever order and precision."""
    if not len(first) or len(first) != len(second):
        return False
    # Sorting takes seconds, and files of two models differ in the sum of their scores already.
    sums = [float(np.abs(found.scores).sum()) for found in (first, second)]
    if not np.isclose(sums[0], sums[1], rtol=_ROUNDED, atol=_ROUNDED * len(first)):
        return False
    if not np.array_equal(np.sort(first.image_ids), np.sort(second.image_ids)):
        return False
    columns = []
    for found in (first, second):
        order = np.lexsort((found.scores, found.image_ids))
        starts = np.flatnonzero(np.diff(found.image_ids[order], prepend=-np.inf))
        columns.append((found.scores[order], np.add.reduceat(found.boxes[order], starts)))
    (scores, boxes), (other_scores, other_boxes) = columns
    return np.allclose(scores, other_scores, rtol=_ROUNDED, atol=_ROUNDED) and np.allclose(
        boxes, other_boxes, rtol=_ROUNDED
    )


def _about_annotations(prepared: Prepared) -> Iterator[DataWarning]:
    annotations, evaluated = prepared.annotations, len(prepared.kept.images)
    path, total = annotations.path, len(annotations.images)
    if repeated := total - len({image.file_name for image in annotations.images}):
        yield DataWarning(
            "images",
            f"{path}: {repeated:,} of {total:,} images have the file name of another image; list "
            "each image once",
        )
    boxes = annotations.boxes
    columns = [annotations.image_ids, annotations.category_ids, *boxes.T]
    if repeated := _repeats(columns):
        yield DataWarning(
            "boxes",
            f"{path}: {repeated:,} of {len(boxes):,} boxes are exact repeats, which make an image "
            "count as having several boxes; list each box once",
        )
    if look_like_corners(annotations.boxes):
        yield DataWarning(
            "boxes",
            f"{path}: all {len(annotations.boxes):,} true boxes are wider and higher than they are "
            "far from the upper left corner, as corners x1, y1, x2, y2 are and sizes are not; if "
            "so, write x, y, width, height",
        )
    if evaluated < total / 2:
        yield DataWarning(
            "images",
            f"{path}: only {evaluated:,} of {total:,} images are evaluated, those with exactly one "
            "box; use --all_images to evaluate the others too",
        )


class _Matches:
    """The best-scored detections of some images beside the true boxes of those images.

    Attributes:
        rows: int `[n]`, which detections.
        sizes: float64 `[n, 2]`, the width and height of their images.
    """

    def __init__(self, prepared: Prepared, detections: Detections):
        truth = prepared.truths[detections.trained_on]
        ids = np.unique(truth.box_images)
        if len(ids) > _MAX_IMAGES:
            ids = np.random.default_rng(0).choice(ids, _MAX_IMAGES, replace=False)
        rows = np.flatnonzero(np.isin(detections.image_ids, ids))
        best = best_of_each_image(
            detections.image_ids[rows], detections.scores[rows], _BEST_PER_IMAGE
        )
        self.rows = rows[best]
        self._image_ids = detections.image_ids[self.rows]
        order = np.argsort(truth.box_images, kind="stable")
        self._true_boxes, self._true_labels = truth.boxes[order], truth.labels[order]
        self._first = np.searchsorted(truth.box_images[order], self._image_ids, "left")
        self._end = np.searchsorted(truth.box_images[order], self._image_ids, "right")
        size_of = {image.id: (image.width, image.height) for image in prepared.kept.images}
        sizes = [size_of[image_id] for image_id in self._image_ids.tolist()]
        self.sizes = np.array(sizes, np.float64).reshape(-1, 2)

    def closest(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The largest IoU of each of boxes `[n, 4]` with a true box of its image, and its label."""
        best, label = np.zeros(len(boxes)), np.zeros(len(boxes), np.int64)
        nth = 0
        while len(rows := np.flatnonzero(self._end - self._first > nth)) and nth < _MAX_TRUE_BOXES:
            true = self._first[rows] + nth
            overlap = iou(boxes[rows], self._true_boxes[true])
            better = overlap > best[rows]
            best[rows[better]] = overlap[better]
            label[rows[better]] = self._true_labels[true[better]]
            nth += 1
        return best, label

    def fit(self, boxes: np.ndarray) -> float:
        """The best IoU in an image, averaged over images, if the detections were `[n, 4]`."""
        overlap, _ = self.closest(boxes)
        ids, image = np.unique(self._image_ids, return_inverse=True)
        highest = np.zeros(len(ids))
        np.maximum.at(highest, image, overlap)
        return float(highest.mean()) if len(ids) else 0.0


def _about_images(
    prepared: Prepared, detections: Detections, matches: _Matches
) -> Iterator[DataWarning]:
    ids, row = np.unique(detections.image_ids, return_inverse=True)
    named = ids_of_numbers(ids, prepared.annotations.images)
    if named is None or (named == ids).all():
        return
    named = named[row]
    other = _Matches(prepared, replace(detections, image_ids=named))
    fit = other.fit(detections.boxes[other.rows])
    if fit >= max(LEAST_AGREEMENT, SEVERAL_TIMES * matches.fit(detections.boxes[matches.rows])):
        yield DataWarning(
            "images",
            f"{detections.path}: its image ids are ids of the annotations, but also the names of "
            f"files of {len(np.unique(named)):,} images, whose true boxes fit far better; write "
            "the annotations' ids",
        )


def _about_boxes(detections: Detections, matches: _Matches) -> Iterator[DataWarning]:
    boxes, sizes = detections.boxes[matches.rows], matches.sizes
    if reading := better_reading(boxes, sizes, matches.fit):
        yield DataWarning(
            "boxes",
            f"{detections.path}: the boxes look like {reading}, but are read as x, y, width, "
            "height in pixels of the original image; convert them",
        )
        return
    over = (boxes[:, :2] + boxes[:, 2:] - sizes).max(axis=1, initial=-np.inf)
    leaving = over > _LEAVES_BY * sizes.max(axis=1, initial=0)
    if len(leaving) and leaving.mean() > 0.5:
        yield DataWarning(
            "boxes",
            f"{detections.path}: {leaving.mean():.0%} of the best-scored boxes leave their image; "
            "check that they are x, y, width, height in pixels, and belong to these images",
        )


def _about_classes(
    prepared: Prepared, detections: Detections, matches: _Matches
) -> Iterator[DataWarning]:
    level, total, taxonomy = detections.trained_on, len(detections), prepared.taxonomy
    labels = detections.labels[level]
    overlap, true = matches.closest(detections.boxes[matches.rows])
    right_place = overlap >= RIGHT_IOU
    found, true = labels[matches.rows][right_place], true[right_place]
    other = None
    if level is not Granularity.GENERIC and len(found) >= _ENOUGH:
        other = other_order(found, true, level, taxonomy)
    if other:
        what = f"of {len(found):,} detections on a true box have its class"
        yield DataWarning(
            "classes",
            f"{detections.path}: {other.in_words(what, '--names or --taxonomy')}",
        )
    is_uncertain = (
        detections.numbered
        and not other
        and prepared.annotations.given_taxonomy is None
        and taxonomy.num_labels(level) > 1
    )
    if is_uncertain and share_in_order(found, true, prepared.truths[level].labels) < _MOSTLY:
        yield DataWarning(
            "classes",
            f"{detections.path}: has bare numbers for its {level} classes, read in the order of "
            f"{prepared.annotations.path} ({numbered_names(taxonomy.names(level), 3)}); if the "
            "model was trained with another file, give its label spaces with --taxonomy",
        )
    nameless = int((labels == NO_LABEL).sum())
    if total >= _ENOUGH and nameless > _MANY * total:
        yield DataWarning(
            "classes",
            f"{detections.path}: {nameless:,} of {total:,} detections are of categories without a "
            "true box, such as a root category; check the category ids",
        )
    if level is not Granularity.GENERIC and total >= _ENOUGH and len(np.unique(labels)) == 1:
        yield DataWarning(
            "classes",
            f"{detections.path}: all {total:,} detections are of one class; check that the file "
            "has the model's classes, or evaluate it as generic",
        )


def _about_scores(detections: Detections) -> Iterator[DataWarning]:
    low, high = detections.scores.min(), detections.scores.max()
    if len(detections) > 1 and low == high:
        yield DataWarning(
            "scores",
            f"{detections.path}: all {len(detections):,} scores are {low:g}, so average precision "
            "depends on the order of the rows; write the model's own scores",
        )
    elif low < 0 or high > 1:
        yield DataWarning(
            "scores",
            f"{detections.path}: scores range from {low:g} to {high:g} instead of 0 to 1; they are "
            "ranked as they are, so check that higher means more certain",
        )


def _about_coverage(prepared: Prepared, detections: Detections) -> Iterator[DataWarning]:
    path, total = detections.path, len(detections)
    with_truth = np.unique(prepared.truths[Granularity.GENERIC].box_images)
    without = int((~np.isin(with_truth, detections.image_ids)).sum())
    if len(with_truth) >= _ENOUGH and without > _MANY * len(with_truth):
        yield DataWarning(
            "coverage",
            f"{path}: {without:,} of the {len(with_truth):,} images with a true box have no "
            "detection; check that the model ran on all of them, with a low enough score threshold",
        )
    truth = prepared.truths[detections.trained_on]
    are_shares = 0 <= detections.scores.min() <= detections.scores.max() <= 1
    if are_shares and (limit := cutting_limit(truth, detections, _ENOUGH)):
        number = f"{limit.most} detections" if limit.most > 1 else "1 detection"
        yield DataWarning(
            "coverage",
            f"{path}: {limit.images:,} images have exactly {number} and none has more, and in "
            f"{limit.cut:,} of them a box is missing although even the lowest score is as high as "
            "scores of right detections; keep more detections per image, or lower the threshold",
        )
    labels = detections.labels[detections.trained_on]
    repeated = _repeats([detections.image_ids, labels, detections.scores, *detections.boxes.T])
    if repeated > _FEW * total:
        yield DataWarning(
            "coverage",
            f"{path}: {repeated:,} of {total:,} detections are exact repeats, which count as "
            "false; write each once",
        )
    empty = int((detections.boxes[:, 2:] <= 0).any(axis=1).sum())
    if empty > _FEW * total:
        yield DataWarning(
            "coverage",
            f"{path}: {empty:,} of {total:,} boxes have no area, as padding has; leave padding out",
        )


def numbered_names(names: Sequence[str], most: int) -> str:
    """The first names of a label space with their labels, in words."""
    listed = ", ".join(f"{label} {name[:40]}" for label, name in enumerate(names[:most], 1))
    return listed if len(names) <= most else f"{listed}, … {len(names)} {names[-1][:40]}"


def _repeats(columns: Sequence[np.ndarray]) -> int:
    """How many rows repeat an earlier one exactly; each column is `[n]`."""
    # Sorting one number per row takes a tenth of the time that sorting rows takes. Two different
    # rows share a number once in some 10^19 times.
    mixed = np.zeros(len(columns[0]), np.uint64)
    for start in range(0, len(mixed), _ROWS_AT_ONCE):
        block = mixed[start : start + _ROWS_AT_ONCE]
        for column in columns:
            part = column[start : start + _ROWS_AT_ONCE] + 0.0  # which turns -0 into 0
            block ^= part.view(np.uint64)
            block *= np.uint64(0x9E3779B97F4A7C15)
            block ^= block >> np.uint64(29)
    mixed.sort()
    return int((mixed[1:] == mixed[:-1]).sum())
