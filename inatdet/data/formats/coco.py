"""COCO results JSON, everybody's: one list of `image_id`, `category_id`, `bbox` and `score`.

LVIS' results files are the same. A list of five million is 700 MB of text and, as Python objects,
gigabytes; so it is read and written a piece at a time, and only columns of numbers are kept.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Annotated, Any, BinaryIO

import msgspec
import numpy as np
from tqdm import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import (
    OnBad,
    collect,
)
from inatdet.data.detections import (
    Detections,
    check_columns,
    check_count,
    check_labels,
    labels_of_categories,
)
from inatdet.data.formats.json_stream import LISTS, iterate_lists
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.files import atomic_path

_PIECE = 1 << 24  # bytes
# A detection with a mask takes some kilobytes. What is longer without an end is none.
_LONGEST_DETECTION = 1 << 26
_ROWS_AT_ONCE = 1 << 17
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Result(msgspec.Struct, gc=False):
    """One element of the list; other keys are not looked at."""

    image_id: _Int64
    category_id: _Int64
    bbox: tuple[float, float, float, float]
    score: float


def read_coco_results(path: str, granularity: Granularity, taxonomy: Taxonomy) -> Detections:
    """Reads COCO or LVIS results.

    Args:
        path: the file.
        granularity: of the model's labels.
        taxonomy: the label spaces. `category_id` is the dataset's category id for species, and the
            label for the coarser granularities.

    Raises:
        InputError: the file is no such JSON or cut short, or a detection is wrong.
    """
    parts: dict[str, list[np.ndarray]] = {"image_id": [], "category_id": [], "score": []}
    boxes = []
    count = 0
    for results in _pieces(path):
        check_count(path, count + len(results))
        for name, arrays in parts.items():
            values = map(attrgetter(name), results)
            kind = np.float64 if name == "score" else np.int64
            arrays.append(np.fromiter(values, kind, len(results)))
        boxes.append(np.array([result.bbox for result in results], np.float64).reshape(-1, 4))
        count += len(results)
    image_ids, category_ids, scores = map(np.concatenate, parts.values())
    found = np.concatenate(boxes)
    check_columns(path, image_ids, scores, found)
    if granularity is Granularity.SPECIES:
        labels = labels_of_categories(path, category_ids, taxonomy)
    else:
        check_labels(path, category_ids, taxonomy.num_labels(granularity), granularity)
        labels = {
            target: taxonomy.coarsen(category_ids, granularity, target)
            for target in granularity.coarser_or_equal()
        }
    return Detections(path, granularity, image_ids, labels, scores, found)


def _pieces(path: str) -> Iterator[list[_Result]]:
    """Yields the list's elements, many at a time; at least one list, perhaps empty."""
    with (
        open(path, "rb") as file,
        tqdm(
            total=os.path.getsize(path), unit="B", unit_scale=True, delay=2, disable=None
        ) as progress,
    ):
        yield from _Pieces(path, file, progress).lists()


