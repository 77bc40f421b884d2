import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import inatdet
from inatdet.data.formats.detections import DetectionsWriter
from tests.detection_files import RIGHT, SPECIES, write_annotations

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def code_of(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def run(tmp_path):
    """The folder of a small finished run."""
    for split in ("train", "val"):
        (tmp_path / "data").mkdir(exist_ok=True)
        path = write_annotations(tmp_path / "data" / f"{split}_2017_bboxes.json")
    taxonomy = inatdet.read_annotations(path).taxonomy
    taxonomy.save(tmp_path / "records" / "taxonomy.json")
    known = taxonomy.label_of_category("species")
    species = [(i, known[c], box, score) for i, c, box, score in SPECIES if c in known]
    generic = [(1, 1, RIGHT, 0.5)]
    for name, rows in (("species", species), ("species.generic", generic), ("generic", generic)):
        path = tmp_path / "detections" / f"{name}.parquet"
        level = inatdet.Granularity(name.split(".")[-1])
        with DetectionsWriter(path, level, taxonomy) as writer:
            writer.append(*map(np.array, zip(*[(i, c, s, box) for i, c, box, s in rows])))
    return tmp_path


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["results.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path, run, monkeypatch, capsys):
    matplotlib.use("Agg")
    monkeypatch.setenv("RUN", str(run))
    names = {}
    for code in code_of(path):
        exec(compile(code, str(path), "exec"), names)
    assert "100.0  Corvus (Aves)" in capsys.readouterr().out
    merges = {str(row.merge) for row in names["results"].table6.records}
    assert merges == {"none", "nms", "marginal"}
    names["plt"].close("all")
