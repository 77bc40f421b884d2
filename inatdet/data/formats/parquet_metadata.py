"""What our Parquet files say about themselves: their label spaces, and where they come from.

The metadata are JSON under the key `inatdet` of the Parquet schema. With the label space in them,
labels can be matched by category id and by name with those of the ground truth, which may be
derived from another file.

Version 2 added `label_space_sha256`, `checkpoint_sha256` and `command`; version 1 is still read.
Files of predictions, which came later, have `content` and `coarser` besides. `records_sha256` and
`versions` came later, too, and nothing depends on them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from inatdet.choices import Choice
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import check_version
from inatdet.version import versions

KEY = b"inatdet"
"""Of our metadata among those of a Parquet schema."""

_VERSION = 2
# iNat2017's label space takes 250 kB; as Python objects, JSON can be thirty times as large.
_LONGEST = 16 << 20


class Content(Choice):
    """What the rows of a file are; the values are the names of the flags that take it."""

    DETECTIONS = "detections"
    PREDICTIONS = "predictions"


_WRITE_AGAIN = {
    Content.DETECTIONS: "`inatdet detect`",
    Content.PREDICTIONS: "`inatdet classify`",
}
_OTHERWISE = {
    Content.DETECTIONS: "`inatdet detect` or `inatdet convert`, or give COCO results",
    Content.PREDICTIONS: "`inatdet classify`, or give CSV",
}


class Label(msgspec.Struct, frozen=True):
    """A label of a file's own label space.

    Attributes:
        name: of the species or super-class; "animal" for the generic label.
        category_id: the dataset's number for the species; None at the coarser granularities.
        supercategory: the super-class of the species; None at the coarser granularities.
    """

    name: str
    category_id: int | None = None
    supercategory: str | None = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says about its detections or predictions.

    Attributes:
        version: of the file's format.
        granularity: of the labels, the value of a `Granularity`.
        labels: the label space: label 1, 2, ...
        content: what the rows are, the value of a `Content`.
        coarser: the names of the labels at each coarser level of which the file has columns.
        model: which model made the file, as a path or a name; may be empty.
        settings: how it made it.
        label_space_sha256: see `label_space_sha256`; empty before version 2.
        checkpoint_sha256: of the model's checkpoint; empty if unknown.
        command: the command that wrote the file; empty if unknown.
        records_sha256: of the summary beside the TFRecords that the images came from; empty if they
            had none, or came from elsewhere.
        versions: of this package, Python and libraries, by name; empty if unknown.
    """

    version: int = _VERSION
    granularity: str
    labels: list[Label]
    content: str = Content.DETECTIONS.value
    coarser: dict[str, list[str]] = {}
    model: str
    settings: dict[str, Any]
    label_space_sha256: str = ""
    checkpoint_sha256: str = ""
    command: str = ""
    records_sha256: str = ""
    versions: dict[str, str] = {}


class _Beginning(msgspec.Struct):
    """The part of the metadata that every version has, and every content."""

    version: int
    content: str = Content.DETECTIONS.value


def labels_of(taxonomy: Taxonomy, granularity: Granularity) -> list[Label]:
    """The label space of a taxonomy at a granularity, as files store it."""
    if granularity is Granularity.SPECIES:
        return [Label(c.name, c.id, c.supercategory) for c in taxonomy.species]
    return [Label(name) for name in taxonomy.names(granularity)]


def label_space_sha256(labels: Sequence[Label]) -> str:
    """A hash by which files with the same label space can be recognized.

    It is the SHA-256, in hexadecimal, of the labels as JSON: a list with one object per label, in
    the order of the labels, with the keys `category_id`, `name` and `supercategory` in this order.
    Keys without a value are left out, so is white space, and all but ASCII is escaped. Where a file
    has columns for coarser levels, their names follow as objects with a `name`, from fine to
    coarse.
    """
    text = json.dumps(_entries(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(
    taxonomy: Taxonomy,
    granularity: Granularity,
    levels: Iterable[Granularity] = (),
    **said: Any,
) -> Metadata:
    """The metadata of a file that is to be written.

    Args:
        taxonomy: the label spaces.
        granularity: of the labels.
        levels: the coarser levels of which the file has columns.
        said: further attributes of `Metadata`.
    """
    labels = labels_of(taxonomy, granularity)
    coarser = {str(level): list(taxonomy.names(level)) for level in levels}
    return Metadata(
        granularity=str(granularity),
        labels=labels,
        coarser=coarser,
        label_space_sha256=label_space_sha256(_all_labels(labels, coarser)),
        versions=versions(),
        **said,
    )


def _all_labels(labels: Sequence[Label], coarser: Mapping[str, Sequence[str]]) -> list[Label]:
    return [*labels, *(Label(name) for names in coarser.values() for name in names)]


def encode(metadata: Metadata) -> dict[bytes, bytes]:
    """The metadata of a Parquet schema.

    Raises:
        ValueError: the settings hold what JSON cannot, such as NaN.
    """
    fields = msgspec.structs.asdict(metadata) | {"labels": _entries(metadata.labels)}
    if metadata.content == Content.DETECTIONS:
        del fields["content"], fields["coarser"]
    # Paths may have bytes that are no UTF-8, which Python keeps as halves of surrogate pairs.
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    return {KEY: text.encode("utf-8", "replace")}


def decode(
    path: str, stored: Mapping[bytes, bytes] | None, content: Content = Content.DETECTIONS
) -> Metadata:
    """The metadata in those of a Parquet schema.

    Args:
        path: the file, for the message.
        stored: the metadata of the schema.
        content: what the file should contain.

    Raises:
        InputError: they are missing, malformed, too long, of a newer version or another content, or
            the label space is not the one that its hash was computed from.
    """
    text = (stored or {}).get(KEY, b"")
    if len(text) > _LONGEST:
        raise InputError(
            f"{path}: has {len(text):,} bytes of metadata, but at most {_LONGEST:,} are allowed; "
            "write it again with shorter settings"
        )
    try:
        beginning = msgspec.json.decode(text, type=_Beginning)
        if beginning.content != content:
            found = Content(beginning.content)
            raise InputError(f"{path}: holds {found}, not {content}; give it as --{found}")
        check_version(
            path,
            beginning.version,
            _VERSION,
            f"write the file again with {_WRITE_AGAIN[content]}",
        )
        metadata = msgspec.json.decode(text, type=Metadata)
        for level in (metadata.granularity, *metadata.coarser):
            Granularity(level)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise InputError(
            f"{path}: does not describe its label space in its metadata; write it with "
            f"{_OTHERWISE[content]}"
        ) from error
    if beginning.version >= 2 and metadata.label_space_sha256 != label_space_sha256(
        _all_labels(metadata.labels, metadata.coarser)
    ):
        raise InputError(
            f"{path}: its label space does not match the hash stored with it; the file is damaged "
            "or was edited, so write it again"
        )
    return metadata


def _entries(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Labels as JSON objects, without the keys that have no value."""
    return [
        {key: value for key, value in msgspec.structs.asdict(label).items() if value is not None}
        for label in labels
    ]
