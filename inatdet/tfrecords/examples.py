"""An image and its boxes as one `tf.train.Example`, in both directions.

The keys are those that Model Garden and the Object Detection API read, so that they can use the
files too; they see the labels of one granularity. Under keys of our own are the version of this
format and the category of each box, from which the labels at every level are looked up when the
records are read: levels that a taxonomy gains later need no new records. An image may have no
boxes. No key is named anywhere else.

Version 1, which had no key for its version, held labels instead of categories; it is not read.
"""

from __future__ import annotations

import hashlib

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from inatdet.data.annotations import Image
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy

_ENCODED = "image/encoded"
_FORMAT = "image/format"
_FILE_NAME = "image/filename"
_SOURCE_ID = "image/source_id"
_SHA256 = "image/key/sha256"
_HEIGHT = "image/height"
_WIDTH = "image/width"
_BOX = {side: f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax")}
_LABEL = "image/object/class/label"
_TEXT = "image/object/class/text"
_AREA = "image/object/area"
_IS_CROWD = "image/object/is_crowd"
_CATEGORY = "image/object/category_id"
_VERSION_KEY = "inatdet/version"
_FIRST_VERSION_KEY = "image/object/class/label_species"  # only version 1 has it

VERSION = 2
"""Of the format of records."""


def encode(
    image: Image,
    jpeg: bytes,
    boxes: np.ndarray,
    category_ids: np.ndarray,
    areas: np.ndarray,
    is_crowd: np.ndarray,
    taxonomy: Taxonomy,
    granularity: Granularity = Granularity.SPECIES,
) -> tf.train.Example:
    """Puts an image and its boxes into one example.

    A box whose category has no label at `granularity` (it has boxes in this file, but none in the
    one that `taxonomy` was derived from) gets label 0 in the field for other readers.

    Args:
        image: what the annotation file says about the image.
        jpeg: the image file, stored unchanged.
        boxes: `[boxes, 4]`, `x, y, width, height` in pixels.
        category_ids: `[boxes]`.
        areas: `[boxes]`, square pixels.
        is_crowd: `[boxes]`.
        taxonomy: the label spaces.
        granularity: which labels and names other readers see.

    Raises:
        KeyError: a category is not in `taxonomy`.
    """
    x, y, width, height = np.asarray(boxes, np.float64).reshape(-1, 4).T
    ids = np.asarray(category_ids).tolist()
    for category_id in ids:
        if category_id not in taxonomy.label_of_category(Granularity.GENERIC):
            raise KeyError(f"category {category_id} is not in the taxonomy")
    labels = [taxonomy.label_of_category(granularity).get(category_id, 0) for category_id in ids]
    names = taxonomy.names(granularity)
    text = [names[label - 1].encode() if label else b"" for label in labels]
    feature = {
        _ENCODED: _bytes([jpeg]),
        _FORMAT: _bytes([b"jpeg"]),
        _FILE_NAME: _bytes([image.file_name.encode()]),
        _SOURCE_ID: _bytes([str(image.id).encode()]),
        _SHA256: _bytes([hashlib.sha256(jpeg).hexdigest().encode()]),
        _HEIGHT: _ints([image.height]),
        _WIDTH: _ints([image.width]),
        _BOX["ymin"]: _floats(y / image.height),
        _BOX["xmin"]: _floats(x / image.width),
        _BOX["ymax"]: _floats((y + height) / image.height),
        _BOX["xmax"]: _floats((x + width) / image.width),
        _LABEL: _ints(labels),
        _TEXT: _bytes(text),
        _AREA: _floats(areas),
        _IS_CROWD: _ints(np.asarray(is_crowd, np.int64)),
        _CATEGORY: _ints(ids),
        _VERSION_KEY: _ints([VERSION]),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one example, inside a graph. The image stays encoded.

    Args:
        serialized: string `[]`, a serialized example of `encode`.

    Returns:
        `encoded` string `[]`, a JPEG; `image_id` int64 `[]`; `height` and `width` int32 `[]`, in
        pixels; `boxes` float32 `[boxes, 4]`, `ymin, xmin, ymax, xmax` as fractions of the height
        and width; `category_ids` int64 `[boxes]`, the dataset's; `is_crowd` bool `[boxes]`; `area`
        float32 `[boxes]`, in square pixels.

    Raises:
        tf.errors.InvalidArgumentError: it is not such an example, or of another version.
    """
    one, many = tf.io.FixedLenFeature, tf.io.RaggedFeature
    parsed = tf.io.parse_single_example(
        serialized,
        {
            _ENCODED: one([], tf.string),
            _SOURCE_ID: one([], tf.string),
            _HEIGHT: one([], tf.int64),
            _WIDTH: one([], tf.int64),
            **{key: many(tf.float32) for key in (*_BOX.values(), _AREA)},
            **{key: many(tf.int64) for key in (_CATEGORY, _IS_CROWD)},
            _VERSION_KEY: one([], tf.int64),
        },
    )
    is_known = tf.debugging.assert_equal(parsed[_VERSION_KEY], tf.constant(VERSION, tf.int64))
    with tf.control_dependencies([is_known]):
        encoded = tf.identity(parsed[_ENCODED])
    return {
        "encoded": encoded,
        "image_id": tf.strings.to_number(parsed[_SOURCE_ID], tf.int64),
        "height": tf.cast(parsed[_HEIGHT], tf.int32),
        "width": tf.cast(parsed[_WIDTH], tf.int32),
        "boxes": tf.stack([parsed[key] for key in _BOX.values()], axis=-1),
        "category_ids": parsed[_CATEGORY],
        "is_crowd": tf.cast(parsed[_IS_CROWD], tf.bool),
        "area": parsed[_AREA],
    }


def decode_categories(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Parses only the categories of an example, inside a graph.

    Args:
        serialized: string `[]`, a serialized example of `encode`.

    Returns:
        The dataset's category ids, int64 `[boxes]`; and bool `[boxes]`, whether the box is around
        a crowd.
    """
    many = tf.io.RaggedFeature(tf.int64)
    parsed = tf.io.parse_single_example(serialized, {_CATEGORY: many, _IS_CROWD: many})
    return parsed[_CATEGORY], tf.cast(parsed[_IS_CROWD], tf.bool)


def version_of(serialized: bytes) -> int | None:
    """The version of a record's format; None if it is no record of ours."""
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except DecodeError:
        return None
    if _VERSION_KEY in features:
        return int(next(iter(features[_VERSION_KEY].int64_list.value), 0))
    return 1 if _FIRST_VERSION_KEY in features else None


def _bytes(values: list[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values: list[int] | np.ndarray) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: np.ndarray) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
