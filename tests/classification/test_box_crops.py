"""Crops of boxes compared with Pillow's, and how they are gathered into batches."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from inatdet.classification.box_crops import BoxesByImage, box_crops
from inatdet.classification.config import ClassificationTask
from inatdet.classification.crops import box_windows
from inatdet.data.detections import Detections
from tests import records

SIDE = 24


class Pictures:
    """A source of smooth pictures, `{image id: pixels}`."""

    def __init__(self, pixels):
        self.pixels = pixels

    def images(self, context=None):
        ids = list(self.pixels)
        return tf.data.Dataset.from_tensor_slices(
            {"encoded": [jpeg(self.pixels[i]) for i in ids], "image_id": np.array(ids, np.int64)}
        )


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=98, subsampling=0)
    return file.getvalue()


def smooth(rng, height, width):
    small = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC))


def detections(image_ids, boxes):
    count = len(image_ids)
    return Detections.from_arrays(
        image_ids, [1] * count, [0.5] * count, boxes, "generic", taxonomy=records.taxonomy()
    )


def batches_of(pixels, found, rows=None, context=0.1, batch_size=4, skip=0):
    config = ClassificationTask(image_size=SIDE)
    config.validation_data.batch_size = batch_size
    rows = np.arange(len(found)) if rows is None else rows
    boxes = BoxesByImage(found, rows)
    crops = box_crops(Pictures(pixels), boxes, context, config, skip=skip)
    return list(crops.as_numpy_iterator())


def window_by_hand(box, height, width, context):
    """Left, top, right and lower edge in whole pixels; None for a box without area inside."""
    x, y, w, h = map(float, box)
    if min(x + w, width) - max(x, 0) <= 0 or min(y + h, height) - max(y, 0) <= 0:
        return None
    return (
        math.floor(max(x - context * w, 0)),
        math.floor(max(y - context * h, 0)),
        math.ceil(min(x + w + context * w, width)),
        math.ceil(min(y + h + context * h, height)),
    )


def test_windows_are_those_by_hand():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([
        # Quarters, which are exact, many of them beyond an edge.
        np.concatenate([rng.integers(-80, 400, (200, 2)), rng.integers(0, 300, (200, 2))], 1) / 4,
        [[0, 0, 60, 40], [59.5, 39.5, 0.25, 0.25], [60, 0, 5, 5], [-5, 0, 5, 5], [3, 3, 0, 9]],
        # So little that it would be left out.
        [[59.995, 39.995, 0.005, 0.005], [-3, -3, 3.01, 3.01]],
    ])  # fmt: skip
    for context in (0.0, 0.25):
        found, valid = box_windows(tf.constant(boxes, tf.float32), tf.constant([40, 60]), context)
        for box, window, is_valid in zip(boxes, found.numpy().tolist(), valid.numpy()):
            expected = window_by_hand(box, 40, 60, context)
            assert is_valid == (expected is not None)
            left, top, right, bottom = expected or (0, 0, 60, 40)
            assert window == [top, left, bottom - top, right - left]
    assert 0 < valid.numpy().sum() < len(boxes)


@pytest.mark.parametrize("size", [(90, 120), (400, 300)])
def test_crops_are_those_of_pillow(size):
    rng = np.random.default_rng(1)
    height, width = size
    pixels = {3: smooth(rng, height, width), 8: smooth(rng, width, height)}
    image_ids = rng.choice([3, 8], 21)
    boxes = rng.uniform(-0.1, 0.7, (21, 4)) * min(size)
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 6
    seen = {}
    for batch in batches_of(pixels, detections(image_ids, boxes)):
        assert len(batch["image"]) <= 4
        seen |= {
            r: (i, v) for r, i, v in zip(batch["row"].tolist(), batch["image"], batch["valid"])
        }
    assert sorted(seen) == list(range(21))
    for row, (image, is_valid) in seen.items():
        whole = pixels[int(image_ids[row])]
        edges = window_by_hand(boxes[row].astype(np.float32), *whole.shape[:2], 0.1)
        assert is_valid == (edges is not None)
        if is_valid:
            # The box filter of Pillow is what shrinking while decoding does; on pictures as smooth
            # as these all ways agree but for the rounding of the window to whole blocks.
            expected = Image.fromarray(whole).crop(edges).resize((SIDE, SIDE), Image.BILINEAR)
            assert np.abs(image - np.asarray(expected, float)).mean() < 4


def test_only_the_chosen_boxes_of_images_that_are_there():
    rng = np.random.default_rng(2)
    pixels = {i: smooth(rng, 30, 30) for i in (4, 0, 9)}
    image_ids = [9, 5, 0, 9] + [4] * 19 + [11, 9]
    found = detections(image_ids, [[0, 0, 20, 20]] * len(image_ids))
    rows = np.array([r for r in range(len(image_ids)) if r != 3])
    batches = batches_of(pixels, found, rows, batch_size=7)
    order = np.concatenate([batch["row"] for batch in batches])
    # The images in the order of the source, the boxes of each in that of the file.
    assert order.tolist() == [*range(4, 23), 2, 0, 24]
    assert [len(batch["row"]) for batch in batches] == [7, 7, 7, 1]
    assert batches_of(pixels, detections([77], [[0, 0, 9, 9]])) == []


def test_the_first_batches_are_left_out():
    rng = np.random.default_rng(4)
    pixels = {i: smooth(rng, 30, 40) for i in range(4)}
    image_ids = np.repeat([2, 0, 3], [19, 1, 6])  # image 1 has none; 8 crops are cut at once
    boxes = np.concatenate([rng.uniform(0, 20, (26, 2)), rng.uniform(4, 9, (26, 2))], axis=1)
    found = detections(image_ids, boxes)
    every = batches_of(pixels, found)
    assert len(every) == 7
    for skip in (3, 9):
        rest = batches_of(pixels, found, skip=skip)
        assert len(rest) == max(0, 7 - skip)
        for batch, expected in zip(rest, every[skip:]):
            for name, value in batch.items():
                np.testing.assert_array_equal(value, expected[name])
