"""What a model's training has seen, kept beside its checkpoints."""

import json

import pytest

from inatdet.errors import InputError
from inatdet.tfrecords.order import Start
from inatdet.training.data_order import DataOrder
from tests.settings import small


def task(batch_size=4, seed="null", accumulate=1):
    return small(
        f"task.seed={seed},task.train_data.batch_size={batch_size},"
        f"task.accumulate_steps={accumulate}"
    ).task


def read(folder, step, replicas=1, **settings):
    return DataOrder.read(str(folder), step, task(**settings), replicas)


def test_a_run_begins_and_goes_on(tmp_path):
    order = read(tmp_path, 0)
    assert order.start() == Start(0, 0)
    order.save(str(tmp_path))
    resumed = read(tmp_path, 25)
    assert resumed.seed == order.seed  # which was drawn
    assert resumed.start() == Start(0, 100)
    assert read(tmp_path / "other", 0).seed != order.seed


def test_a_given_seed_is_taken(tmp_path):
    read(tmp_path, 0).save(str(tmp_path))
    assert read(tmp_path, 0, seed=8).seed == 8


def test_images_of_all_replicas_and_accumulated_batches_count(tmp_path):
    assert read(tmp_path, 10, replicas=3, accumulate=2).start() == Start(0, 240)


def test_another_batch_size_counts_from_then_on(tmp_path):
    read(tmp_path, 0).save(str(tmp_path))
    changed = read(tmp_path, 10, batch_size=2)
    assert changed.start() == Start(40, 0)
    changed.save(str(tmp_path))
    again = read(tmp_path, 15, batch_size=2)
    assert again.start() == Start(40, 10)
    assert read(tmp_path, 15, batch_size=4).start() == Start(50, 0)
    assert read(tmp_path, 15, batch_size=1, replicas=2).start() == Start(50, 0)
    # From an older checkpoint, as if it had not changed.
    assert read(tmp_path, 5).start() == Start(0, 20)


def test_after_a_bad_loss_the_images_that_it_had_seen_are_over(tmp_path):
    order = read(tmp_path, 0)
    order.go_back(failed=17, step=10)
    order.save(str(tmp_path))
    assert read(tmp_path, 10).start() == Start(0, 68)
    assert read(tmp_path, 12).start() == Start(0, 76)
    order.go_back(failed=14, step=10)  # again
    assert order.start() == Start(0, 84)
    assert len(order.entries) == 2
    order.save(str(tmp_path))
    assert read(tmp_path, 5).start() == Start(0, 20)


def test_a_model_from_before_the_order_was_kept(tmp_path):
    assert read(tmp_path, 100).start() == Start(0, 400)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"version": 1, "seed": 1, "entries": [3]}'])
def test_what_cannot_be_read(tmp_path, broken):
    (tmp_path / "order.json").write_text(broken)
    with pytest.raises(InputError, match=r"order\.json: cannot be read .* remove it"):
        read(tmp_path, 10)
    (tmp_path / "order.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(InputError, match="format version 99"):
        read(tmp_path, 10)
