"""From TFRecords to batches: crop, decode, resize, flip, distort colors.

Only the part of an image that a batch shows is decoded; see `crops`.
"""

from __future__ import annotations

import tensorflow as tf

from inatdet.classification import colors, crops
from inatdet.classification.config import AugmentationConfig
from inatdet.tfrecords import examples
from inatdet.tfrecords.copies import CopiesFile
from inatdet.tfrecords.left_out import LeftOut
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import BEGINNING, ELEMENTS, Start, draw_seed
from inatdet.tfrecords.sampling import Resampler, is_single_instance
from inatdet.tfrecords.streaming import TrainingStream, in_file_order, map_with_seeds


def make_dataset(
    file_pattern: str,
    lookup: LabelLookup,
    *,
    batch_size: int,
    image_size: int,
    is_training: bool,
    augmentation: AugmentationConfig,
    central_fraction: float = 1.0,
    shrink_while_decoding: bool = True,
    seed: int | None = None,
    start: Start = BEGINNING,
    shuffle_buffer: int = 2048,
    cache: bool = False,
    single_instance: bool = False,
    all_labelled: bool = False,
    resampler: Resampler | None = None,
    copies_file: CopiesFile | None = None,
    left_out: LeftOut | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Batches of images and labels.

    An image's label is that of the category that it shows as a whole: the recorded one, or that of
    its boxes if they agree.

    Args:
        file_pattern: the TFRecord files.
        lookup: gives the labels of categories.
        batch_size: images per batch.
        image_size: side of the square that images are resized to, in pixels.
        is_training: images without a label are left out; the others are shuffled, repeated forever,
            cropped at random, and varied as `augmentation` says; every batch is full. Otherwise
            each image comes once, in file order, with its middle, and the last batch may be
            smaller.
        augmentation: of the images in training.
        central_fraction: outside of training, of the height and of the width that is seen.
        shrink_while_decoding: see `crops.decode`.
        seed: makes the batches of training repeatable; without training they always are.
        start: what training saw before, with the same seed; it goes on from there.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the examples, still encoded, in memory.
        single_instance: in training, only images with exactly one box.
        all_labelled: whether all images that training may show are known to have a label.
        resampler: in training, shows some images more or less often than once per epoch.
        copies_file: see `TrainingStream`.
        left_out: in training, leaves damaged images out and knows which; by default they are
            errors.
        input_context: which part of the images is this worker's.

    Returns:
        Batches with `image` float32 `[b, image_size, image_size, 3]`, 0..255; `label` int32 `[b]`,
        0 for an image without one; and `image_id` int64 `[b]`. In training also `seed` int64 `[b]`,
        for what the model draws.

    Raises:
        InputError: if no file matches. Damaged files and images are noticed only when they are
            read; see `inatdet.tfrecords.damage`.
    """

    def is_used(serialized: tf.Tensor) -> tf.Tensor:
        is_labelled = _label_of(serialized, lookup) > 0
        return is_labelled & is_single_instance(serialized) if single_instance else is_labelled

    def with_pixels(serialized: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        example = examples.decode_image(serialized)
        jpeg = example["encoded"]
        if is_training:
            image = _varied(jpeg, seed, augmentation, image_size, shrink_while_decoding)
        else:
            window = crops.central_window(tf.image.extract_jpeg_shape(jpeg)[:2], central_fraction)
            image = crops.decode(jpeg, window, image_size, shrink_while_decoding)
        label = _label_of(serialized, lookup)
        batch = {"image": image, "label": label, "image_id": example["image_id"]}
        return batch | {"seed": seed} if is_training else batch

    if not is_training:
        data = in_file_order(file_pattern, cache=cache, input_context=input_context)
        no_seed = tf.constant(0, tf.int64)
        data = data.map(lambda one: with_pixels(one, no_seed), num_parallel_calls=tf.data.AUTOTUNE)
        return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    stream = TrainingStream(
        file_pattern,
        seed=draw_seed() if seed is None else seed,
        shuffle_buffer=shuffle_buffer,
        cache=cache,
        keep=None if all_labelled and not single_instance else is_used,
        resampler=resampler,
        copies_file=copies_file,
        left_out=left_out,
        input_context=input_context,
    )
    origin, batches = start.of_pipeline(stream.pipelines, batch_size)
    images = origin + batches * batch_size
    data = map_with_seeds(
        stream.after(images), with_pixels, stream.order.seeds(ELEMENTS), first=images
    )
    return data.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _label_of(serialized: tf.Tensor, lookup: LabelLookup) -> tf.Tensor:
    """int32 `[]`; 0 without a label."""
    labels = lookup(examples.decode_image_category(serialized))
    return tf.reduce_max(tf.concat([labels, [0]], axis=0))


def _varied(
    jpeg: tf.Tensor, seed: tf.Tensor, config: AugmentationConfig, side: int, shrink: bool
) -> tf.Tensor:
    """An image as training sees it this time."""
    seeds = tf.random.split([seed, 0], 3)
    window = crops.random_window(
        tf.image.extract_jpeg_shape(jpeg)[:2],
        seeds[0],
        (config.min_area, config.max_area),
        (config.min_aspect, config.max_aspect),
    )
    flips, distorts = tf.unstack(tf.random.stateless_uniform([2], seeds[1]))
    image = crops.decode(jpeg, window, side, shrink, flip=flips < 0.5)
    return tf.cond(
        distorts < config.color_share, lambda: colors.distort(image, seeds[2]), lambda: image
    )
