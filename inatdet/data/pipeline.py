"""TFRecords become batches: decode, flip, resize by the short edge, group by shape, pad."""

from __future__ import annotations

import tensorflow as tf

from inatdet.data import examples
from inatdet.data.taxonomy import Granularity
from inatdet.errors import InputError

# Images are grouped by their resized shape in steps of this share of the short edge, which bounds
# the padding in a batch.
_SHAPE_STEP = 1 / 12


def resized_shape(
    height: tf.Tensor, width: tf.Tensor, short_edge: int, long_edge: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The size of a resized image: the Object Detection API's `keep_aspect_ratio_resizer`.

    The shorter side becomes `short_edge`, unless the longer one would pass `long_edge`; then that
    becomes `long_edge`. Computed in float32 and rounded half to even, as there.

    Args:
        height: int32 scalar, pixels.
        width: int32 scalar, pixels.
        short_edge: pixels.
        long_edge: pixels.

    Returns:
        Height and width, int32 scalars.
    """
    size = tf.cast(tf.stack([height, width]), tf.float32)
    by_short = tf.round(size * (short_edge / tf.reduce_min(size)))
    by_long = tf.round(size * (long_edge / tf.reduce_max(size)))
    chosen = tf.where(tf.reduce_max(by_short) > long_edge, by_long, by_short)
    new_height, new_width = tf.unstack(tf.cast(chosen, tf.int32))
    return new_height, new_width


def make_dataset(
    file_pattern: str,
    granularity: Granularity,
    *,
    batch_size: int,
    short_edge: int,
    long_edge: int,
    is_training: bool,
    seed: int | None = None,
    shuffle_buffer: int = 2048,
    cache: bool = False,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Batches of images and boxes.

    Args:
        file_pattern: the TFRecord files.
        granularity: which labels.
        batch_size: images a batch.
        short_edge: pixels of the shorter side after resizing.
        long_edge: pixels of the longer side, at most.
        is_training: shuffles, flips half of the images, drops crowd boxes, repeats for ever.
            Otherwise each image comes once.
        seed: makes the order repeatable.
        shuffle_buffer: examples among which the order is drawn.
        cache: keeps the encoded examples in memory.
        input_context: which part of the files is this worker's.

    Returns:
        Batches with `image` float32 `[b, h, w, 3]`, 0..255, padded with zeros; `image_size` int32
        `[b, 2]`; `original_size` int32 `[b, 2]`; `image_id` int64 `[b]`; `boxes` float32
        `[b, n, 4]`, `ymin, xmin, ymax, xmax` in pixels of the resized image, padded with zeros;
        `labels` int32 `[b, n]`, padded with 0.

    Raises:
        InputError: if no file matches.
    """
    files = sorted(tf.io.gfile.glob(file_pattern))
    if not files:
        raise InputError(f"{file_pattern}: no such files; write TFRecords first (make tfrecords)")
    data = tf.data.Dataset.from_tensor_slices(files)
    workers = input_context.num_input_pipelines if input_context else 1
    by_file = workers <= len(files)
    if workers > 1 and by_file:
        data = data.shard(workers, input_context.input_pipeline_id)
    if is_training:
        data = data.shuffle(len(files), seed=seed)
    data = data.interleave(
        tf.data.TFRecordDataset,
        cycle_length=8 if is_training else 1,
        num_parallel_calls=tf.data.AUTOTUNE if is_training else None,
        deterministic=seed is not None or not is_training,
    )
    if workers > 1 and not by_file:
        data = data.shard(workers, input_context.input_pipeline_id)
    if cache:
        data = data.cache()
    if is_training:
        data = data.shuffle(shuffle_buffer, seed=seed).repeat()

    def prepare(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return _prepare(serialized, granularity, short_edge, long_edge, is_training)

    data = data.map(
        prepare,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=seed is not None or not is_training,
    )
    if batch_size == 1:
        data = data.batch(1)
    else:
        step = max(1, round(short_edge * _SHAPE_STEP))

        def shape_group(item: dict[str, tf.Tensor]) -> tf.Tensor:
            cells = tf.cast(-(-item["image_size"] // step), tf.int64)
            return cells[0] * 100_000 + cells[1]

        data = data.group_by_window(
            shape_group,
            lambda _, group: group.padded_batch(batch_size, drop_remainder=False),
            window_size=batch_size,
        )
    return data.prefetch(tf.data.AUTOTUNE)


def _prepare(
    serialized: tf.Tensor,
    granularity: Granularity,
    short_edge: int,
    long_edge: int,
    is_training: bool,
) -> dict[str, tf.Tensor]:
    example = examples.decode(serialized)
    image = tf.io.decode_jpeg(example["encoded"], channels=3)
    original = tf.shape(image)[:2]
    boxes, labels = example["boxes"], example[f"labels_{granularity.value}"]
    if is_training:
        kept = ~example["is_crowd"]
        boxes, labels = tf.boolean_mask(boxes, kept), tf.boolean_mask(labels, kept)
        flip = tf.random.uniform([]) < 0.5
        image = tf.cond(flip, lambda: tf.image.flip_left_right(image), lambda: image)
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
        flipped = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=-1)
        boxes = tf.where(flip, flipped, boxes)
    size = tf.stack(resized_shape(original[0], original[1], short_edge, long_edge))
    image = tf.image.resize(image, size)
    image.set_shape([None, None, 3])
    return {
        "image": image,
        "image_size": size,
        "original_size": original,
        "image_id": example["image_id"],
        "boxes": boxes * tf.tile(tf.cast(size, tf.float32), [2]),
        "labels": labels,
    }
