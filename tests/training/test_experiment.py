"""Settings saved beside a model, and read from there."""

import shutil

import pytest

from inatdet.detection.experiments import read_saved
from inatdet.errors import InputError
from inatdet.training import experiment
from tests import records
from tests.settings import small, small_pyramid


@pytest.fixture
def model_dir(tmp_path):
    """A folder with the settings and the labels of a small pyramid detector."""
    records.taxonomy().save(tmp_path / "taxonomy.json")
    params = small_pyramid(f"task.taxonomy={tmp_path}/taxonomy.json")
    folder = tmp_path / "model"
    experiment.save(params, str(folder))
    return folder


def test_what_is_saved_is_read(model_dir):
    expected = small_pyramid(f"task.taxonomy={model_dir}/taxonomy.json")
    assert read_saved(str(model_dir)).as_dict() == expected.as_dict()
    overridden = read_saved(str(model_dir), "task.seed=5")
    assert overridden.task.seed == 5
    assert overridden.experiment == "inatdet_fpn"


def test_a_folder_that_was_moved_has_its_own_taxonomy(model_dir, tmp_path):
    moved = shutil.move(model_dir, tmp_path / "moved")
    assert read_saved(str(moved)).task.taxonomy == f"{moved}/taxonomy.json"
    elsewhere = read_saved(str(moved), "task.taxonomy=elsewhere.json")
    assert elsewhere.task.taxonomy == "elsewhere.json"


def test_settings_without_a_name_are_those_of_the_default(tmp_path):
    experiment.save(small(), str(tmp_path))
    path = tmp_path / "params.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("experiment:")))
    assert read_saved(str(tmp_path)).experiment == "inatdet_faster_rcnn"


def test_a_newer_format_is_refused_before_its_settings_are_read(model_dir):
    (model_dir / "format.json").write_text('{"version": 99}')
    (model_dir / "params.yaml").write_text("no_such_setting: 3")
    with pytest.raises(
        InputError, match=r"format version 99, .*make the model again with inatdet train"
    ):
        read_saved(str(model_dir))


def test_a_folder_without_settings(tmp_path):
    with pytest.raises(InputError, match=r"params\.yaml: no such file; train first"):
        read_saved(str(tmp_path))
