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
from inatdet.data.formats.image_labels import read_image_labels
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.files import sha256_of
from inatdet.tfrecords.contents import labels_sha256
from inatdet.tfrecords.conversion import Conversion
from inatdet.tfrecords.joining import ImageCategories, Joined, join
from inatdet.tfrecords.keys import VERSION
from inatdet.tfrecords.shards import shard_names

LISTED = "image is listed in --leave_out_listed"
NO_BOX = "image has no box"


@dataclass(frozen=True)
class Plan:
    """What to write, before any image file was opened.

    Attributes:
        annotations: all images and boxes, as read.
        taxonomy: the label spaces of the boxes; None if there is no file of boxes.
        image_taxonomy: the label spaces of whole images; like `shown`, None if there is no file of
            image labels.
        shown: what each image shows as a whole.
        boxed: bool `[images]`, whether somebody drew their boxes.
        order: int64 `[images]`, the images to write as positions in `annotations.images`; shard i
            of n has every n-th from the i-th on.
        names: of the shards.
        left_out: the numbers of images left out so far, by problem.
        settings: all that the content of the shards depends on besides the image files.
    """

    annotations: Annotations
    taxonomy: Taxonomy | None
    image_taxonomy: Taxonomy | None
    shown: ImageCategories | None
    boxed: np.ndarray
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
        annotations, joined = _read(conversion)
        taxonomy = image_taxonomy = None
        if conversion.annotations:
            taxonomy = conversion.label_spaces(annotations)
        if joined:
            image_taxonomy = conversion.image_label_spaces(joined, taxonomy)
            annotations = joined.annotations
        left_out = collections.Counter(annotations.skipped)
        boxed = _boxed(conversion, annotations, joined)
        wanted = boxed | joined.shown.known if joined else boxed
        order = _shuffled(_chosen(conversion, annotations, wanted, left_out), conversion.seed)
        names = tuple(shard_names(conversion.split, len(order), conversion.num_shards))
        settings = _settings(conversion, order, len(names))
        if taxonomy:
            settings |= _settings_of_boxes(conversion, taxonomy)
        if joined and image_taxonomy:
            settings |= _settings_of_images(conversion, image_taxonomy, boxed[order])
        return cls(
            annotations,
            taxonomy,
            image_taxonomy,
            joined.shown if joined else None,
            boxed,
            order,
            names,
            left_out,
            settings,
        )

    def positions(self, shard: int) -> np.ndarray:
        """The images of a shard, in the order of its records, as positions in the annotations."""
        return self.order[shard :: len(self.names)]


def _read(conversion: Conversion) -> tuple[Annotations, Joined | None]:
    """The boxes, and them joined with image labels where there are some."""
    labels = annotations = None
    if conversion.annotations:
        annotations = read_coco_annotations(
            conversion.annotations, on_bad=conversion.on_bad, images_dir=conversion.images_dir
        )
        annotations = with_ranks(annotations, conversion.ranks, conversion.genus_from_names)
    if conversion.image_labels:
        labels = read_image_labels(
            conversion.image_labels,
            on_bad=conversion.on_bad,
            ranks=conversion.ranks,
            genus_from_names=conversion.genus_from_names,
            files_needed=conversion.images_dir is not None,
        )
    joined = join(annotations, labels) if labels else None
    if annotations is None:
        assert joined
        annotations = joined.annotations
    return annotations, joined


def _boxed(conversion: Conversion, annotations: Annotations, joined: Joined | None) -> np.ndarray:
    """Bool `[images]`, whether somebody drew their boxes."""
    listed = joined.listed if joined else np.ones(len(annotations.images), bool)
    if conversion.keep_boxless:
        return listed
    _, starts = annotations.rows_by_image()
    return listed & (np.diff(starts) > 0)


def _chosen(
    conversion: Conversion,
    annotations: Annotations,
    wanted: np.ndarray,
    left_out: collections.Counter[str],
) -> np.ndarray:
    """The images to write, as positions; those left out are counted in `left_out`."""
    chosen = np.ones(len(annotations.images), bool)
    if listed := conversion.listed_ids():
        chosen = np.array([image.id not in listed for image in annotations.images], bool)
        left_out[LISTED] = int((~chosen).sum())
    left_out[NO_BOX] = int((chosen & ~wanted).sum())
    return np.flatnonzero(chosen & wanted)


def _shuffled(chosen: np.ndarray, seed: int) -> np.ndarray:
    """The same in random order. NumPy keeps the stream of a bit generator, but not `permutation`'s.

    https://numpy.org/neps/nep-0019-rng-policy.html
    """
    numbers = np.random.PCG64(seed).random_raw(len(chosen))
    return chosen[np.argsort(numbers, kind="stable")]


def _settings(conversion: Conversion, order: np.ndarray, num_shards: int) -> dict[str, Any]:
    return {
        "order_sha256": hashlib.sha256(order.astype("<i8").tobytes()).hexdigest(),
        "num_shards": num_shards,
        "granularity": str(conversion.granularity),
        "leave_out": sorted(map(str, conversion.leave_out)),
        "record_version": VERSION,
    }


def _settings_of_boxes(conversion: Conversion, taxonomy: Taxonomy) -> dict[str, Any]:
    assert conversion.annotations
    return {
        "annotations_sha256": sha256_of(conversion.annotations),
        "labels_sha256": labels_sha256(taxonomy),
        "seen_labels_sha256": _labels_sha256(taxonomy, conversion.granularity),
    }


def _settings_of_images(
    conversion: Conversion, taxonomy: Taxonomy, boxed: np.ndarray
) -> dict[str, Any]:
    """The settings that only records with image labels have.

    Args:
        conversion: what to do.
        taxonomy: the label spaces of whole images.
        boxed: bool `[records]`, whether somebody drew their boxes.
    """
    assert conversion.image_labels
    return {
        "image_annotations_sha256": sha256_of(conversion.image_labels),
        "image_labels_sha256": labels_sha256(taxonomy),
        "seen_image_labels_sha256": _labels_sha256(taxonomy, conversion.granularity),
        "boxed_sha256": hashlib.sha256(np.packbits(boxed).tobytes()).hexdigest(),
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
        "image_labels": name(conversion.image_labels),
        "image_taxonomy": name(conversion.image_taxonomy),
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
