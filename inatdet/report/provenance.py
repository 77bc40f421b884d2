"""Where numbers come from: versions, files with their hashes, and the command."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from inatdet.data.detections import Detections
from inatdet.evaluation.protocol import PROTOCOL_VERSION, Prepared
from inatdet.evaluation.resampling import Estimate
from inatdet.files import write_text
from inatdet.report.text import as_utf8
from inatdet.version import VERSION

FORMAT_VERSION = 1
"""The version of the form of report.json and comparison.json; raise it when a field that was there
moves, goes, or changes its meaning."""


def provenance(command: str) -> dict[str, object]:
    """The fields that every JSON file of numbers begins with.

    Args:
        command: the command line; empty where numbers were computed from Python.
    """
    return {"format_version": FORMAT_VERSION, "inatdet_version": VERSION, "command": command}


def sources_of(prepared: Prepared) -> dict[str, object]:
    """The files that an evaluation of detections comes from, with their hashes."""
    annotations = prepared.annotations
    return {
        "protocol_version": PROTOCOL_VERSION,
        "annotations": {"path": annotations.path, "sha256": annotations.sha256 or None},
        "taxonomy": {
            "source": annotations.taxonomy_source,
            "sha256": annotations.taxonomy_sha256 or None,
        },
        "detections": [
            {
                "path": found.path,
                "sha256": found.sha256 or None,
                "granularity": str(found.trained_on),
                "summed_from": str(found.summed_from) if found.summed_from else None,
            }
            for found in prepared.given
        ],
    }


def source(path: str, sha256: str) -> str:
    """A file and its hash in words."""
    return f"{path} (SHA-256 {sha256})" if sha256 else path


def model_name(detections: Detections) -> str:
    """What made some detections, in words."""
    if detections.summed_from:
        return f"{detections.summed_from} model, summed for {detections.trained_on}"
    return f"{detections.trained_on} model"


def listed(values: Mapping[str, object]) -> str:
    """Names and values as one line of text."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def versions() -> list[tuple[str, str]]:
    """The versions that a number may depend on, as names and values."""
    return [("protocol version", str(PROTOCOL_VERSION)), package_versions()]


def package_versions() -> tuple[str, str]:
    """The versions of this package and what it counts with, as a name and a value."""
    return (
        "versions",
        f"inatdet {VERSION}, Python {platform.python_version()}, "
        f"numpy {importlib.metadata.version('numpy')}",
    )


def write_json(path: str | os.PathLike[str], record: Mapping[str, object]) -> None:
    """Writes a record as indented JSON."""
    # The standard library's encoder takes half a second for iNat2017's species.
    encoded = msgspec.json.format(msgspec.json.encode(as_record(record)), indent=1)
    write_text(path, encoded.decode() + "\n")


def as_record(value: object) -> Any:
    """A value as plain JSON: dataclasses become objects, tuples and arrays lists.

    NaN and infinities become null, and an estimate an object with its value, its standard error and
    the margin of its 95% interval.
    """
    if type(value) is str:
        return as_utf8(value)
    if type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {as_utf8(str(key)): as_record(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: as_record(getattr(value, field.name)) for field in fields}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [as_record(item) for item in value]
    if isinstance(value, Estimate) and not np.isnan(value.std_err):
        return {
            "value": as_record(float(value)),
            "std_err": as_record(float(value.std_err)),
            "margin_95": as_record(float(value.margin)),
        }
    if isinstance(value, float):
        return as_record(float(value))
    return as_utf8(str(value)) if isinstance(value, str) else value
