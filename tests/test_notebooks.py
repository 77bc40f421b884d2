import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import inatdet
from inatdet.data.formats.detections import DetectionsWriter
from tests.dataset_files import write_dataset
from tests.detection_files import RIGHT, SPECIES, write_annotations

FOLDER = Path(__file__).parent.parent / "notebooks"


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


@pytest.fixture
def execute(monkeypatch):
    """Runs every cell of a notebook and returns its variables."""
    matplotlib.use("Agg")

    def _execute(name, **environment):
        for key, value in environment.items():
            monkeypatch.setenv(key, str(value))
        names = {}
        for code in code_of(FOLDER / name):
            exec(compile(code, name, "exec"), names)
        names["plt"].close("all")
        return names

    return _execute


def test_all_notebooks_are_tested():
    assert sorted(path.name for path in FOLDER.glob("*.ipynb")) == [
        "dataset.ipynb",
        "results.ipynb",
    ]


def test_results(execute, run, capsys):
    names = execute("results.ipynb", RUN=run)
    assert "100.0  Corvus (Aves)" in capsys.readouterr().out
    merges = {str(row.merge) for row in names["results"].table6.records}
    assert merges == {"none", "nms", "marginal"}


def test_dataset(execute, tmp_path, capsys):
    folder = write_dataset(tmp_path)
    labels = {f"{s.upper()}_LABELS": folder / f"{s}2017.json" for s in ("train", "val")}
    names = execute("dataset.ipynb", DATA=folder, **labels)
    assert names["report"].table2["Total"].boxes == 7
    printed = capsys.readouterr().out
    assert printed.startswith("Images: 6 of train and 3 of val; 7 boxes; 4 species")
    assert "    3  Pica pica (Aves)" in printed
    # All boxes begin in the upper left corner; the widest covers half of the width.
    assert names["coverage"][0, 0] == 100
    assert (names["coverage"][:, 21:] == 0).all()
