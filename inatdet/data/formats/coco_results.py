"""COCO's results: detections as one JSON list, as LVIS and most frameworks write them.

Each element has `image_id`, `category_id`, `bbox` (`x, y, width, height`) and `score`; other keys
are ignored. The same elements are read from JSON Lines, and from the `annotations` of one object.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Annotated

import msgspec
import numpy as np
from tqdm import tqdm

from inatdet.data.annotations import Image
from inatdet.data.detections import (
    Detections,
    check_columns,
    check_count,
    check_labels,
)
from inatdet.data.formats.image_ids import ids_of_names
from inatdet.data.formats.json_list import Form, converted, iterate_lines, iterate_list
from inatdet.data.formats.json_stream import iterate_lists
from inatdet.data.formats.recognizing import Kind, fault_of, unnested
from inatdet.data.granularity import Granularity
from inatdet.data.labels import labels_of_categories, labels_of_labels
from inatdet.data.taxonomy import Taxonomy
from inatdet.files import atomic_path

_ROWS_AT_ONCE = 1 << 17
_ENTRIES_AT_ONCE = 10_000

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Result(msgspec.Struct, gc=False):
    """One element of a list of results; other keys are ignored."""

    image_id: _Int64 | str
    category_id: _Int64
    bbox: tuple[float, float, float, float]
    score: float


_FORM = Form(
    element="detection",
    needs="each needs image_id, category_id, bbox [x, y, width, height] and score",
    not_a_list=(
        "is neither Parquet nor a JSON list of detections; COCO results are one list [...]"
    ),
    mended=unnested,
    fault=fault_of,
)


def read_coco_detections(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: Sequence[Image] = (),
    kind: Kind = Kind.LIST,
) -> Detections:
    """Reads COCO results.

    Args:
        path: the file.
        granularity: of the model's labels.
        taxonomy: the label spaces. `category_id` is the dataset's category id for species, and the
            label for the coarser granularities.
        images: the annotations' images, by whose names an `image_id` may call them.
        kind: where in the file the results are: `LIST`, `LINES` or `OBJECT`.

    Raises:
        InputError: the file is not such JSON or is truncated, or a detection is invalid.
    """
    parts: dict[str, list[np.ndarray]] = {"category_id": [], "score": []}
    ids: list[np.ndarray] = []
    boxes = []
    count = 0
    has_names = False
    for results in _results(path, kind):
        check_count(path, count + len(results))
        for name, arrays in parts.items():
            values = map(attrgetter(name), results)
            dtype = np.float64 if name == "score" else np.int64
            arrays.append(np.fromiter(values, dtype, len(results)))
        boxes.append(np.array([result.bbox for result in results], np.float64).reshape(-1, 4))
        given = [result.image_id for result in results]
        of_names = any(isinstance(image_id, str) for image_id in given)
        has_names = has_names or of_names
        ids.append(np.array(given, object if of_names else np.int64))
        count += len(results)
    image_ids = np.concatenate(ids)
    category_ids, scores = map(np.concatenate, parts.values())
    found = np.concatenate(boxes)
    notes: tuple[str, ...] = ()
    if has_names:
        image_ids, notes = ids_of_names(path, image_ids.tolist(), images)
    check_columns(path, image_ids, scores, found)
    if granularity is Granularity.SPECIES:
        labels = labels_of_categories(path, category_ids, taxonomy)
    else:
        check_labels(path, category_ids, taxonomy.num_labels(granularity), granularity)
        labels = labels_of_labels(category_ids, granularity, taxonomy)
    return Detections(path, granularity, image_ids, labels, scores, found, notes=notes)


def write_coco_detections(
    path: str | os.PathLike[str],
    detections: Detections,
    taxonomy: Taxonomy,
    granularity: Granularity | None = None,
) -> None:
    """Writes detections as COCO results, for other programs.

    Args:
        path: the file.
        detections: those without a label at the granularity are left out.
        taxonomy: their label spaces; species are written by category id, coarser labels as they
            are.
        granularity: no finer than that of the detections, which is the default.
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


def _results(path: str, kind: Kind) -> Iterator[list[_Result]]:
    """The elements of a file, wherever they are in it; at least one list, perhaps empty."""
    match kind:
        case Kind.LINES:
            yield from iterate_lines(path, _Result, _FORM)
        case Kind.OBJECT:
            count = 0
            entries = (entry for _, entry in iterate_lists(path, ("annotations",)))
            while block := list(itertools.islice(entries, _ENTRIES_AT_ONCE)):
                yield converted(path, block, _Result, _FORM, count)
                count += len(block)
            yield []
        case _:
            yield from iterate_list(path, _Result, _FORM)
