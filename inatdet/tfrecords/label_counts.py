"""How often each label occurs in a split: counted when TFRecords are written, read in training.

Long-tail options need these numbers before the first image is read; reading them out of 186 GB of
TFRecords would be a second pass. So the writer puts them beside the shards, for all granularities.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from inatdet.data.annotations import Annotations
from inatdet.data.counts import LabelCounts
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.tfrecords.journal import split_of


@dataclass(frozen=True)
class SplitCounts:
    """The counts of one split.

    Attributes:
        all_images: over all images.
        single_instance: over the images with exactly one box, and that not around a crowd.
    """

    all_images: Mapping[Granularity, LabelCounts]
    single_instance: Mapping[Granularity, LabelCounts]

    @classmethod
    def of(cls, annotations: Annotations, taxonomy: Taxonomy) -> SplitCounts:
        """Counts the boxes of a split.

        Args:
            annotations: its images, all of which count.
            taxonomy: the label spaces.
        """
        return cls(
            _at_each_granularity(annotations, taxonomy),
            _at_each_granularity(annotations.single_instance(), taxonomy),
        )

    def save(self, directory: str, split: str) -> None:
        """Writes the counts beside the shards of a split."""
        record = {
            name: {granularity.value: asdict(counts) for granularity, counts in kind.items()}
            for name, kind in vars(self).items()
        }
        with (
            atomic_path(os.path.join(directory, split + _SUFFIX)) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            json.dump(record, file)
            file.write("\n")


def read_label_counts(
    file_pattern: str, granularity: Granularity, single_instance: bool
) -> LabelCounts:
    """What the writer counted in a split.

    Args:
        file_pattern: matches all shards of the split.
        granularity: of the labels.
        single_instance: only over the images with exactly one box.

    Raises:
        InputError: if the pattern matches other files, or no counts lie beside them.
    """
    split = split_of(file_pattern)
    if split is None:
        raise InputError(
            f"{file_pattern}: labels are counted over a whole split, and these are not all shards "
            "of one; give a pattern that matches those of one split, as train-*.tfrecord"
        )
    path = split + _SUFFIX
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        counts = record["single_instance" if single_instance else "all_images"]
        return _from_record(counts[granularity.value])
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; TFRecords written before labels were counted lack it: run "
            "inatdet tfrecords with the same flags again, which adds it and keeps the shards"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as label counts ({error!r}); run inatdet tfrecords again"
        ) from error


_SUFFIX = ".label_counts.json"


def _from_record(record: Mapping[str, object]) -> LabelCounts:
    return LabelCounts(record["total_images"], tuple(record["images"]), tuple(record["boxes"]))
