"""From TFRecords to batches: decode, flip, resize by the short edge, group by shape, pad.

Images stay JPEG until their batch is formed, so that shuffling and grouping move little data. Then
the images of a batch are decoded together: images of one size are resized by one operation straight
into the batch, others are resized one by one and padded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from inatdet.detection import grouping, pixels
from inatdet.tfrecords import examples
from inatdet.tfrecords.copies import CopiesFile
from inatdet.tfrecords.journal import count_boxed_images, count_images
from inatdet.tfrecords.left_out import LeftOut
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import BEGINNING, CHUNKS, ELEMENTS, Start, draw_seed
from inatdet.tfrecords.sampling import Resampler, is_single_instance
from inatdet.tfrecords.streaming import TrainingStream, in_file_order, made_ahead, map_with_seeds

FeaturesOf: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From JPEGs, string `[b]`, and whether they are flipped, bool `[b]`, to features `[b, rows,
columns, channels]`."""


def largest_batches(short_edge: int, long_edge: int) -> list[tuple[int, int]]:
    """Heights and widths of which one holds any batch: the largest square, wide and high ones.

    Only nearly square images can be wide and high in one batch, so that both of its sides exceed
    the shorter edge.
    """
    square = min(math.ceil(short_edge * math.exp(grouping.ASPECT_STEP / 2)), long_edge)
    return [(square, square), (short_edge, long_edge), (long_edge, short_edge)]


