"""Files of detections damaged at random: each is read or refused in one sentence, soon.

A share runs each time. `INATDET_MUTATIONS=10000 pytest -s -m slow
tests/data/test_mutated_detections.py` runs that many and prints how long the slowest took and how
much memory all of them.
"""

from __future__ import annotations

import io
import json
import operator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.formats.writing import write_detections
from inatdet.data.granularity import Granularity
from tests.data.damage import odd
from tests.data.mutating import IMAGES, TAXONOMY, many, run, with_odd_metadata

FOLDER = operator.attrgetter("parent")  # some kinds of detections are a folder
NAMES = ["Corvus corax", "Apis mellifera", "Pica pica"]
RESULTS = [
    {"image_id": i, "category_id": c, "bbox": [1.5, 2, 30.25, 4e1], "score": 0.5 / i,
     "segmentation": {"size": [9, 9], "counts": "a,}{\\\"é"}}
    for i in (1, 2, 3) for c in (1, 2, 7)
]  # fmt: skip
MEGADETECTOR = {
    "images": [
        {"file": i.file_name, "detections": [
            {"category": "1", "conf": 0.5, "bbox": [0.1, 0.2, 0.3, 0.4]},
            {"category": "2", "conf": 0.25, "bbox": [0, 0, 1, 1]}]}
        for i in IMAGES
    ],
    "detection_categories": {"1": "Corvus corax", "2": "Pica pica"},
}  # fmt: skip


def parquet(folder):
    """Files as we write them, and in the other ways that Parquet has."""
    path = folder / "good.parquet"
    rng = np.random.default_rng(0)
    with DetectionsWriter(path, Granularity.SPECIES, TAXONOMY, rows_per_group=50) as writer:
        numbers = rng.uniform(0, 9, (120, 5))
        labels = rng.integers(1, 4, 120)
        writer.append(labels, labels, numbers[:, 0], numbers[:, 1:])
    table = pq.read_table(path)
    metadata = table.schema.metadata
    wide = table.cast(pa.schema([(n, pa.float64()) for n in table.schema.names], metadata))
    contents = [path.read_bytes()]
    for rows, how in (
        (table, {"compression": "none", "use_dictionary": False}),
        (table, {"compression": "snappy", "data_page_size": 64, "store_schema": False}),
        (table[:0], {}),
        (wide, {"compression": "none", "data_page_version": "2.0"}),
    ):
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, **how)
        contents.append(buffer.getvalue())
    return contents


def text(rng, record):
    indent = (None, 1)[rng.integers(2)]
    return json.dumps(record, indent=indent).encode()


def odd_text(rng, record):
    return text(rng, odd(rng, record))


def odd_lines(rng, record):
    return "\n".join(map(json.dumps, odd(rng, record))).encode()


@pytest.fixture
def kinds(tmp_path):
    """By name: the file that is damaged, good contents, and what makes one with odd values."""
    for folder in ("yolo", "voc"):
        (tmp_path / folder).mkdir()
    named = [r | {"image_id": IMAGES[r["image_id"] - 1].file_name} for r in RESULTS]
    lines = "\n".join(map(json.dumps, RESULTS)).encode()

    def json_kind(name, record, contents=(), make=odd_text):
        good = [*contents, json.dumps(record).encode(), json.dumps(record, indent=1).encode()]
        return tmp_path / name, good, lambda rng: make(rng, record)

    yolo = b"0 0.5 0.5 0.25 0.25 0.9\n2 0.1 0.2 0.1 0.2 0.25\r\n1 .5 .5 1e-3 1 1\n"
    voc = b"img_1 0.9 1 2.5 30 40\n7 0.25 1 1 1 1\na_img_1 1e-3 5 5 90 90\n"
    files = parquet(tmp_path)
    return {
        "parquet": (
            tmp_path / "d.parquet", files, lambda rng: with_odd_metadata(rng, files[0])
        ),
        "results": json_kind("d.json", RESULTS),
        "lines": (tmp_path / "d.jsonl", [lines], lambda rng: odd_lines(rng, RESULTS)),
        "object": json_kind("o.json", {"info": {"a": [1]}, "annotations": RESULTS}),
        "names": json_kind("n.json", named),
        "megadetector": json_kind("m.json", MEGADETECTOR),
        "yolo": (tmp_path / "yolo" / "a_img_1.txt", [yolo, yolo * 50], None),
        "voc": (tmp_path / "voc" / "c4_det_t_Pica pica.txt", [voc, voc * 50], None),
    }  # fmt: skip


def read(kind, path):
    """Reads a file, and checks that what was read keeps its promises and can be written."""
    where = path.parent if kind in ("yolo", "voc") else path
    found = read_detections(where, Granularity.SPECIES, TAXONOMY, IMAGES, names=NAMES)
    assert np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()
    assert (found.boxes[:, 2:] >= 0).all()
    assert {len(column) for column in found.labels.values()} == {len(found)}
    for granularity, labels in found.labels.items():
        assert ((labels >= 0) & (labels <= TAXONOMY.num_labels(granularity))).all()
    json.dumps(found.settings)
    for note in found.notes:
        assert note.isprintable()
    write_detections(found, path.parent.parent / "again.json", taxonomy=TAXONOMY)
    return found


def test_a_share_of_mutations(kinds):
    results, _ = run(kinds, read, FOLDER, 400, seed=0)
    assert all(read and refused for read, refused in results.values()), dict(results)


@pytest.mark.slow
def test_many_mutations(kinds):
    many(kinds, read, FOLDER)
