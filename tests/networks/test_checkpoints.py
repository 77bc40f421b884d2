import hashlib
import json

import pytest
import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import checkpoints


def dense(units):
    return tf_keras.Sequential([tf_keras.layers.Dense(units, input_shape=(3,))])


@pytest.fixture
def saved(tmp_path):
    """A model, and the path of its checkpoint in a folder without a format version."""
    model = dense(4)
    return model, tf.train.Checkpoint(model=model).write(str(tmp_path / "ckpt-7"))


def test_a_folder_without_a_format_version_is_read(saved):
    model, path = saved
    other = dense(4)
    checkpoints.restore(other, path)
    for one, two in zip(model.get_weights(), other.get_weights()):
        assert (one == two).all()


def test_the_current_format_version_is_read(saved, tmp_path):
    checkpoints.save_format(str(tmp_path))
    checkpoints.restore(dense(4), saved[1])
    version = json.loads((tmp_path / checkpoints.FORMAT_FILE).read_text())["version"]
    assert version == checkpoints.FORMAT_VERSION


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"version": 99}',
            r"format version 99, .* up to 1; .* make the model again with inatdet train",
        ),
        ('{"version": "1x"}', r"format version '1x', .* up to 1"),
        ("{}", r"cannot be read as a format version .*make the model again"),
        ("no JSON", r"cannot be read as a format version"),
    ],
)
def test_other_formats_are_refused(saved, tmp_path, content, message):
    (tmp_path / checkpoints.FORMAT_FILE).write_text(content)
    with pytest.raises(InputError, match=message):
        checkpoints.restore(dense(4), saved[1])


def test_a_checkpoint_of_another_model_is_refused(saved):
    with pytest.raises(InputError, match="does not fit the model of the settings"):
        checkpoints.restore(dense(5), saved[1])


def test_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no checkpoint there; train first"):
        checkpoints.newest(str(tmp_path))
    with pytest.raises(InputError, match=r"ckpt-1\.index: cannot be read"):
        checkpoints.sha256_of(str(tmp_path / "ckpt-1"))


def test_the_hash_is_that_of_the_index(saved):
    with open(saved[1] + ".index", "rb") as file:
        assert checkpoints.sha256_of(saved[1]) == hashlib.sha256(file.read()).hexdigest()


def test_a_path_has_a_short_name():
    assert checkpoints.short_name("runs/mini/models/species/ckpt-5") == "species/ckpt-5"


@pytest.mark.parametrize("name", ["plain", "a [2017], b=1"])
def test_the_newest_checkpoint_of_a_folder(tmp_path, name):
    folder = tmp_path / name
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(x=tf.Variable(1.0)), str(folder), max_to_keep=2
    )
    assert checkpoints.latest(str(folder)) is None
    for number in (3, 7):
        manager.save(checkpoint_number=number)
    assert checkpoints.newest(str(folder)) == str(folder / "ckpt-7")
    (folder / "ckpt-7.index").unlink()
    assert checkpoints.latest(str(folder)) is None


@pytest.mark.parametrize("name", ["a [2017]", "all*", "what?"])
def test_folders_whose_names_are_patterns(tmp_path, name):
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    with pytest.raises(InputError, match="in its name, and TensorFlow finds no checkpoint"):
        checkpoints.restore(model, str(tmp_path / name / "ckpt-1"))
    checkpoints.check_folder_name(str(tmp_path / "Käfer, a=1"))