def make_dataset(
    file_pattern: str,
    lookup: LabelLookup,
    *,
    batch_size: int,
    short_edge: int,
    long_edge: int,
    is_training: bool,
    seed: int | None = None,
    start: Start = BEGINNING,
    shuffle_buffer: int = 2048,
    cache: bool = False,
    single_instance: bool = False,
    unboxed: bool = False,
    resampler: Resampler | None = None,
    copies_file: CopiesFile | None = None,
    left_out: LeftOut | None = None,
    input_context: tf.distribute.InputContext | None = None,
    skip: int = 0,
    features_of: FeaturesOf | None = None,
) -> tf.data.Dataset:
    """Batches of images and boxes.

    Images are resized bilinearly with half-pixel centers and no antialiasing (`tf.image.resize`),
    so that pixels move exactly as boxes do. The Object Detection API calls TensorFlow 1's
    `resize_images(align_corners=False)` instead, whose samples lie `(1 / scale - 1) / 2` original
    pixels further up and left (none at scale 1): the only difference in preprocessing.

    Boxes without a label at the level are left out, and crowd boxes in training. So are images that
    are there for their labels alone, whose boxes nobody drew, if `unboxed` does not keep them.

    Args:
        file_pattern: the TFRecord files.
        lookup: gives the labels of the boxes' categories.
        batch_size: images per batch. Above one, images of similar aspect ratio share a batch; in
            training, images of equal size if enough of them come close together; see `grouping`.
        short_edge: pixels of the shorter side after resizing.
        long_edge: pixels of the longer side, at most.
        is_training: shuffles, flips half of the images and repeats forever; every batch is full.
            Otherwise each image comes once, images of similar aspect ratio in file order, and the
            last batch of each aspect ratio may be smaller.
        seed: makes the batches of training repeatable; without training they always are.
        start: what training saw before, with the same seed; it goes on from there.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the examples, still encoded, in memory.
        single_instance: in training, only images with exactly one box.
        unboxed: also images whose boxes nobody drew; in training they would pass for images without
            animals.
        resampler: in training, shows some images more or less often than once per epoch.
        copies_file: see `TrainingStream`.
        left_out: in training, leaves damaged images out and knows which; by default they are
            errors.
        input_context: which part of the images is this worker's.
        skip: outside of training, the first so many batches are left out, before their images are
            decoded.
        features_of: in training, gives the features of the images, which take their place.

    Returns:
        Batches with `image` float32 `[b, h, w, 3]`, 0..255, padded with zeros at the bottom and on
        the right to the size of the largest image; `image_size` int32 `[b, 2]`, height and width
        after resizing, without padding; `original_size` int32 `[b, 2]`; `image_id` int64 `[b]`;
        `boxes` float32 `[b, n, 4]`, `ymin, xmin, ymax, xmax` in pixels of the resized image, padded
        with zeros; `labels` int32 `[b, n]`, padded with 0. In training also `seed` int64 `[]`, for
        what the model draws. With `features_of`, `features` instead of `image`.

    Raises:
        InputError: if no file matches. Damaged files and images are noticed only when they are
            read; see `inatdet.tfrecords.damage`.
    """
    is_boxed = None if unboxed or _are_all_boxed(file_pattern) else examples.is_boxed

    def shown(one: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """A batch as the model sees it."""
        if batch_size == 1 and features_of is None:
            return _image_with_pixels(one, seed, short_edge, long_edge, is_training)
        batch = one if batch_size > 1 else _of_one(one)
        return _batch(batch, seed, short_edge, long_edge, is_training, features_of)

    if not is_training:
        data = in_file_order(
            file_pattern, keep=is_boxed, cache=cache, input_context=input_context
        ).map(lambda serialized: _parse(serialized, lookup, is_training))
        data = _in_file_order(data, batch_size) if batch_size > 1 else data
        no_seed = tf.constant(0, tf.int64)
        data = data.skip(skip).map(
            lambda one: shown(one, no_seed),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return made_ahead(data)
    stream = TrainingStream(
        file_pattern,
        seed=draw_seed() if seed is None else seed,
        shuffle_buffer=shuffle_buffer,
        cache=cache,
        keep=is_single_instance if single_instance else is_boxed,
        resampler=resampler,
        copies_file=copies_file,
        left_out=left_out,
        input_context=input_context,
    )
    origin, batches = start.of_pipeline(stream.pipelines, batch_size)
    data = _training_examples(stream, origin, batches, batch_size)
    data = data.map(lambda serialized: _parse(serialized, lookup, is_training))
    data = data.padded_batch(batch_size) if batch_size > 1 else data
    data = map_with_seeds(
        data,
        lambda one, seed: shown(one, seed) | {"seed": seed},
        stream.order.seeds(ELEMENTS),
        first=origin + batches,
    )
    return made_ahead(data)


def _are_all_boxed(file_pattern: str) -> bool:
    """Whether somebody drew the boxes of all images, as far as it is known."""
    images = count_images(file_pattern)
    return images is not None and images == count_boxed_images(file_pattern)


def _training_examples(
    stream: TrainingStream, origin: int, batches: int, batch_size: int
) -> tf.data.Dataset:
    """Serialized examples after so many batches; those of a batch follow one another."""
    if batch_size == 1:
        return stream.after(origin + batches)
    rounds, skipped = divmod(batches, grouping.BATCHES_PER_ROUND)
    before = origin + rounds * grouping.BATCHES_READ_PER_ROUND * batch_size
    data = grouping.grouped(
        stream.after(before), batch_size, examples.decode_size, stream.order.seeds(CHUNKS), rounds
    )
    return data.skip(skipped * batch_size)


def _parse(serialized: tf.Tensor, lookup: LabelLookup, is_training: bool) -> dict[str, tf.Tensor]:
    example = examples.decode(serialized)
    labels = lookup(example["category_ids"])
    kept = labels > 0
    if is_training:
        kept &= ~example["is_crowd"]
    return {
        "encoded": example["encoded"],
        "image_id": example["image_id"],
        "size": tf.stack([example["height"], example["width"]]),
        "boxes": tf.boolean_mask(example["boxes"], kept),
        "labels": tf.boolean_mask(labels, kept),
    }


def _in_file_order(data: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Examples of similar aspect ratio, batched; the boxes are padded."""
    return data.group_by_window(
        lambda example: grouping.aspect_group(example["size"]),
        lambda _, group: group.padded_batch(batch_size),
        window_size=batch_size,
    )


def _image_with_pixels(
    example: dict[str, tf.Tensor],
    seed: tf.Tensor,
    short_edge: int,
    long_edge: int,
    is_training: bool,
) -> dict[str, tf.Tensor]:
    """A batch of one image, without the copies that larger batches need."""
    flips = _draw_flips(seed, 1, is_training)
    decoded = pixels.decode(example["encoded"], flips[0], is_training)[tf.newaxis]
    original = tf.shape(decoded)[tf.newaxis, 1:3]
    size = pixels.resized_sizes(original, short_edge, long_edge)
    image = tf.image.resize(decoded, size[0])
    return _outputs(_of_one(example), {"image": _any_size(image)}, size, original, flips)


def _batch(
    batch: dict[str, tf.Tensor],
    seed: tf.Tensor,
    short_edge: int,
    long_edge: int,
    is_training: bool,
    features_of: FeaturesOf | None,
) -> dict[str, tf.Tensor]:
    """A batch of images, or of their features, for which no image is decoded."""
    encoded = batch["encoded"]
    flips = _draw_flips(seed, tf.size(encoded), is_training)
    # The sizes of the JPEGs are used, not the recorded ones, which only determine the group.
    original = pixels.original_sizes(encoded)
    size = pixels.resized_sizes(original, short_edge, long_edge)
    if features_of:
        return _outputs(batch, {"features": features_of(encoded, flips)}, size, original, flips)
    image = tf.cond(
        tf.reduce_all(original == original[0]),
        lambda: pixels.resize_together(encoded, flips, size[0], is_training),
        lambda: pixels.resize_and_pad(encoded, flips, size, is_training),
    )
    return _outputs(batch, {"image": _any_size(image)}, size, original, flips)


def _of_one(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """An example as a batch."""
    return {name: value[tf.newaxis] for name, value in example.items()}


def _any_size(image: tf.Tensor) -> tf.Tensor:
    image.set_shape([None, None, None, 3])
    return image


def _outputs(
    batch: dict[str, tf.Tensor],
    seen: dict[str, tf.Tensor],
    size: tf.Tensor,
    original: tf.Tensor,
    flips: tf.Tensor,
) -> dict[str, tf.Tensor]:
    return {
        **seen,
        "image_size": size,
        "original_size": original,
        "image_id": batch["image_id"],
        "boxes": _pixel_boxes(batch["boxes"], batch["labels"], flips, size),
        "labels": batch["labels"],
    }


def _draw_flips(seed: tf.Tensor, count: int | tf.Tensor, is_training: bool) -> tf.Tensor:
    if not is_training:
        return tf.zeros([count], tf.bool)
    return tf.random.stateless_uniform([count], [seed, 0]) < 0.5


def _pixel_boxes(
    boxes: tf.Tensor, labels: tf.Tensor, flips: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """From fractions of the image to pixels of the resized one, flipped where the image is."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    flipped = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=-1)
    boxes = tf.where(flips[:, tf.newaxis, tf.newaxis], flipped, boxes)
    pixels = boxes * tf.tile(tf.cast(size, tf.float32), [1, 2])[:, tf.newaxis]
    return tf.where(labels[..., tf.newaxis] > 0, pixels, 0.0)  # padding stays zero when flipped
