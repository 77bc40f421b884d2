"""From scores and box codes of the proposals to detections.

Suppression is class by class, but done in one go: the boxes of each class are shifted to a cell of
their own, where no box of another class can overlap them. The cells form a square grid, so that
the shift is at most sqrt(classes) image sides: with thousands of cells in a row, float32 would
resolve boxes to only a quarter of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.detector_config import DetectionsConfig

_FIRST_PAIRS = 3  # tried first, per detection asked for
_LARGEST_GROUP = 32  # of pairs among which the best one is found first

BoxCodes = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From proposals and classes, int32 `[batch, pairs]` from 0, to box codes `[batch, pairs, 4]`."""


class ClassifiedProposals(NamedTuple):
    """The second stage's output for every proposal.

    Attributes:
        scores: float32 `[batch, n, classes]`, probabilities, without the background's.
        box_codes: gives the box codes of pairs of a proposal and a class.
        boxes: float32 `[batch, n, 4]`, the proposals, with n static.
        valid: bool `[batch, n]`, which proposals are real.
    """

    scores: tf.Tensor
    box_codes: BoxCodes
    boxes: tf.Tensor
    valid: tf.Tensor


class BatchDetections(NamedTuple):
    """The detections in the images of a batch, best first.

    Attributes:
        boxes: float32 `[batch, detections, 4]`, `ymin, xmin, ymax, xmax` in pixels of the resized
            image; zeros after the last.
        scores: float32 `[batch, detections]`; zeros after the last.
        labels: int32 `[batch, detections]`, 1..classes; zeros after the last.
        count: int32 `[batch]`.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    labels: tf.Tensor
    count: tf.Tensor


class _Boxes(NamedTuple):
    """Boxes `[batch, n, 4]`, their scores (negative: left out) and classes, both `[batch, n]`."""

    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor


def detections_of(
    classified: ClassifiedProposals,
    image_size: tf.Tensor,
    config: DetectionsConfig,
    code_scales: Sequence[float],
) -> BatchDetections:
    """The best (proposal, class) pairs, then class-wise suppression.

    Args:
        classified: the proposals; box codes are computed only for the best pairs.
        image_size: `[batch, 2]`, height and width without padding.
        config: how many pairs go into the suppression, its threshold, and how many detections are
            kept.
        code_scales: of the box codes.

    Returns:
        The detections. They are those of a class-by-class suppression of all pairs, provided that
        its detections are among the `config.candidates` best pairs.
    """
    num_classes = classified.scores.shape[-1]
    is_real = tf.where(classified.valid, 1.0, -1.0)[..., tf.newaxis]
    scores = tf.minimum(classified.scores, is_real)
    candidates = min(config.candidates, classified.boxes.shape[1] * num_classes)
    limit, max_per_class = min(config.max_detections, candidates), config.max_per_class
    side = math.isqrt(num_classes - 1) + 1
    room = tf.cast(tf.reduce_max(image_size), tf.float32) + 1.0

    def best_boxes(candidates: int) -> _Boxes:
        best, pairs = _best_pairs(scores, candidates)
        places, classes = pairs // num_classes, pairs % num_classes
        anchors = tf.gather(classified.boxes, places, batch_dims=1)
        codes = classified.box_codes(places, classes)
        boxes = box_math.decode(codes, anchors, code_scales)
        boxes = box_math.clip(boxes, image_size)
        return _Boxes(boxes, tf.where(box_math.area(boxes) > 0, best, -1.0), classes)

    def among(given: _Boxes, suppressed: int) -> tuple[BatchDetections, tf.Tensor]:
        """The detections if the suppression stops at so many, and whether that was enough."""
        boxes, best, classes = given
        place = tf.stack([classes // side, classes % side], axis=-1)
        shifted = boxes + tf.tile(tf.cast(place, tf.float32) * room, [1, 1, 2])
        kept, count = box_math.keep_best(shifted, best, suppressed, config.nms_iou)
        if max_per_class < suppressed:  # else no class can have too many
            kept, count = _within_limit(kept, count, classes, max_per_class)
        kept, count = kept[:, :limit], tf.minimum(count, limit)
        real = tf.sequence_mask(count, limit)
        found = BatchDetections(
            boxes=tf.where(real[..., tf.newaxis], tf.gather(boxes, kept, batch_dims=1), 0.0),
            scores=tf.where(real, tf.gather(best, kept, batch_dims=1), 0.0),
            labels=tf.where(real, tf.gather(classes, kept, batch_dims=1) + 1, 0),
            count=count,
        )
        return found, tf.reduce_all(count == limit)

    # Pairs are judged best first, so once enough are kept the rest changes nothing: a part of the
    # candidates is tried first, in a tenth of the time. That is not enough if most boxes overlap,
    # or if most of those kept are of one class and exceed its limit.
    first = min(_FIRST_PAIRS * limit, candidates)
    first_boxes = best_boxes(first)
    tries = [lambda: among(first_boxes, limit)]
    if max_per_class < limit < first:
        tries.append(lambda: among(first_boxes, first))
    if first < candidates:
        most = limit if max_per_class >= limit else candidates
        tries.append(lambda: among(best_boxes(candidates), most))
    return above(_first_full(tries), config.min_score)


def above(detections: BatchDetections, min_score: float) -> BatchDetections:
    """Only the detections with a higher score than `min_score`; zeros after the last."""
    kept = detections.scores > min_score
    return BatchDetections(
        boxes=tf.where(kept[..., tf.newaxis], detections.boxes, 0.0),
        scores=tf.where(kept, detections.scores, 0.0),
        labels=tf.where(kept, detections.labels, 0),
        count=tf.reduce_sum(tf.cast(kept, tf.int32), axis=1),
    )


def _first_full(
    tries: Sequence[Callable[[], tuple[BatchDetections, tf.Tensor]]],
) -> BatchDetections:
    """The first try that gave all detections asked for, or else the last."""
    found, is_full = tries[0]()
    if len(tries) == 1:
        return found
    return tf.cond(is_full, lambda: found, lambda: _first_full(tries[1:]))


def _best_pairs(scores: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.math.top_k` of `[batch, n, classes]` flattened, in less time."""
    total = math.prod(scores.shape[1:])
    size = next(size for size in range(_LARGEST_GROUP, 0, -1) if total % size == 0)
    if total // size <= count:
        return tf.math.top_k(tf.reshape(scores, [-1, total]), count)
    # The best `count` are among the `count` groups with the best maxima. Of equal scores the first
    # stays first, because the groups are put back into their order.
    groups = tf.reshape(scores, [-1, total // size, size])
    chosen = tf.sort(tf.math.top_k(tf.reduce_max(groups, axis=2), count).indices)
    values = tf.reshape(tf.gather(groups, chosen, batch_dims=1), [-1, count * size])
    best = tf.math.top_k(values, count)
    pairs = tf.gather(chosen, best.indices // size, batch_dims=1) * size + best.indices % size
    return best.values, pairs


def _within_limit(
    kept: tf.Tensor, count: tf.Tensor, classes: tf.Tensor, max_per_class: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The first so many boxes of each class, at the front and in their order, and their number.

    Args:
        kept: int32 `[batch, k]`, which boxes were kept, best first, then anything.
        count: int32 `[batch]`, how many these are.
        classes: int32 `[batch, n]`, of all boxes.
        max_per_class: how many of each class stay.
    """
    is_kept = tf.sequence_mask(count, kept.shape[1])
    classes = tf.where(is_kept, tf.gather(classes, kept, batch_dims=1), -1)
    is_kept &= _rank_in_class(classes) < max_per_class
    order = tf.argsort(tf.cast(~is_kept, tf.int32), axis=1, stable=True)
    return tf.gather(kept, order, batch_dims=1), tf.reduce_sum(tf.cast(is_kept, tf.int32), axis=1)


def _rank_in_class(classes: tf.Tensor) -> tf.Tensor:
    """How many of the same class precede each: `[batch, n]` to int32 `[batch, n]`."""
    count = tf.shape(classes)[1]
    # Sorted by class, and stably, a class is one run; a rank is the distance from its start.
    order = tf.argsort(classes, axis=1, stable=True)
    ordered = tf.gather(classes, order, batch_dims=1)
    position = tf.broadcast_to(tf.range(count), tf.shape(classes))
    first = tf.searchsorted(ordered, ordered, side="left")
    return tf.gather(position - first, tf.argsort(order, axis=1), batch_dims=1)