class _Pieces:
    """Cuts the text of a JSON list between elements."""

    def __init__(self, path: str, file: BinaryIO, progress: tqdm):
        self._path, self._file, self._progress = path, file, progress
        self._decoder = msgspec.json.Decoder(list[_Result])
        self._count = 0  # elements before the text at hand
        self._offset = 0  # bytes before it

    def lists(self) -> Iterator[list[_Result]]:
        text = self._opened()
        while more := self._read():
            text += more
            cut = text.rfind(b"},") + 1
            results = self._decoded(text[:cut]) if cut else None
            if results is None:
                # No whole element, or the end of an object within one.
                cut = _end_of_elements(text)
                results = self._decoded(text[:cut]) if cut else None
                if cut and results is None:
                    raise self._broken(text[:cut] + b"]")
            if results is None:
                if len(text) > _LONGEST_DETECTION:
                    raise InputError(
                        f"{self._path}: detection {self._count + 1} does not end within "
                        f"{_LONGEST_DETECTION:,} bytes; each is one small JSON object"
                    )
                continue
            yield results
            self._count += len(results)
            self._offset += cut + 1
            text = text[cut + 1 :]
        end = text.rstrip()
        results = self._decoded(end[:-1]) if end.endswith(b"]") else None
        if results is None or (self._count and not results):
            raise self._broken(end)
        yield results

    def _opened(self) -> bytes:
        """The first bytes behind the opening bracket."""
        text = self._read()
        body = text.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if not body.startswith(b"["):
            raise InputError(
                f"{self._path}: is neither Parquet nor a JSON list of detections; COCO results "
                "are one list [...]"
            )
        self._offset = len(text) - len(body) + 1
        return body[1:]

    def _read(self) -> bytes:
        piece = self._file.read(_PIECE)
        self._progress.update(len(piece))
        return piece

    def _decoded(self, text: bytes) -> list[_Result] | None:
        """The elements of a text between brackets; None where it is no JSON."""
        try:
            return self._decode(b"[%b]" % text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _decode(self, text: bytes) -> list[_Result]:
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            where = re.search(r"\[(\d+)\](\S*)`$", str(error))
            number = self._count + int(where[1]) + 1 if where else self._count + 1
            what = str(error).partition(" - at ")[0]
            at = f" in its {where[2].lstrip('.')}" if where and where[2] else ""
            raise InputError(
                f"{self._path}: detection {number} is no COCO result ({what}{at}); each needs "
                "image_id, category_id, bbox [x, y, width, height] and score"
            ) from error
        except RecursionError as error:
            raise InputError(
                f"{self._path}: is JSON nested too deeply to be detections (after detection "
                f"{self._count}); each is one small object"
            ) from error

    def _broken(self, text: bytes) -> InputError:
        """Why a text behind an opening bracket, to its end, is no JSON."""
        why, place = "a comma too many", len(text)
        try:
            self._decode(b"[%b" % text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            why = re.sub(r"JSON is malformed: |\s*\(byte \d+\)", "", str(error))
            byte = re.search(r"\(byte (\d+)\)", str(error))
            place = int(byte[1]) - 1 if byte else len(text)
        return InputError(
            f"{self._path}: is not valid JSON, or cut short, at byte {self._offset + place} "
            f"({why}); NaN and Infinity are no JSON numbers; write it again"
        )


def _end_of_elements(text: bytes) -> int:
    """Where the last whole element of a list ends that a comma follows; 0 if none does.

    Args:
        text: the inside of a list, from the start of an element on.
    """
    # What a backslash precedes is no quotation mark, whatever it is.
    plain = re.sub(rb"\\.", b"__", text, flags=re.DOTALL) if b"\\" in text else text
    characters = np.frombuffer(plain, np.uint8)
    quoted = np.cumsum(characters == ord('"'), dtype=np.uint8) & 1
    opening = (characters == ord("{")) | (characters == ord("["))
    closing = (characters == ord("}")) | (characters == ord("]"))
    steps = opening.astype(np.int8) - closing.astype(np.int8)
    depth = np.cumsum(np.where(quoted, 0, steps), dtype=np.int32)
    commas = np.flatnonzero((characters == ord(",")) & (depth == 0) & (quoted == 0))
    return int(commas[-1]) if len(commas) else 0


def write_coco_json(
    path: str | os.PathLike[str],
    detections: Detections,
    taxonomy: Taxonomy,
    granularity: Granularity | None = None,
) -> None:
    """Writes detections as COCO results JSON, for other programs.

    Args:
        path: the file.
        detections: those without a label at the granularity are left out.
        taxonomy: their label spaces; species are written by category id, coarser ones by label.
        granularity: no finer than that of the detections, which it is by default.
    """
    granularity = granularity or detections.trained_on
    labels = detections.labels[granularity]
    ids = labels
    if granularity is Granularity.SPECIES:
        of_label = np.array([-1] + [category.id for category in taxonomy.species], np.int64)
        ids = of_label[labels]
    rows = np.flatnonzero(labels)
    columns = (detections.image_ids, ids, detections.boxes, detections.scores)
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        tqdm(total=len(rows), unit_scale=True, delay=2, disable=None) as progress,
    ):
        file.write(b"[")
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = rows[start : start + _ROWS_AT_ONCE]
            results = [
                _Result(image_id, category_id, tuple(box), score)
                for image_id, category_id, box, score in zip(*(c[block].tolist() for c in columns))
            ]
            file.write(b",\n" if start else b"\n")
            file.write(msgspec.json.encode(results)[1:-1])
            progress.update(len(block))
        file.write(b"\n]\n")


def read_annotations(path: str | os.PathLike[str], on_bad: OnBad = OnBad.ERROR) -> Annotations:
    """Reads and checks a COCO-style annotation file.

    A box may reach over its image's edge by at most `BOX_TOLERANCE`, one pixel, as boxes rounded to
    whole pixels do; it is cut to the image then. One that reaches further out is bad. Of records
    with the same id the first is good and the others are bad. Boxes of an image or category that
    was left out are left out and counted as well.

    Args:
        path: a JSON object with lists `images`, `categories` and `annotations`.
        on_bad: with `ERROR` any bad record ends the reading. With `SKIP` bad records are left out
            and counted in `skipped`; mind that an image may then have fewer boxes than it should.

    Raises:
        InputError: the file is missing, empty, truncated or no such JSON; or a record is bad and
            `on_bad` is `ERROR`, in which case the first few bad ones are named.
    """
    path = os.fspath(path)
    return collect(path, iterate_lists(path, LISTS), on_bad)


def _read_json(path: str, super_categories: Mapping[str, str] | None, on_bad: OnBad) -> Annotations:
    """COCO's form, in which LVIS leaves out file names and super-classes."""

    def records() -> Iterator[tuple[str, Any]]:
        for key, record in iterate_lists(path, LISTS):
            if isinstance(record, dict):
                if key == "images" and "file_name" not in record:
                    url = record.get("coco_url")
                    if isinstance(url, str):  # .../train2017/000000391895.jpg
                        record["file_name"] = "/".join(url.rsplit("/", 2)[1:])
                if key == "categories" and super_categories is not None:
                    name = record.get("name")
                    if isinstance(name, str) and name in super_categories:
                        record["supercategory"] = super_categories[name]
            yield key, record

    return collect(path, records(), on_bad)


def write_annotations(
    path: str | os.PathLike[str],
    annotations: Annotations,
    taxonomy: Taxonomy,
    granularity: Granularity = Granularity.SPECIES,
) -> None:
    """Writes COCO-style JSON.

    Args:
        path: the file.
        annotations: all of them are written.
        taxonomy: their label spaces.
        granularity: what the categories are. For species they are those of the annotations; else
            the labels 1, 2, ... of the taxonomy, as in detections of that granularity.

    Raises:
        InputError: a box has a category that the taxonomy has no label for.
    """
    categories = [
        {"id": c.id, "name": c.name, "supercategory": c.supercategory}
        for c in annotations.categories
    ]
    category_of = {c.id: c.id for c in annotations.categories}
    if granularity is not Granularity.SPECIES:
        category_of = dict(taxonomy.label_of_category(granularity))
        categories = [
            {"id": label, "name": name, "supercategory": name}
            for label, name in enumerate(taxonomy.names(granularity), 1)
        ]
    for category_id in annotations.boxed_category_ids():
        if category_id not in category_of:
            raise InputError(
                f"{annotations.path}: category {category_id} has no {granularity} label in the "
                "taxonomy; check that both belong to the same dataset"
            )
    images = (
        {"id": i.id, "file_name": i.file_name, "width": i.width, "height": i.height}
        for i in annotations.images
    )
    columns = (
        annotations.box_ids,
        annotations.image_ids,
        annotations.category_ids,
        annotations.boxes,
        annotations.areas,
        annotations.is_crowd.astype(int),
    )
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    boxes = (
        dict(zip(names, row)) | {"category_id": category_of[row[2]]}
        for row in zip(*(column.tolist() for column in columns))
    )
    total = len(annotations.images) + len(annotations.boxes)
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        tqdm(total=total, unit_scale=True, delay=2, disable=None) as progress,
    ):
        file.write(b'{"categories": %b' % json.dumps(categories).encode())
        for key, records in (("images", images), ("annotations", boxes)):
            file.write(b',\n"%b": [' % key.encode())
            before = b"\n"
            while block := list(itertools.islice(records, 10_000)):
                file.write(before + msgspec.json.encode(block)[1:-1])
                before = b",\n"
                progress.update(len(block))
            file.write(b"\n]")
        file.write(b"}\n")
