"""The crops of a detector's boxes, many images at a time, in little memory."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from inatdet.classification import crops
from inatdet.classification.config import ClassificationTask
from inatdet.classification.sources import Source
from inatdet.data.detections import Detections
from inatdet.tfrecords.streaming import made_ahead

_CROPS_AT_ONCE = 8  # of an image, each some 1 MB


class BoxesByImage:
    """Boxes, looked up by image inside a graph.

    Args:
        found: detections.
        rows: those whose boxes are meant, int64 `[boxes]`.
    """

    def __init__(self, found: Detections, rows: np.ndarray):
        image_ids = found.image_ids[rows]
        order = np.argsort(image_ids, kind="stable")
        self._rows = tf.constant(rows[order], tf.int64)
        self._boxes = tf.constant(found.boxes[rows[order]], tf.float32)
        ids, starts = np.unique(image_ids[order], return_index=True)
        # One more at the end, so that there is a place even without any box.
        self._ids = tf.constant(np.append(ids, 0), tf.int64)
        self._starts = tf.constant(np.append(starts, [len(rows), len(rows)]), tf.int64)
        self._count = len(ids)

    def range_of(self, image_id: tf.Tensor) -> tf.Tensor:
        """Where the boxes of an image are: int64 `[2]`, the first and one behind the last."""
        place = tf.searchsorted(self._ids[: self._count], image_id[tf.newaxis])[0]
        known = (place < self._count) & (self._ids[place] == image_id)
        begin = self._starts[place]
        return tf.stack([begin, tf.where(known, self._starts[place + 1], begin)])

    def between(self, begin: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The rows int64 `[n]` and boxes float32 `[n, 4]` of a part of a range."""
        return self._rows[begin:end], self._boxes[begin:end]


def box_crops(
    source: Source,
    boxes: BoxesByImage,
    context: float,
    config: ClassificationTask,
    input_context: tf.distribute.InputContext | None = None,
    skip: int = 0,
) -> tf.data.Dataset:
    """Batches of the crops of boxes, image by image.

    Args:
        source: the images.
        boxes: which of them.
        context: see `crops.box_windows`.
        config: which part of them is seen, the size of the crops, and of the batches.
        input_context: which part of the images is this worker's.
        skip: the first so many batches of this part are left out.

    Returns:
        Batches with `image` float32 `[b, side, side, 3]`, 0..255; `row` int64 `[b]` of the
        detections; and `valid` bool `[b]`: see `crops.box_windows`.
    """

    def parts(example: dict[str, tf.Tensor]) -> tf.data.Dataset:
        begin, end = tf.unstack(boxes.range_of(example["image_id"]))
        starts = tf.data.Dataset.range(begin, end, _CROPS_AT_ONCE)
        return starts.map(
            lambda start: (
                example["encoded"],
                *boxes.between(start, tf.minimum(start + _CROPS_AT_ONCE, end)),
            )
        )

    left_out = skip * config.validation_data.batch_size

    def rest(
        before: tf.Tensor, part: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Without the boxes that are left out; `before` counts those of earlier parts."""
        jpeg, rows, of_image = part
        begin = tf.maximum(left_out - before, 0)
        return before + tf.size(rows, tf.int64), (jpeg, rows[begin:], of_image[begin:])

    def pixels(jpeg: tf.Tensor, rows: tf.Tensor, of_image: tf.Tensor) -> dict[str, tf.Tensor]:
        window, valid = crops.box_windows(of_image, tf.image.extract_jpeg_shape(jpeg)[:2], context)
        side, fraction = config.image_size, config.box.central_fraction

        def seen(whole: tf.Tensor) -> tf.Tensor:
            middle = crops.part_of(whole, crops.central_window(whole[2:], fraction))
            return crops.decode(jpeg, middle, side, config.shrink_while_decoding)

        image = tf.map_fn(seen, window, fn_output_signature=tf.TensorSpec([side, side, 3]))
        return {"image": image, "row": rows, "valid": valid}

    data = source.images(input_context).flat_map(parts)
    if skip:
        data = data.scan(tf.constant(0, tf.int64), rest)
        data = data.filter(lambda jpeg, rows, of_image: tf.size(rows) > 0)
    crops_of_images = data.map(pixels, tf.data.AUTOTUNE, deterministic=True)
    return made_ahead(crops_of_images.rebatch(config.validation_data.batch_size))
