"""Checkpoints that appear while something looks for them."""

import pytest

from inatdet.errors import RunError
from inatdet.training import watching


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(watching, "_LOOKED_AFTER", 0.0)


def save(folder, step):
    (folder / f"ckpt-{step}.index").touch()


def test_each_newer_one_up_to_the_last_step(tmp_path):
    save(tmp_path, 5)
    seen = []
    for path in watching.new_checkpoints(str(tmp_path), 20, 60):
        seen.append(path)
        if len(seen) == 1:  # two are saved while the first is validated
            save(tmp_path, 10)
            save(tmp_path, 15)
        elif len(seen) == 2:
            save(tmp_path, 21)
    assert seen == [f"{tmp_path}/ckpt-{step}" for step in (5, 15, 21)]


def test_a_run_that_has_stopped(tmp_path):
    save(tmp_path, 5)
    watched = watching.new_checkpoints(str(tmp_path), 10, 0.01)
    assert next(watched) == f"{tmp_path}/ckpt-5"
    with pytest.raises(RunError, match=r"no newer checkpoint within 0.01 s, .* has not ended"):
        next(watched)


def test_a_folder_that_is_not_there_yet(tmp_path):
    lines = []
    with pytest.raises(RunError, match="no checkpoint within"):
        watching.first_checkpoint(str(tmp_path / "model"), 0.01, lines.append)
    assert lines == [f"waiting for the first checkpoint in {tmp_path}/model"]

    def appears(line):
        lines.append(line)
        (tmp_path / "model").mkdir()
        save(tmp_path / "model", 7)

    found = watching.first_checkpoint(str(tmp_path / "model"), 60, appears)
    assert found == f"{tmp_path}/model/ckpt-7"
    lines.clear()
    assert watching.first_checkpoint(str(tmp_path / "model"), 0, lines.append) == found
    assert not lines


def test_when_a_run_is_done(tmp_path):
    folder = str(tmp_path)
    assert not watching.is_done(folder)
    save(tmp_path, 20)
    assert not watching.is_done(folder)  # nobody knows how many steps there will be
    (tmp_path / "params.yaml").write_text("trainer: {train_steps: 30}")
    assert not watching.is_done(folder)
    save(tmp_path, 31)
    assert watching.is_done(folder)
    assert watching.last_step_in(folder, 7) == 30
    (tmp_path / "params.yaml").write_text("trainer: [")
    assert watching.last_step_in(folder, 7) == 7
