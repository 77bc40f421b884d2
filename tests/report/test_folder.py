"""A report replaces an earlier one all at once, or not at all."""

import pytest

from tests.detection_files import SPECIES, report_of, write_annotations, write_results


@pytest.mark.usefixtures("undrawn")
def test_a_report_that_cannot_be_finished_leaves_the_earlier_one(tmp_path, monkeypatch):
    truth = write_annotations(tmp_path / "val.json")
    species = write_results(tmp_path / "species.json", SPECIES)
    report = report_of(truth, [f"species={species}"], resamples=2)
    out = tmp_path / "report"
    report.save(out, latex=True)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "intervals.csv" in before
    monkeypatch.setattr(type(report), "markdown", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report_of(truth, [f"species={species}"]).save(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    monkeypatch.undo()
    report_of(truth, [f"species={species}"]).save(out)
    names = {path.name for path in out.iterdir()}
    assert "report.md" in names
    assert not names & {"intervals.csv", "table5.tex"}


def test_a_figure_that_cannot_be_drawn_costs_nothing_else(tmp_path, monkeypatch):
    truth = write_annotations(tmp_path / "val.json")
    species = write_results(tmp_path / "species.json", SPECIES)
    report = report_of(truth, [f"species={species}"])

    def fail(figure, path):
        raise RuntimeError("broken font")

    monkeypatch.setattr("inatdet.report.figures.save_png", fail)
    told = []
    report.save(tmp_path / "report", notify=told.append)
    assert told == [
        f"warning: {name} could not be drawn (broken font); check that Matplotlib works"
        for name in ("pr_curves.png", "reliability.png")
    ]
    assert (tmp_path / "report" / "pr_curves.csv").exists()
    with pytest.warns(UserWarning, match="broken font"):
        report.save(tmp_path / "report")
