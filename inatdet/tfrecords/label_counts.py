"""How often each label occurs in a split: counted when TFRecords are written, read in training.

Long-tail options need these numbers before the first image is read, and to count them in 186 GB of
TFRecords would be a second pass. So the writer stores them beside the shards, by category, from
which they follow at every level.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inatdet.data.annotations import Annotations
from inatdet.data.counts import CategoryCounts, LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import check_version, write_text
from inatdet.tfrecords.joining import ImageCategories
from inatdet.tfrecords.journal import split_of

_SUFFIX = ".label_counts.json"
_FORMAT = "inatdet label counts"
_VERSION = 2  # by category instead of label
_WRITE_AGAIN = "run `inatdet tfrecords` again with the same flags"


@dataclass(frozen=True)
class SplitCounts:
    """The counts of one split.

    Attributes:
        all_images: over all images.
        single_instance: over the images with exactly one box, which is not around a crowd.
        image_labels: the number of images by the category that each shows as a whole; those
            without one do not count. None if it is not known: then `read_image_label_counts` takes
            the images whose boxes agree, without those around a crowd.
    """

    all_images: CategoryCounts
    single_instance: CategoryCounts
    image_labels: Mapping[int, int] | None = None

    @classmethod
    def of(cls, annotations: Annotations) -> SplitCounts:
        """Counts the boxes of a split; all images of the annotations count."""
        return cls(
            CategoryCounts.of(annotations),
            CategoryCounts.of(annotations.single_instance()),
            ImageCategories.of_boxes(annotations).counts(),
        )

    def save(self, directory: str, split: str) -> None:
        """Writes the counts beside the shards of a split.

        Args:
            directory: the folder of the shards.
            split: the first part of their names.
        """
        content: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
        for name in ("all_images", "single_instance"):
            content[name] = _to_json(getattr(self, name))
        if self.image_labels is not None:
            content["image_labels"] = list(self.image_labels.items())
        write_text(os.path.join(directory, split + _SUFFIX), json.dumps(content) + "\n")


def _to_json(counts: CategoryCounts) -> dict[str, Any]:
    return {
        "total_images": counts.total_images,
        "boxes": list(counts.boxes.items()),
        "images": list(counts.images.items()),
    }


def _from_json(content: Any) -> CategoryCounts:
    return CategoryCounts(
        content["total_images"],
        dict(content["boxes"]),
        {tuple(category_ids): count for category_ids, count in content["images"]},
    )


def read_label_counts(
    file_pattern: str, taxonomy: Taxonomy, granularity: Granularity, single_instance: bool
) -> LabelCounts:
    """Reads what the writer counted in a split.

    Args:
        file_pattern: matches all shards of the split.
        taxonomy: the label spaces.
        granularity: of the labels.
        single_instance: whether to count only over the images with exactly one box.

    Raises:
        InputError: the pattern matches other files, or there are no counts beside them that this
            version can read.
    """
    with _content_beside(file_pattern) as content:
        counts = _from_json(content["single_instance" if single_instance else "all_images"])
    return counts.at(taxonomy, granularity)


def read_image_label_counts(
    file_pattern: str, taxonomy: Taxonomy, granularity: Granularity
) -> LabelCounts:
    """Reads how many images of each label a classifier can learn from.

    An image counts if it shows one category as a whole; see `examples.decode_image_category`.

    Args:
        file_pattern: matches all shards of the split.
        taxonomy: the label spaces.
        granularity: of the labels.

    Returns:
        Counts over the images that have a label: `images` and `boxes` are the same, and
        `total_images` is their sum.

    Raises:
        InputError: the pattern matches other files, or there are no counts beside them that this
            version can read.
    """
    with _content_beside(file_pattern) as content:
        if "image_labels" in content:
            by_category = dict(content["image_labels"])
        else:  # of an earlier version
            shown = _from_json(content["all_images"]).images
            by_category = {ids[0]: count for ids, count in shown.items() if len(ids) == 1}
        counts = CategoryCounts(
            sum(by_category.values()),
            by_category,
            {(category_id,): count for category_id, count in by_category.items()},
        ).at(taxonomy, granularity)
    return replace(counts, total_images=sum(counts.images))


@contextlib.contextmanager
def _content_beside(file_pattern: str) -> Iterator[Any]:
    """The counts beside the shards of a split, as they were written.

    What goes wrong in the block is an `InputError` that names the file.
    """
    split = split_of(file_pattern)
    if split is None:
        raise InputError(
            f"{file_pattern}: labels are counted over a whole split, but these are not all shards "
            "of one; give a pattern that matches the shards of one split, such as train-*.tfrecord"
        )
    path = split + _SUFFIX
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        check_version(path, content.get("version"), _VERSION, _WRITE_AGAIN)
        yield content
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; TFRecords written before labels were counted lack it, so "
            f"{_WRITE_AGAIN}, which adds it and keeps the shards"
        ) from error
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as label counts ({error!r}); {_WRITE_AGAIN}"
        ) from error
