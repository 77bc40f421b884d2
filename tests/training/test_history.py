"""What a model's folder says about the runs that trained it."""

import json

import numpy as np
import pytest

from inatdet.errors import InputError
from inatdet.training import history
from inatdet.training.history import add, read
from inatdet.version import VERSION
from tests import records
from tests.settings import training_on


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=4)


def test_every_start_with_the_settings_that_it_had(data, tmp_path):
    assert read(tmp_path) == []
    first, other = training_on(data, 10), training_on(data, 20, "task.wait_for_disk=7")
    for params, step in ((first, 0), (first, 4), (other, 10), (first, 15)):
        add(params, str(tmp_path), step, command=f"inatdet train {step}")
    starts = read(tmp_path)
    assert [start["from_step"] for start in starts] == [0, 4, 10, 15]
    assert starts[1]["command"] == "inatdet train 4"
    assert [start["settings"]["trainer"]["train_steps"] for start in starts] == [10, 10, 20, 10]
    assert [start["settings"]["task"]["wait_for_disk"] for start in starts] == [3600, 3600, 7, 3600]
    for start in starts:
        assert start["versions"]["inatdet"] == VERSION
        assert start["versions"]["numpy"] == np.__version__
        assert "tensorflow" in start["versions"]
        assert start["records"]["input_path"] == data
        assert start["records"]["bytes"] > 0
    stored = json.loads((tmp_path / "history.json").read_text())["starts"]
    assert ["settings" in start for start in stored] == [True, False, True, True]


def test_the_hash_of_the_summary_beside_the_records(tmp_path):
    pattern = records.write(tmp_path / "records", count=2)
    add(training_on(pattern, 10), str(tmp_path), 0, "")
    (tmp_path / "records" / "train.json").write_text('{"images": 2}')
    add(training_on(pattern, 10), str(tmp_path), 0, "")
    without, with_summary = (start["records"] for start in read(tmp_path))
    assert without["summary_sha256"] == "" and without["images"] is None
    # `printf '{"images": 2}' | sha256sum`
    assert with_summary["summary_sha256"].startswith(PRINTF)
    assert with_summary["images"] == 2


PRINTF = "49819480c504863f"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "starts": [{}]}']
)
def test_a_damaged_history_is_put_aside(data, tmp_path, content):
    (tmp_path / "history.json").write_text(content)
    with pytest.raises(InputError, match=r"history\.json: cannot be read as a history of training"):
        read(tmp_path)
    told = []
    add(training_on(data, 10), str(tmp_path), 7, "", told.append)
    assert len(told) == 1 and "history.json.damaged from now on" in told[0]
    assert [start["from_step"] for start in read(tmp_path)] == [7]
    assert (tmp_path / "history.json.damaged").read_text() == content


def test_a_newer_history_is_refused(data, tmp_path):
    (tmp_path / "history.json").write_text('{"version": 2, "starts": []}')
    with pytest.raises(InputError, match="has format version 2, but this version"):
        add(training_on(data, 10), str(tmp_path), 0, "")
    assert history.HISTORY_FILE == "history.json"
