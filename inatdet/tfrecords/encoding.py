"""An image and its boxes as the bytes of one record, and what a record says, without TensorFlow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords import keys
from inatdet.tfrecords.keys import VERSION
from inatdet.tfrecords.wire import (
    Parts,
    bytes_list,
    decode_example,
    encode_example,
    float_list,
    int64_list,
    large_bytes,
)

_NOTHING: Mapping[str, Parts] = MappingProxyType({})
_ID_IN_DAMAGED = re.compile(re.escape(keys.SOURCE_ID.encode()) + rb"\x12.\x0a.\x0a.(-?\d+)", re.S)


class Encoder:
    """Puts images and their boxes into records.

    A box whose category has no label at `granularity` (it has boxes in this file, but none in the
    one that `taxonomy` was derived from) gets label 0 in the field for other readers.

    Args:
        taxonomy: the label spaces.
        granularity: which labels and names other readers see.
    """

    def __init__(self, taxonomy: Taxonomy, granularity: Granularity = Granularity.SPECIES):
        self._known = taxonomy.label_of_category(Granularity.GENERIC)
        self._labels = taxonomy.label_of_category(granularity)
        self._names = [b"", *(name.encode() for name in taxonomy.names(granularity))]

    def __call__(
        self,
        image: Image,
        jpeg: bytes,
        boxes: np.ndarray,
        category_ids: np.ndarray,
        areas: np.ndarray,
        is_crowd: np.ndarray,
        more: Mapping[str, Parts] = _NOTHING,
    ) -> list[bytes]:
        """One record, a `tf.train.Example`; the same arguments always give the same bytes.

        They are in pieces, one of which is `jpeg`.

        Args:
            image: what the annotation file says about the image.
            jpeg: the image file, stored unchanged.
            boxes: `[boxes, 4]`, `x, y, width, height` in pixels.
            category_ids: `[boxes]`.
            areas: `[boxes]`, square pixels.
            is_crowd: `[boxes]`.
            more: other fields, by name.

        Raises:
            KeyError: a category is not in the taxonomy.
        """
        corners = [
            (x / image.width, y / image.height, (x + w) / image.width, (y + h) / image.height)
            for x, y, w, h in np.asarray(boxes, np.float64).reshape(-1, 4).tolist()
        ]
        left, top, right, bottom = zip(*corners) if corners else ((), (), (), ())
        ids = np.asarray(category_ids, np.int64).tolist()
        for category_id in ids:
            if category_id not in self._known:
                raise KeyError(f"category {category_id} is not in the taxonomy")
        labels = [self._labels.get(category_id, 0) for category_id in ids]
        return encode_example(
            {
                keys.ENCODED: large_bytes(jpeg),
                keys.FORMAT: bytes_list([b"jpeg"]),
                keys.FILE_NAME: bytes_list([image.file_name.encode()]),
                keys.SOURCE_ID: bytes_list([str(image.id).encode()]),
                keys.SHA256: bytes_list([hashlib.sha256(jpeg).hexdigest().encode()]),
                keys.HEIGHT: int64_list([image.height]),
                keys.WIDTH: int64_list([image.width]),
                keys.BOX["ymin"]: float_list(top),
                keys.BOX["xmin"]: float_list(left),
                keys.BOX["ymax"]: float_list(bottom),
                keys.BOX["xmax"]: float_list(right),
                keys.LABEL: int64_list(labels),
                keys.TEXT: bytes_list([self._names[label] for label in labels]),
                keys.AREA: float_list(np.asarray(areas, np.float64).tolist()),
                keys.IS_CROWD: int64_list(np.asarray(is_crowd, np.int64).tolist()),
                keys.CATEGORY: int64_list(ids),
                keys.VERSION_KEY: int64_list([VERSION]),
                **more,
            }
        )


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says, as far as it must be known to check it.

    Attributes:
        image: the image.
        jpeg: its file.
        sha256: of the file, in hexadecimal digits.
        boxes: the number of its boxes.
    """

    image: Image
    jpeg: bytes
    sha256: str
    boxes: int

    @classmethod
    def of(cls, serialized: bytes) -> Record:
        """Reads a record.

        Raises:
            ValueError: it is none of ours, or of a version that is not read; the message says so.
        """
        features = decode_example(serialized)
        version = _version(features)
        if version != VERSION:
            raise ValueError(f"a record of version {version}" if version else "no record of ours")
        try:
            return cls(
                Image(
                    int(features[keys.SOURCE_ID][0]),
                    features[keys.FILE_NAME][0].decode(),
                    features[keys.WIDTH][0],
                    features[keys.HEIGHT][0],
                ),
                features[keys.ENCODED][0],
                features[keys.SHA256][0].decode(),
                len(features[keys.CATEGORY]),
            )
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            raise ValueError("a record that lacks a field") from error


def version_of(serialized: bytes) -> int | None:
    """The version of a record's format; None if it is no record of ours."""
    try:
        return _version(decode_example(serialized))
    except ValueError:
        return None


def _version(features: Mapping[str, list]) -> int | None:
    if keys.VERSION_KEY in features:
        return int(next(iter(features[keys.VERSION_KEY]), 0))
    return 1 if keys.FIRST_VERSION_KEY in features else None


def image_id_in(damaged: bytes) -> int | None:
    """The image of a record of which not all bytes can be trusted; None if it does not say."""
    found = _ID_IN_DAMAGED.search(damaged)
    return int(found[1]) if found else None


def encode(
    image: Image,
    jpeg: bytes,
    boxes: np.ndarray,
    category_ids: np.ndarray,
    areas: np.ndarray,
    is_crowd: np.ndarray,
    taxonomy: Taxonomy,
    granularity: Granularity = Granularity.SPECIES,
    more: Mapping[str, Parts] = _NOTHING,
) -> bytes:
    """One record; see `Encoder`, which is quicker where there are many."""
    encoder = Encoder(taxonomy, granularity)
    return b"".join(encoder(image, jpeg, boxes, category_ids, areas, is_crowd, more))
