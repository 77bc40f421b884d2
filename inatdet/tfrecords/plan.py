"""Which images go into which shard: a function of the annotations and flags, not of the files."""

from __future__ import annotations

import collections
import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.files import sha256_of
from inatdet.tfrecords.contents import labels_sha256
from inatdet.tfrecords.conversion import Conversion
from inatdet.tfrecords.keys import VERSION
from inatdet.tfrecords.shards import shard_names

LISTED = "image is listed in --leave_out_listed"
NO_BOX = "image has no box"


@dataclass(frozen=True)
class Plan:
    """What to write, before any image file was opened.

    Attributes:
        annotations: as read.
        taxonomy: the label spaces.
        order: int64 `[images]`, the images to write as positions in `annotations.images`; shard i
            of n has every n-th from the i-th on.
        names: of the shards.
        left_out: the numbers of images left out so far, by problem.
        settings: all that the content of the shards depends on besides the image files.
    """

    annotations: Annotations
    taxonomy: Taxonomy
    order: np.ndarray
    names: tuple[str, ...]
    left_out: collections.Counter[str]
    settings: dict[str, Any]

    @classmethod
    def of(cls, conversion: Conversion) -> Plan:
        """Reads the annotations and distributes their images.

        Raises:
            InputError: the annotations, the taxonomy or a setting are bad.
        """
        annotations = read_coco_annotations(
            conversion.annotations, on_bad=conversion.on_bad, images_dir=conversion.images_dir
        )
        annotations = with_ranks(annotations, conversion.ranks, conversion.genus_from_names)
        taxonomy = conversion.label_spaces(annotations)
        left_out = collections.Counter(annotations.skipped)
        order = _shuffled(_chosen(conversion, annotations, left_out), conversion.seed)
        names = tuple(shard_names(conversion.split, len(order), conversion.num_shards))
        return cls(
            annotations,
            taxonomy,
            order,
            names,
            left_out,
            _settings(conversion, order, taxonomy, len(names)),
        )

    def positions(self, shard: int) -> np.ndarray:
        """The images of a shard, in the order of its records, as positions in the annotations."""
        return self.order[shard :: len(self.names)]


def _chosen(
    conversion: Conversion, annotations: Annotations, left_out: collections.Counter[str]
) -> np.ndarray:
    """The images to write, as positions; those left out are counted in `left_out`."""
    chosen = np.ones(len(annotations.images), bool)
    if listed := conversion.listed_ids():
        chosen = np.array([image.id not in listed for image in annotations.images], bool)
        left_out[LISTED] = int((~chosen).sum())
    if not conversion.keep_boxless:
        _, starts = annotations.rows_by_image()
        boxless = np.diff(starts) == 0
        left_out[NO_BOX] = int((chosen & boxless).sum())
        chosen &= ~boxless
    return np.flatnonzero(chosen)


def _shuffled(chosen: np.ndarray, seed: int) -> np.ndarray:
    """The same in random order. NumPy keeps the stream of a bit generator, but not `permutation`'s.

    https://numpy.org/neps/nep-0019-rng-policy.html
    """
    numbers = np.random.PCG64(seed).random_raw(len(chosen))
    return chosen[np.argsort(numbers, kind="stable")]


def _settings(
    conversion: Conversion, order: np.ndarray, taxonomy: Taxonomy, num_shards: int
) -> dict[str, Any]:
    return {
        "annotations_sha256": sha256_of(conversion.annotations),
        "order_sha256": hashlib.sha256(order.astype("<i8").tobytes()).hexdigest(),
        "labels_sha256": labels_sha256(taxonomy),
        "num_shards": num_shards,
        "granularity": str(conversion.granularity),
        "seen_labels_sha256": _labels_sha256(taxonomy, conversion.granularity),
        "leave_out": sorted(map(str, conversion.leave_out)),
        "record_version": VERSION,
    }


def _labels_sha256(taxonomy: Taxonomy, granularity: Granularity) -> str:
    """The hash of the labels in the field that other readers see."""
    labels = taxonomy.names(granularity), sorted(taxonomy.label_of_category(granularity).items())
    return hashlib.sha256(repr(labels).encode()).hexdigest()


def arguments_of(conversion: Conversion) -> dict[str, Any]:
    """The flags that say what was written, for people: no folders, which may move."""

    def name(path: str | None) -> str | None:
        return None if path is None else os.path.basename(path)

    return {
        "annotations": name(conversion.annotations),
        "taxonomy": name(conversion.taxonomy),
        "ranks": name(conversion.ranks),
        "genus_from_names": conversion.genus_from_names,
        "super_classes": list(conversion.super_classes),
        "granularity": str(conversion.granularity),
        "num_shards": conversion.num_shards,
        "on_bad": str(conversion.on_bad),
        "leave_out": sorted(map(str, conversion.leave_out)),
        "leave_out_listed": name(conversion.leave_out_listed),
        "keep_boxless": conversion.keep_boxless,
        "seed": conversion.seed,
    }
