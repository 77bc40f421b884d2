"""Observations of any kind, read into the one table that the rule works on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from inatdet.datasets import darwin_core, open_data, plain_table
from inatdet.datasets.common_table import Paths, Source
from inatdet.datasets.database import Database
from inatdet.errors import InputError
from inatdet.files import write_text

_COMPLETE = "source.json"  # written last
_VERSION = 1  # of the tables
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


def gather(
    database: Database,
    path: str,
    folder: str,
    taxa: str | None = None,
    notify: Callable[[str], object] = lambda message: None,
) -> Source:
    """Makes the common table of observations, unless the folder has it already.

    Args:
        database: works.
        path: the folder of iNaturalist's Open Data or of a Darwin Core archive, or a table.
        folder: where Parquet files are written; a later call reads them if neither the
            observations nor this package's way of reading them have changed.
        taxa: a table of taxa, for observations in a table.
        notify: called with what is done.

    Raises:
        InputError: the observations are not of these kinds, or not as they should be.
    """
    inputs = _inputs(path, taxa)
    paths = Paths(folder)
    complete = os.path.join(folder, _COMPLETE)
    stamp = {"version": _VERSION, "inputs": [_stamp(file) for file in inputs]}
    known = _read(complete)
    if known and known.pop("stamp") == stamp:
        notify(f"{folder}: has the tables of these observations already")
        return Source(**{**known, "notes": tuple(known["notes"])})
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(complete):
        os.remove(complete)
    if not os.path.isdir(path):
        source = plain_table.gather(database, path, taxa, paths)
    elif os.path.exists(os.path.join(path, darwin_core.META)):
        source = darwin_core.gather(database, path, paths)
    else:
        source = open_data.gather(database, open_data.files_in(path), paths)
    write_text(complete, json.dumps({**vars(source), "stamp": stamp}, indent=1) + "\n")
    return source


def _inputs(path: str, taxa: str | None) -> list[str]:
    """The files that will be read, after a first look at what they are.

    Raises:
        InputError: they are of no kind that is known.
    """
    if not os.path.exists(path):
        raise InputError(f"--observations={path}: is not there; check the path")
    if not os.path.isdir(path):
        if path.endswith(_ARCHIVES):
            raise InputError(f"{path}: is an archive; unpack it, and give the folder")
        if taxa is not None and not os.path.isfile(taxa):
            raise InputError(f"--taxa={taxa}: is not there; check the path")
        return [path, *([taxa] if taxa else [])]
    if taxa is not None:
        raise InputError(f"--taxa={taxa}: {path} has taxa of its own; leave the flag out")
    if os.path.exists(os.path.join(path, darwin_core.META)):
        names = sorted(name for name in os.listdir(path) if name.endswith((".csv", ".txt", ".xml")))
        return [os.path.join(path, name) for name in names]
    files = open_data.files_in(path)
    if not files:
        raise InputError(
            f"{path}: has neither photos.csv.gz and the other tables of iNaturalist's Open Data, "
            f"nor the {darwin_core.META} of a Darwin Core archive; give such a folder, or a table"
        )
    return list(files.values())


def _stamp(path: str) -> list[object]:
    state = os.stat(path)
    return [os.path.abspath(path), state.st_size, state.st_mtime_ns]


def _read(path: str) -> dict | None:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "stamp" in content else None
