"""The files of a report replace an earlier one's all at once, or not at all."""

import errno
import os

import pytest

from inatdet.errors import InputError
from inatdet.locks import only_writer
from inatdet.report.folder import files_of_one_run
from tests.detection_files import SPECIES, report_of, write_annotations, write_results


def write(folder, names, known=("a", "b", "c")):
    with files_of_one_run(folder, known) as files:
        for name in names:
            (files / name).write_text(f"{name} of {len(names)}")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_not_written_again_is_removed(tmp_path):
    write(tmp_path / "new", ["a", "b"])
    (tmp_path / "new" / "mine").write_text("notes")
    write(tmp_path / "new", ["c"])
    assert contents(tmp_path / "new") == {"c": "c of 1", "mine": "notes"}


def test_a_failure_leaves_the_earlier_files(tmp_path):
    write(tmp_path, ["a", "b"])

    def fail():
        with files_of_one_run(tmp_path) as files:
            (files / "a").write_text("new")
            raise OSError(errno.ENOSPC, "full", str(files / "b"))

    with pytest.raises(OSError, match="full") as caught:
        fail()
    assert contents(tmp_path) == {"a": "a of 2", "b": "b of 2"}
    assert caught.value.filename == str(tmp_path / "b")


def test_a_folder_in_the_way_is_found_before_anything_moves(tmp_path):
    write(tmp_path, ["a"])
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write(tmp_path, ["a", "b"])
    assert caught.value.filename == str(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "a of 1"


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".unfinished" / "files"
    left.mkdir(parents=True)
    (left / "x").write_text("half")
    write(tmp_path, ["a"])
    assert contents(tmp_path) == {"a": "a of 1"}


def test_two_at_once(tmp_path):
    with (
        only_writer(tmp_path / ".unfinished"),
        pytest.raises(InputError, match="is writing there"),
    ):
        write(tmp_path, ["a"])
    assert os.listdir(tmp_path) == []
    write(tmp_path, ["a"])
    assert os.listdir(tmp_path) == ["a"]


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
