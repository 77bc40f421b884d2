"""How often each label occurs in a split: counted when TFRecords are written, read in training.

Long-tail options need these numbers before the first image is read, and to count them in 186 GB of
TFRecords would be a second pass. So the writer stores them beside the shards, by category, from
which they follow at every level.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from inatdet.data.annotations import Annotations
from inatdet.data.counts import CategoryCounts, LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import check_version, write_text
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
    """

    all_images: CategoryCounts
    single_instance: CategoryCounts

    @classmethod
    def of(cls, annotations: Annotations) -> SplitCounts:
        """Counts the boxes of a split; all images of the annotations count."""
        return cls(*map(CategoryCounts.of, (annotations, annotations.single_instance())))

    def save(self, directory: str, split: str) -> None:
        """Writes the counts beside the shards of a split.

        Args:
            directory: the folder of the shards.
            split: the first part of their names.
        """
        content = {"format": _FORMAT, "version": _VERSION}
        content |= {name: _to_json(counts) for name, counts in vars(self).items()}
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
        counts = _from_json(content["single_instance" if single_instance else "all_images"])
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
    return counts.at(taxonomy, granularity)
