"""Second stage: scores and box codes of the proposals become detections.

Suppression is class by class, but done in one go: the boxes of each class are moved to a place of
their own, where no box of another class can meet them. The places form a square grid, so that
the shift is at most sqrt(classes) images a side: with thousands of places in a row, float32 would
have a quarter of a pixel left for the box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math

_FIRST_PAIRS = 3  # tried first, for each detection asked for


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


def detections_of(
    class_scores: tf.Tensor,
    box_codes: tf.Tensor,
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
        box_codes: `[batch, n, classes, 4]`.
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
    batch = tf.shape(class_scores)[0]
    num_classes = class_scores.shape[-1]
    scores = tf.where(valid[..., tf.newaxis], class_scores, -1.0)
    box_codes = tf.reshape(box_codes, [batch, -1, 4])
    candidates = min(candidates, proposals.shape[1] * num_classes)
    limit = min(max_detections, candidates)
    side = math.isqrt(num_classes - 1) + 1
    room = tf.cast(tf.reduce_max(image_size), tf.float32) + 1.0

    def among(candidates: int, suppressed: int) -> tuple[Detections, tf.Tensor]:
        """What the best pairs give when the suppression stops at so many, and if it did so."""
        best, pairs = _best_pairs(scores, candidates)
        classes = pairs % num_classes
        codes = tf.gather(box_codes, pairs, batch_dims=1)
        anchors = tf.gather(proposals, pairs // num_classes, batch_dims=1)
        boxes = box_math.clip(box_math.decode(codes, anchors, code_scales), image_size)
        best = tf.where(box_math.area(boxes) > 0, best, -1.0)
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
    # candidates is tried first, in a tenth of the time.
    first = min(_FIRST_PAIRS * limit, candidates)
    found, is_full = among(first, limit)
    most = limit if max_per_class >= limit else candidates
    if first == candidates and limit == most:
        return found
    return tf.cond(is_full, lambda: found, lambda: among(candidates, most)[0])


def above(detections: Detections, min_score: float) -> Detections:
    """Only the detections with a higher score than `min_score`; zeros behind the last."""
    kept = detections.scores > min_score
    return Detections(
        boxes=tf.where(kept[..., tf.newaxis], detections.boxes, 0.0),
        scores=tf.where(kept, detections.scores, 0.0),
        labels=tf.where(kept, detections.labels, 0),
        count=tf.reduce_sum(tf.cast(kept, tf.int32), axis=1),
    )


def _best_pairs(scores: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.math.top_k` of `[batch, n, classes]` flattened, found in parts by several threads."""
    proposals, num_classes = scores.shape[1:]
    parts = next((p for p in (4, 2) if proposals % p == 0), 1)
    size = proposals // parts * num_classes
    if size < count:
        parts, size = 1, proposals * num_classes
    values, places = tf.math.top_k(tf.reshape(scores, [-1, parts, size]), count)
    # Of equal scores the first stays first, as they lie within a part and part by part.
    places += tf.range(parts)[:, tf.newaxis] * size
    best = tf.math.top_k(tf.reshape(values, [-1, parts * count]), count)
    places = tf.reshape(places, [-1, parts * count])
    return best.values, tf.gather(places, best.indices, batch_dims=1)


def _rank_in_class(classes: tf.Tensor) -> tf.Tensor:
    """How many of the same class stand before each: `[batch, n]` to int32 `[batch, n]`."""
    count = tf.shape(classes)[1]
    # Sorted by class, and stably, a class is one run; a rank is the distance from its start.
    order = tf.argsort(classes, axis=1, stable=True)
    ordered = tf.gather(classes, order, batch_dims=1)
    position = tf.broadcast_to(tf.range(count), tf.shape(classes))
    first = tf.searchsorted(ordered, ordered, side="left")
    return tf.gather(position - first, tf.argsort(order, axis=1), batch_dims=1)
