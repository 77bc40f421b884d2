"""From TFRecords to batches: crop, decode, resize, flip, distort colors.

Only the part of an image that a batch shows is decoded; see `crops`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from inatdet.classification import colors, crops
from inatdet.classification.box_examples import BoxCopies, BoxExamples
from inatdet.classification.config import AugmentationConfig
from inatdet.tfrecords import examples
from inatdet.tfrecords.copies import CopiesFile
from inatdet.tfrecords.left_out import LeftOut
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import BEGINNING, ELEMENTS, Start, draw_seed
from inatdet.tfrecords.sampling import Copying, is_single_instance
from inatdet.tfrecords.streaming import TrainingStream, in_file_order, made_ahead, map_with_seeds


def make_dataset(
    file_pattern: str,
    lookup: LabelLookup,
    *,
    batch_size: int,
    image_size: int,
    is_training: bool,
    augmentation: AugmentationConfig,
    central_fraction: float = 1.0,
    boxes: BoxExamples | None = None,
    shrink_while_decoding: bool = True,
    seed: int | None = None,
    start: Start = BEGINNING,
    shuffle_buffer: int = 2048,
    cache: bool = False,
    single_instance: bool = False,
    all_labelled: bool = False,
    resampler: Copying | None = None,
    copies_file: CopiesFile | None = None,
    left_out: LeftOut | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Batches of images, or of boxes and what surrounds them, and their labels.

    An image's label is that of the category that it shows as a whole: the recorded one, or that of
    its boxes if they agree. A box has its own. Where there are `boxes`, what is said of images here
    holds for each box of an image.

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
        boxes: what is seen of boxes; None for whole images.
        shrink_while_decoding: see `crops.decode`.
        seed: makes the batches of training repeatable; without training they always are.
        start: what training saw before, with the same seed; it goes on from there.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the examples, still encoded, in memory.
        single_instance: in training, only images with exactly one box.
        all_labelled: whether all images that training may show are known to have a label.
        resampler: in training, shows some images more or less often than once per epoch; where
            there are `boxes`, a `BoxCopies`.
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
        # Boxes without a label are left out one by one.
        is_labelled = tf.constant(True) if boxes else _label_of(serialized, lookup) > 0
        return is_labelled & is_single_instance(serialized) if single_instance else is_labelled

    def with_pixels(element: Any, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        example = boxes(*element) if boxes else _whole_image(element, lookup)
        jpeg, window = example["encoded"], example["window"]
        if is_training:
            image = _varied(jpeg, window, seed, augmentation, image_size, shrink_while_decoding)
        else:
            middle = crops.part_of(window, crops.central_window(window[2:], central_fraction))
            image = crops.decode(jpeg, middle, image_size, shrink_while_decoding)
        batch = {"image": image, "label": example["label"], "image_id": example["image_id"]}
        return batch | {"seed": seed} if is_training else batch

    if not is_training:
        data = in_file_order(file_pattern, cache=cache, input_context=input_context)
        data = boxes.one_by_one(data) if boxes else data
        no_seed = tf.constant(0, tf.int64)
        data = data.map(
            lambda *one: with_pixels(one if boxes else one[0], no_seed),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return made_ahead(data.batch(batch_size))
    stream = TrainingStream(
        file_pattern,
        seed=draw_seed() if seed is None else seed,
        shuffle_buffer=shuffle_buffer,
        cache=cache,
        keep=is_used if single_instance or not (all_labelled or boxes) else None,
        resampler=resampler or (BoxCopies(boxes) if boxes else None),
        copies_file=copies_file,
        left_out=left_out,
        input_context=input_context,
    )
    origin, batches = start.of_pipeline(stream.pipelines, batch_size)
    images = origin + batches * batch_size
    data = map_with_seeds(
        stream.after(images), with_pixels, stream.order.seeds(ELEMENTS), first=images
    )
    return made_ahead(data.batch(batch_size, drop_remainder=True))


def _label_of(serialized: tf.Tensor, lookup: LabelLookup) -> tf.Tensor:
    """int32 `[]`; 0 without a label."""
    labels = lookup(examples.decode_image_category(serialized))
    return tf.reduce_max(tf.concat([labels, [0]], axis=0))


def _whole_image(serialized: tf.Tensor, lookup: LabelLookup) -> dict[str, tf.Tensor]:
    """What an image is to a classifier, as `BoxExamples` has it of a box."""
    example = examples.decode_image(serialized)
    size = tf.image.extract_jpeg_shape(example["encoded"])[:2]
    whole = tf.concat([[0, 0], size], axis=0)
    return {**example, "label": _label_of(serialized, lookup), "window": whole}


def _varied(
    jpeg: tf.Tensor,
    window: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentationConfig,
    side: int,
    shrink: bool,
) -> tf.Tensor:
    """What is in a window of an image, as training sees it this time."""
    seeds = tf.random.split([seed, 0], 3)
    part = crops.random_window(
        window[2:],
        seeds[0],
        (config.min_area, config.max_area),
        (config.min_aspect, config.max_aspect),
    )
    flips, distorts = tf.unstack(tf.random.stateless_uniform([2], seeds[1]))
    image = crops.decode(jpeg, crops.part_of(window, part), side, shrink, flip=flips < 0.5)
    return tf.cond(
        distorts < config.color_share, lambda: colors.distort(image, seeds[2]), lambda: image
    )
