"""By what records are recognized that a model was applied to before, and how it is applied."""

import json
import os
import shutil
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from inatdet.errors import InputError
from inatdet.training import applying, feeding
from inatdet.training.applying import stamp_of
from tests.devices import mirrored


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    for number in range(2):
        (folder / f"val-0000{number}-of-00002.tfrecord").write_bytes(b"x" * (number + 1))
    return folder


def summarize(folder, *checksums):
    names = sorted(path.name for path in folder.glob("*.tfrecord"))
    files = [{"file": name, "crc32c": crc} for name, crc in zip(names, checksums)]
    (folder / "val.json").write_text(json.dumps({"version": 2, "files": files}))


def of(folder):
    return stamp_of(f"{folder}/val-*")


def touch(folder):
    """As copying does without keeping times."""
    for path in folder.glob("*.tfrecord"):
        os.utime(path, ns=(1, 1))


def test_with_a_summary_checksums_count_and_times_do_not(folder):
    summarize(folder, "00000001", "00000002")
    before = of(folder)
    touch(folder)
    assert of(folder) == before
    moved = shutil.move(folder, folder.with_name("elsewhere"))
    assert of(moved) == before
    summarize(moved, "00000001", "00000003")
    assert of(moved) != before


def test_without_a_summary_times_count(folder):
    before = of(folder)
    assert of(folder) == before
    touch(folder)
    assert of(folder) != before


def test_names_sizes_and_order_count(folder):
    summarize(folder, "00000001", "00000001")
    stamps = {of(folder)}
    first, second = sorted(folder.glob("*.tfrecord"))
    second.write_bytes(b"xyz")
    stamps.add(of(folder))
    os.replace(second, folder / "val-00002-of-00003.tfrecord")
    stamps.add(of(folder))
    os.remove(first)
    stamps.add(of(folder))
    assert len(stamps) == 4


def test_no_records(tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        stamp_of(f"{tmp_path}/val-*")


class Found(NamedTuple):
    sums: tf.Tensor
    pixels: tf.Tensor


@pytest.mark.parametrize("images", [1, 2, 3, 4, 5])
def test_a_replica_without_images_computes_nothing(images):
    """Its part of the last batch is empty, and looks like nothing that a network knows."""

    def batches(context):
        numbers = tf.range(images, dtype=tf.int64)
        pixels = tf.cast(numbers[:, None, None] * tf.ones([4, 6], tf.int64), tf.float32)
        data = tf.data.Dataset.from_tensor_slices({"number": numbers, "pixels": pixels})
        return data.padded_batch(2, {"number": [], "pixels": [None, 6]})

    def compute(one):
        tf.debugging.assert_positive(tf.shape(one["pixels"])[:2], "no image, or none of its size")
        found = Found(tf.reduce_sum(one["pixels"], axis=[1, 2]), tf.cast(one["pixels"], tf.int32))
        return {"found": [found]}

    distributed = feeding.distributed(mirrored(), batches)

    @tf.function(input_signature=[distributed.element_spec])
    def step(batch):
        return applying.computed(mirrored(), compute, batch)

    sums, pixels = [], []
    for batch in distributed:
        for part, computed in zip(
            applying.local_parts(mirrored(), batch), applying.local_parts(mirrored(), step(batch))
        ):
            (found,) = computed["found"]
            assert len(found.sums) == len(found.pixels) == len(part["number"])
            sums.append(found.sums.numpy())
            pixels.append(found.pixels.numpy().reshape(-1, 24))
    np.testing.assert_array_equal(np.concatenate(sums), 24 * np.arange(images))
    expected = np.repeat(np.arange(images)[:, np.newaxis], 24, axis=1)
    np.testing.assert_array_equal(np.concatenate(pixels), expected)
    assert len(sums) == 2 * -(-images // 4)
