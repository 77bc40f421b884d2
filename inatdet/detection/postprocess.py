"""Second stage: scores and box codes of the proposals become detections.

Suppression is class by class, but done in one go: the boxes of each class are moved to a place of
their own, where no box of another class can meet them. The places form a square grid, so that
the shift is at most sqrt(classes) images a side: with thousands of places in a row, float32 would
have a quarter of a pixel left for the box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math

_FIRST_PAIRS = 3  # tried first, for each detection asked for
_LARGEST_GROUP = 32  # of pairs among which the best one is found first

# From proposals and classes, both int32 `[batch, pairs]`, from 0, to box codes `[batch, pairs, 4]`.
BoxCodes = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Detections(NamedTuple):
    """The detections of a batch, best first.

    Attributes:
        boxes: float32 `[batch, detections, 4]`, `ymin, xmin, ymax, xmax` in pixels of the resized
            image; zeros behind the last.
        scores: float32 `[batch, detections]`; zeros behind the last.
        labels: int32 `[batch, detections]`, 1..classes; zeros behind the last.
        count: int32 `[batch]`.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    labels: tf.Tensor
    count: tf.Tensor


class _Boxes(NamedTuple):
    """Boxes `[batch, n, 4]` with their scores (negative: left out) and classes, `[batch, n]`."""

    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor


def detections_of(
    class_scores: tf.Tensor,
    box_codes: BoxCodes,
    proposals: tf.Tensor,
    valid: tf.Tensor,
    image_size: tf.Tensor,
    candidates: int,
    iou_threshold: float,
    max_per_class: int,
    max_detections: int,
    code_scales: Sequence[float],
) -> Detections:
    """The best (proposal, class) pairs, then class-wise suppression.

    Args:
        class_scores: `[batch, n, classes]`, probabilities, without the background.
        box_codes: gives those of pairs of a proposal and a class; asked for the best pairs alone.
        proposals: `[batch, n, 4]`, with n static.
        valid: bool `[batch, n]`, which proposals are real.
        image_size: `[batch, 2]`, height and width without padding.
        candidates: how many pairs go into the suppression, the best by score.
        iou_threshold: a box is dropped when it overlaps a better one of its class by more.
        max_per_class: detections kept of one class in one image.
        max_detections: detections kept of one image.
        code_scales: of the box codes.

    Returns:
        The detections. They are those of a class-by-class suppression of all pairs, as long as
        the detections that this gives lie among the `candidates` best pairs.
    """
    num_classes = class_scores.shape[-1]
    scores = tf.minimum(class_scores, tf.where(valid, 1.0, -1.0)[..., tf.newaxis])
    candidates = min(candidates, proposals.shape[1] * num_classes)
    limit = min(max_detections, candidates)
    side = math.isqrt(num_classes - 1) + 1
    room = tf.cast(tf.reduce_max(image_size), tf.float32) + 1.0

    def best_boxes(candidates: int) -> _Boxes:
        best, pairs = _best_pairs(scores, candidates)
        places, classes = pairs // num_classes, pairs % num_classes
        anchors = tf.gather(proposals, places, batch_dims=1)
        boxes = box_math.decode(box_codes(places, classes), anchors, code_scales)
        boxes = box_math.clip(boxes, image_size)
        return _Boxes(boxes, tf.where(box_math.area(boxes) > 0, best, -1.0), classes)

    def among(given: _Boxes, suppressed: int) -> tuple[Detections, tf.Tensor]:
        """What boxes give when the suppression stops at so many, and whether that is all."""
        boxes, best, classes = given
        place = tf.stack([classes // side, classes % side], axis=-1)
        shifted = boxes + tf.tile(tf.cast(place, tf.float32) * room, [1, 1, 2])
        kept, kept_count = box_math.keep_best(shifted, best, suppressed, iou_threshold)
        is_kept = tf.sequence_mask(kept_count, suppressed)
        classes = tf.where(is_kept, tf.gather(classes, kept, batch_dims=1), -1)
        is_kept &= _rank_in_class(classes) < max_per_class

        # Those kept, moved to the front in their order.
        order = tf.argsort(tf.cast(~is_kept, tf.int32), axis=1, stable=True)[:, :limit]
        kept = tf.gather(kept, order, batch_dims=1)
        count = tf.minimum(tf.reduce_sum(tf.cast(is_kept, tf.int32), axis=1), limit)
        real = tf.sequence_mask(count, limit)
        found = Detections(
            boxes=tf.where(real[..., tf.newaxis], tf.gather(boxes, kept, batch_dims=1), 0.0),
            scores=tf.where(real, tf.gather(best, kept, batch_dims=1), 0.0),
            labels=tf.where(real, tf.gather(classes, order, batch_dims=1) + 1, 0),
            count=count,
        )
        return found, tf.reduce_all(count == limit)

    # Pairs are judged best first, so once enough are kept the rest changes nothing: a part of the
    # candidates is tried first, in a tenth of the time. It is not enough where most boxes overlap,
    # or most of those kept are one class and too many of it.
    first = min(_FIRST_PAIRS * limit, candidates)
    first_boxes = best_boxes(first)
    tries = [lambda: among(first_boxes, limit)]
    if max_per_class < limit < first:
        tries.append(lambda: among(first_boxes, first))
    if first < candidates:
        most = limit if max_per_class >= limit else candidates
        tries.append(lambda: among(best_boxes(candidates), most))
    return _first_full(tries)


def above(detections: Detections, min_score: float) -> Detections:
    """Only the detections with a higher score than `min_score`; zeros behind the last."""
    kept = detections.scores > min_score
    return Detections(
        boxes=tf.where(kept[..., tf.newaxis], detections.boxes, 0.0),
        scores=tf.where(kept, detections.scores, 0.0),
        labels=tf.where(kept, detections.labels, 0),
        count=tf.reduce_sum(tf.cast(kept, tf.int32), axis=1),
    )


def _first_full(tries: Sequence[Callable[[], tuple[Detections, tf.Tensor]]]) -> Detections:
    """The first try that gave all that was asked for, or else the last."""
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
    # The best are among the groups with the best maxima, as many. Of equal scores the first stays
    # first, as the groups are put back into their order.
    groups = tf.reshape(scores, [-1, total // size, size])
    chosen = tf.sort(tf.math.top_k(tf.reduce_max(groups, axis=2), count).indices)
    values = tf.reshape(tf.gather(groups, chosen, batch_dims=1), [-1, count * size])
    best = tf.math.top_k(values, count)
    pairs = tf.gather(chosen, best.indices // size, batch_dims=1) * size + best.indices % size
    return best.values, pairs


def _rank_in_class(classes: tf.Tensor) -> tf.Tensor:
    """How many of the same class stand before each: `[batch, n]` to int32 `[batch, n]`."""
    count = tf.shape(classes)[1]
    # Sorted by class, and stably, a class is one run; a rank is the distance from its start.
    order = tf.argsort(classes, axis=1, stable=True)
    ordered = tf.gather(classes, order, batch_dims=1)
    position = tf.broadcast_to(tf.range(count), tf.shape(classes))
    first = tf.searchsorted(ordered, ordered, side="left")
    return tf.gather(position - first, tf.argsort(order, axis=1), batch_dims=1)
