import json
from pathlib import Path

import matplotlib
import pytest

from inatdet.programs import evaluate
from tests.programs.test_evaluate import RIGHT, SPECIES, write_annotations, write_results

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def code_of(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def run(tmp_path):
    """The folder of a small finished run."""
    truth = write_annotations(tmp_path / "val.json")
    species = write_results(tmp_path / "species.json", SPECIES)
    generic = write_results(tmp_path / "generic.json", [(1, 1, RIGHT, 0.5)])
    report = evaluate.evaluate(
        truth, [f"species={species}", f"generic={generic}"], train_annotations_path=truth
    )
    report.save(tmp_path / "report")
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
    names["plt"].close("all")
