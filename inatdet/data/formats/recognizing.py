"""Recognizes files of detections, those that are read and those that other programs write.

What is common and can be read in one way only is read. For the rest, a message says what the file
seems to be and what to write instead.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping
from typing import Any

from inatdet.data.entries import is_id, is_number, short
from inatdet.data.formats.json_stream import iterate_beginnings
from inatdet.data.formats.signatures import check_is_text
from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_PIECE = 1 << 20  # bytes read at a time
_MOST_KEYS = 100  # of one object

_WRITE_COCO = (
    "write COCO results instead, a JSON list of objects with image_id, category_id, bbox [x, y, "
    "width, height] and score"
)
_STARTS = (  # of files that other programs keep detections in
    (b"\x80", f"is a pickle, which can run any program when it is loaded; {_WRITE_COCO}"),
    (b"PK\x03\x04", f"is an archive, as torch.save and NumPy write it; {_WRITE_COCO}"),
    (b"\x89HDF", f"is HDF5; {_WRITE_COCO}"),
    (b"\x93NUMPY", f"is one array of NumPy's; {_WRITE_COCO}"),
    (b"<", f"is XML or a web page; {_WRITE_COCO}, or give a folder of results"),
)
_CSV = (".csv", ".tsv")
_NEITHER = f"is neither Parquet nor JSON with detections; {_WRITE_COCO}"
_CORNERS = "write one element per box, and boxes as x, y, width, height instead of corners"
_KEYS = ("image_id", "category_id", "bbox", "score")


class Kind(enum.Enum):
    """The kinds of file that are read.

    `PARQUET`: our own.
    `LIST`: a JSON list of COCO results.
    `LINES`: one COCO result per line.
    `OBJECT`: a JSON object with COCO results as its `annotations`.
    `MEGADETECTOR`: the JSON object that MegaDetector writes.
    """

    PARQUET = enum.auto()
    LIST = enum.auto()
    LINES = enum.auto()
    OBJECT = enum.auto()
    MEGADETECTOR = enum.auto()


def kind_of(path: str) -> Kind:
    """Which kind of detections a file seems to hold, from its beginning.

    Raises:
        InputError: it cannot be read, is empty, or of a kind that is not read; the message says
            what to do.
    """
    start = _start(path)
    if start.startswith(b"PAR1"):
        return Kind.PARQUET
    if start.startswith(b"["):
        return Kind.LIST
    if start.startswith(b"{"):
        return _kind_of_object(path)
    for magic, what in _STARTS:
        if start.startswith(magic):
            raise InputError(f"{path}: {what}")
    check_is_text(path, start)
    if path.lower().endswith(_CSV):
        raise InputError(f"{path}: is a table of text; {_WRITE_COCO}")
    raise InputError(f"{path}: {_NEITHER}")


def _start(path: str) -> bytes:
    """The first bytes of a file that are neither blank nor a byte order mark of UTF-8."""
    empty = True
    try:
        with open_regular(path) as file:
            while piece := file.read(_PIECE):
                empty = False
                if start := piece.removeprefix(b"\xef\xbb\xbf").lstrip():
                    return start[:16]
    except OSError as error:
        raise cannot_read(path, error) from error
    if empty:
        raise InputError(f"{path}: is empty; write the detections again")
    raise InputError(f"{path}: {_NEITHER}")


def _kind_of_object(path: str) -> Kind:
    for key, value in itertools.islice(iterate_beginnings(path), _MOST_KEYS):
        if key in _KEYS:
            return Kind.LINES
        if key == "annotations":
            return Kind.OBJECT
        if key == "images":
            of_files = isinstance(value, Mapping) and "file" in value
            return Kind.MEGADETECTOR if of_files else Kind.OBJECT
        if what := _foreign(value) or _foreign({key: value}):
            raise InputError(f"{path}: {what}")
    raise InputError(f"{path}: {_NEITHER}")


def unnested(entry: Any) -> Any:
    """An element of a list of results with `bbox: [[x, y, width, height]]` as one with one list."""
    if isinstance(entry, Mapping):
        box = entry.get("bbox")
        if isinstance(box, list) and len(box) == 1 and isinstance(box[0], list):
            return {**entry, "bbox": box[0]}
    return entry


def fault_of(entry: Any) -> str:
    """What is wrong with an element of a list of results; empty if nothing is."""
    if not isinstance(entry, Mapping):
        return f"is no object, but {short(entry)}"
    if foreign := _foreign(entry):
        return foreign
    if missing := [key for key in _KEYS if key not in entry]:
        hint = ""
        if missing == ["score"] and {"area", "iscrowd"} & entry.keys():
            hint = ": these are annotations, perhaps given in place of detections"
        return f"has no {' and no '.join(missing)}{hint}"
    image_id, category_id, box, score = (entry[key] for key in _KEYS)
    if not isinstance(image_id, str) and not _is_whole(image_id):
        return f"has no whole number and no file name as its image_id, but {short(image_id)}"
    if not _is_whole(category_id):
        return f"has no whole number as its category_id, but {short(category_id)}"
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return f"has no list of four numbers as its bbox, but {short(box)}"
    if not is_number(score):
        return f"has no number as its score, but {short(score)}"
    return ""


def _is_whole(value: Any) -> bool:
    return is_id(value) or (isinstance(value, float) and value.is_integer())


def _foreign(entry: Any) -> str:
    """Which program writes such objects, and what to write instead; empty if unknown."""
    if not isinstance(entry, Mapping):
        return ""
    keys = entry.keys()
    if keys >= {"boxes", "scores"} or keys & {"pred_boxes", "pred_instances"}:
        return f"has lists of boxes and scores, as torchvision and Hugging Face do; {_CORNERS}"
    if "box" in keys and keys & {"label", "name"}:
        return f"has a name and a box of corners, as pipelines and Ultralytics do; {_CORNERS}"
    if "instances" in keys:
        return (
            "has its boxes in `instances`; give detectron2's coco_instances_results.json, or write "
            "the instances one after another"
        )
    if "detections" in keys:
        return (
            "has its boxes in `detections`; write one element per box, or give MegaDetector's own "
            "file, an object with `images` and `detection_categories`"
        )
    if "predictions" in keys:
        return "has its boxes in `predictions`; write one element per box"
    return ""
