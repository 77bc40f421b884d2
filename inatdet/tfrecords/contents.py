"""What records hold, as their summary says: compared without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inatdet.data.categories import Category
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import IMAGE_TAXONOMY_FILE, TAXONOMY_FILE
from inatdet.errors import InputError
from inatdet.files import matching, sha256_of
from inatdet.tfrecords.journal import split_of, summary_of

_NAMED = 3


@dataclass(frozen=True)
class Contents:
    """What tells records from others, whatever their place and however many shards they have.

    Attributes:
        bytes: the size of all files.
        images: how many they hold; like all that follows, None if no summary says it.
        boxes: how many.
        annotations_sha256: of the file that they were made from; where there were image labels,
            of all files.
    """

    bytes: int
    images: int | None = None
    boxes: int | None = None
    annotations_sha256: str | None = None

    @classmethod
    def of(cls, file_pattern: str) -> Contents:
        """The contents of the files that a pattern matches; without files, none."""
        size = sum(os.path.getsize(file) for file in matching(file_pattern))
        summary = summary_of(file_pattern)
        settings = _settings(summary)
        hashes = [settings.get(key) for key in ("annotations_sha256", "image_annotations_sha256")]
        return cls(
            size,
            summary.get("images"),
            summary.get("boxes"),
            "+".join(found for found in hashes if isinstance(found, str)) or None,
        )

    def are_those_of(self, other: Contents) -> bool:
        """Whether both are the same; the summaries decide where both have one."""
        if self.annotations_sha256 and other.annotations_sha256:
            return self._summarized() == other._summarized()
        return self.bytes == other.bytes

    def _summarized(self) -> tuple[object, ...]:
        return self.images, self.boxes, self.annotations_sha256

    def __str__(self) -> str:
        """For example "16 images with 20 boxes"."""
        if self.images is None:
            return f"{self.bytes:,} bytes of records"
        return f"{self.images:,} images with {self.boxes:,} boxes"


def check_complete(file_pattern: str) -> None:
    """Checks that shards are as long as they were when they were written.

    Args:
        file_pattern: the records; nothing is checked if no summary says how long they were.

    Raises:
        InputError: one is shorter or longer.
    """
    shards = summary_of(file_pattern).get("files")
    sizes = {
        shard.get("file"): shard.get("bytes")
        for shard in (shards if isinstance(shards, list) else [])
        if isinstance(shard, dict)
    }
    for path in matching(file_pattern):
        size, written = os.path.getsize(path), sizes.get(os.path.basename(path))
        if isinstance(written, int) and size != written:
            raise InputError(
                f"{path}: has {size:,} bytes, but {written:,} were written; copy it again, or "
                "write it again (make tfrecords)"
            )


def summary_sha256(file_pattern: str) -> str:
    """The SHA-256 of the summary beside records, which has checksums of their files; or nothing.

    Args:
        file_pattern: the records.
    """
    split = split_of(file_pattern)
    path = f"{split}.json"
    return sha256_of(path) if split and os.path.isfile(path) else ""


def checksums_of(file_pattern: str) -> dict[str, str]:
    """The CRC32C of records' files by name, as far as the summary beside them says.

    Args:
        file_pattern: the records.
    """
    shards = summary_of(file_pattern).get("files")
    return {
        str(shard.get("file")): str(shard.get("crc32c") or "")
        for shard in (shards if isinstance(shards, list) else [])
        if isinstance(shard, dict)
    }


def labels_sha256(taxonomy: Taxonomy) -> str:
    """The hash of label spaces that the summary of records has."""
    # With other names of fields, the records of earlier versions could not be resumed.
    return hashlib.sha256(repr(taxonomy).encode()).hexdigest()


def check_labels(file_pattern: str, taxonomy: Taxonomy, path: str) -> None:
    """Checks that the labels in records are those of a taxonomy, as training needs them.

    Those of the boxes or those of whole images will do, where records have both.

    Args:
        file_pattern: the records; nothing is checked if no file beside them has their labels.
        taxonomy: the label spaces.
        path: of the taxonomy, for the message.

    Raises:
        InputError: the label spaces differ.
    """
    if _have_labels_of(file_pattern, taxonomy) is False:
        files = " or ".join(_beside(file_pattern)) or TAXONOMY_FILE
        raise InputError(
            f"{file_pattern}: the labels of these TFRecords are not those of {path}; use the "
            f"{files} beside them, or give this file to inatdet tfrecords, as --taxonomy or, for "
            "image labels, as --image_taxonomy"
        )


def check_categories(file_pattern: str, taxonomy: Taxonomy) -> None:
    """Checks that the categories of records are among those of a model.

    Their labels may be others: detections have the model's.

    Args:
        file_pattern: the records; nothing is checked if no file beside them has their labels.
        taxonomy: the label spaces of the model.

    Raises:
        InputError: a category is unknown to the model, or another one there.
    """
    if _have_labels_of(file_pattern, taxonomy) is not False:
        return
    count = ""
    for of_records in _beside(file_pattern).values():
        strange = _strangers(of_records, taxonomy)
        if not strange:
            return
        named = ", ".join(f"{category.id} ({category.name})" for category in strange[:_NAMED])
        count = count or f" ({len(strange)} of {len(of_records.species)}, such as {named})"
    raise InputError(
        f"{file_pattern}: these TFRecords have other categories than the model{count}; use those "
        "of the model's dataset, or detect all the same with --any_labels"
    )


def _strangers(of_records: Taxonomy, of_model: Taxonomy) -> list[Category]:
    """The categories of records that a model does not know."""
    known = of_model.category_of_id
    return [category for category in of_records.species if known.get(category.id) != category]


def _have_labels_of(file_pattern: str, taxonomy: Taxonomy) -> bool | None:
    """Whether records have these label spaces; None if nothing beside them says so."""
    settings = _settings(summary_of(file_pattern))
    recorded = [settings.get(key) for key in ("labels_sha256", "image_labels_sha256")]
    if any(recorded):
        return labels_sha256(taxonomy) in recorded
    beside = _beside(file_pattern).values()
    return taxonomy in beside if beside else None


def _beside(file_pattern: str) -> dict[str, Taxonomy]:
    """The taxonomies in the folder of records, by the names of their files."""
    folder = os.path.dirname(next(iter(matching(file_pattern)), ""))
    paths = {name: os.path.join(folder, name) for name in (TAXONOMY_FILE, IMAGE_TAXONOMY_FILE)}
    return {name: Taxonomy.load(path) for name, path in paths.items() if os.path.exists(path)}


def _settings(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = summary.get("settings")
    return settings if isinstance(settings, dict) else {}
