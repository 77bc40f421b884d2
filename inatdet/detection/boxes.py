"""Box arithmetic on padded batches. Boxes are `ymin, xmin, ymax, xmax` in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from official.vision.ops import box_ops, iou_similarity


def encode(boxes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """Boxes relative to anchors: the Object Detection API's box coder.

    Args:
        boxes: `[..., 4]`.
        anchors: `[..., 4]`.
        scales: s, four of them.

    Returns:
        `[..., 4]`: s0 dy / h, s1 dx / w, s2 log(box's h / h), s3 log(box's w / w), with h and w the
        anchor's, and dy, dx from its center to the box's.
    """
    return box_ops.encode_boxes(boxes, anchors, weights=list(scales))


def decode(codes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """The inverse of `encode`; heights and widths grow at most 62.5-fold, so none overflows."""
    return box_ops.decode_boxes(codes, anchors, weights=list(scales))


def clip(boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Clips boxes to their images.

    Args:
        boxes: `[batch, boxes, 4]`, or `[1, boxes, 4]` for the same boxes in every image.
        image_size: `[batch, 2]`, height and width.

    Returns:
        `[batch, boxes, 4]`; a box outside its image has no area.
    """
    return box_ops.clip_boxes(boxes, image_size[:, tf.newaxis, :])


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Areas `[...]` of boxes `[..., 4]`, in square pixels."""
    return iou_similarity.area(boxes)


def iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Intersection over union of every pair.

    Args:
        boxes: `[batch, n, 4]`.
        others: `[batch, m, 4]`.

    Returns:
        `[batch, n, m]`; 0 where two boxes do not overlap.
    """
    return iou_similarity.iou(boxes, others)


def keep_best(
    boxes: tf.Tensor, scores: tf.Tensor, max_boxes: int, iou_threshold: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Non-maximum suppression for each image of a batch.

    Args:
        boxes: float32 `[batch, n, 4]`.
        scores: float32 `[batch, n]`; boxes with a negative score are left out.
        max_boxes: how many to keep at most.
        iou_threshold: a box is dropped when it overlaps a better one by more than this.

    Returns:
        int32 `[batch, max_boxes]`, the indices of the kept boxes, best first, then zeros; and int32
        `[batch]`, how many were kept.
    """

    def one_image(inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        kept = tf.raw_ops.NonMaxSuppressionV4(
            boxes=inputs[0],
            scores=inputs[1],
            max_output_size=max_boxes,
            iou_threshold=iou_threshold,
            score_threshold=-0.5,  # scores are probabilities: only boxes left out are below it
            pad_to_max_output_size=True,
        )
        return kept.selected_indices, kept.valid_outputs

    return tf.map_fn(
        one_image,
        (boxes, scores),
        fn_output_signature=(tf.TensorSpec([max_boxes], tf.int32), tf.TensorSpec([], tf.int32)),
    )


def of_pairs(table: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Looks up pairs of a box and a class in tables, one table per image.

    Args:
        table: `[batch, boxes, classes, ...]`.
        rows: int32 `[batch, pairs]`, which boxes.
        columns: int32 `[batch, pairs]`, which classes, from 0.

    Returns:
        `[batch, pairs, ...]`.
    """
    return tf.gather_nd(table, tf.stack([rows, columns], axis=-1), batch_dims=1)


def to_file_order(boxes: tf.Tensor) -> tf.Tensor:
    """`ymin, xmin, ymax, xmax` to `x, y, width, height`, as in files; both `[..., 4]`."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return tf.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)


def to_original(boxes: tf.Tensor, image_size: tf.Tensor, original_size: tf.Tensor) -> tf.Tensor:
    """Maps boxes from the resized images back to the original ones.

    Computed in float64, so that no digit of float32 is lost.

    Args:
        boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels of the resized images.
        image_size: `[batch, 2]`, height and width of the resized images.
        original_size: `[batch, 2]`, height and width of the original images.

    Returns:
        float32 `[batch, n, 4]`, `x, y, width, height` in pixels of the original images.
    """
    scale = tf.cast(original_size, tf.float64) / tf.cast(image_size, tf.float64)
    mapped = tf.cast(boxes, tf.float64) * tf.tile(scale, [1, 2])[:, tf.newaxis]
    return tf.cast(to_file_order(mapped), tf.float32)
