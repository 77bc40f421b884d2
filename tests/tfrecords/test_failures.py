"""Disks that are full or read-only, files that vanish, processes that are killed."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from inatdet.data.checking import OnBad
from inatdet.errors import InputError
from inatdet.tfrecords import frames, journal, shards, sources
from inatdet.tfrecords.parts import shards_of_part
from inatdet.tfrecords.verification import verify
from inatdet.tfrecords.writing import convert
from tests.tfrecords import conversions


def undisturbed(dataset):
    alone = dataclasses.replace(dataset, output_dir=f"{dataset.output_dir}-undisturbed")
    convert(alone)
    return files_of(alone)


def files_of(dataset):
    found = {}
    for name in sorted(os.listdir(dataset.output_dir)):
        with open(os.path.join(dataset.output_dir, name), "rb") as file:
            found[name] = file.read()
    return found


def fail_after(calls, call, number):
    """The same function, which ends with an error of the system after some calls."""
    left = [calls]

    def failing(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)

    return failing


@pytest.mark.parametrize(
    ("number", "after"), [(errno.ENOSPC, 0), (errno.EDQUOT, 7), (errno.EIO, 12), (errno.ENOSPC, 17)]
)
def test_a_disk_that_is_full(dataset, monkeypatch, number, after):
    whole = undisturbed(dataset)
    with monkeypatch.context() as full:
        full.setattr(
            frames.FrameWriter, "write", fail_after(after, frames.FrameWriter.write, number)
        )
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            convert(dataset)
    assert os.path.basename(caught.value.filename).startswith("train-0000"), "the file is named"
    left = files_of(dataset)
    assert all(whole[name] == left[name] for name in left if name.endswith(".tfrecord"))
    assert not any("unfinished" in name or name.endswith("lock") for name in left)
    assert "train.json" not in left
    convert(dataset)
    assert files_of(dataset) == whole


@pytest.mark.parametrize(
    ("module", "name", "number"),
    [
        (shards.os, "fsync", errno.ENOSPC),  # some systems find out as late as this
        (journal, "write_text", errno.ENOSPC),
        (shards, "atomic_path", errno.EROFS),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
def test_failures_around_a_shard(dataset, monkeypatch, module, name, number, after):
    whole = undisturbed(dataset)
    with monkeypatch.context() as full:
        full.setattr(module, name, fail_after(after, getattr(module, name), number))
        with pytest.raises(OSError, match=os.strerror(number)):
            convert(dataset)
    assert "train.json" not in files_of(dataset)
    convert(dataset)
    assert files_of(dataset) == whole


def test_a_file_that_vanishes_while_others_are_written(dataset, monkeypatch):
    whole = undisturbed(dataset)
    path = os.path.join(dataset.images_dir, "pictures", "7.jpg")
    fetch = sources.ImagesFolder.fetch

    def vanish(self, todo):
        absent = fetch(self, todo)
        os.rename(path, f"{path}.away")
        return absent

    monkeypatch.setattr(sources.ImagesFolder, "fetch", vanish)
    with pytest.raises(InputError, match=r"7\.jpg \(image 107\) cannot be read \(No such file"):
        convert(dataset)
    os.rename(f"{path}.away", path)
    summary = convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert summary["left_out"]["image file is missing"] == 1
    monkeypatch.undo()
    os.rename(f"{path}.away", path)
    convert(dataset)
    assert files_of(dataset) == whole


def test_a_folder_that_nothing_can_be_written_to(dataset, monkeypatch):
    os.makedirs(dataset.output_dir)
    monkeypatch.setattr("tempfile.TemporaryFile", fail_after(0, None, errno.EROFS))
    with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
        convert(dataset)
    assert os.listdir(dataset.output_dir) == []


# --- killed processes ---

SHARDS = 48


@pytest.fixture
def larger(tmp_path):
    """A dataset that takes long enough to be killed in the middle of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 300, 3), np.uint8)
    images, boxes = [], []
    for i in range(SHARDS * 6):
        PIL.Image.fromarray(np.roll(pixels, i, axis=1)).save(folder / f"{i}.jpg", quality=95)
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 300, "height": 300})
        boxes.append({"id": i, "image_id": i, "category_id": 4 * (i % 2), "bbox": [1, 2, 30, 40]})
    conversions.write_json(
        folder, {"images": images, "categories": conversions.CATEGORIES, "annotations": boxes}
    )
    return conversions.Conversion(
        annotations=str(folder / "boxes.json"),
        images_dir=str(folder),
        output_dir=str(tmp_path / "records"),
        split="train",
        num_shards=SHARDS,
    )


def start(dataset, *arguments):
    command = [
        *(sys.executable, "-m", "inatdet", "tfrecords", "--split=train"),
        f"--annotations={dataset.annotations}",
        f"--images_dir={dataset.images_dir}",
        f"--output_dir={dataset.output_dir}",
        f"--num_shards={SHARDS}",
        *([f"--image_labels={dataset.image_labels}"] if dataset.image_labels else []),
        *arguments,
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def written(dataset, numbers=range(SHARDS)):
    """How many of these shards are there."""
    names = (f"train-{number:05}-of-{SHARDS:05}.tfrecord" for number in numbers)
    return sum(os.path.exists(os.path.join(dataset.output_dir, name)) for name in names)


def kill(process, dataset, rng, numbers=range(SHARDS)):
    """Kills a process a moment after it wrote a shard; whether it was still at work."""
    before = written(dataset, numbers)
    while process.poll() is None and written(dataset, numbers) == before:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.005))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_killed_twenty_times(larger):
    whole = undisturbed(larger)
    rng = random.Random(1)
    killed = 0
    while killed < 20:
        if kill(start(larger), larger, rng):
            killed += 1
        else:  # it was complete before it could be killed
            shutil.rmtree(larger.output_dir)
    finished = {
        name: os.stat(os.path.join(larger.output_dir, name)).st_ino
        for name in whole
        if os.path.exists(os.path.join(larger.output_dir, f".{name}.finished"))
    }
    assert start(larger).wait() == 0
    assert files_of(larger) == whole
    for name, number in finished.items():
        assert os.stat(os.path.join(larger.output_dir, name)).st_ino == number, "not written again"
    assert verify([os.path.join(larger.output_dir, "train-*")]).findings == ()


def with_labels(dataset):
    """The same with the labels of all images, of which only two in three keep their boxes."""

    def lose_boxes(content):
        content["annotations"] = [box for box in content["annotations"] if box["id"] % 3]

    labels = os.path.join(dataset.images_dir, "labels.json")
    shutil.copy(dataset.annotations, labels)
    conversions.edit(dataset, lose_boxes)
    return dataclasses.replace(dataset, image_labels=labels)


@pytest.mark.slow
def test_four_processes_killed_twenty_times(larger):
    larger = with_labels(larger)
    whole = undisturbed(larger)
    rng = random.Random(2)
    parts = [(f"{part}/4", shards_of_part(f"{part}/4", SHARDS)) for part in range(4)]
    killed = 0
    while killed < 20:
        processes = [start(larger, f"--shards={part}") for part, _ in parts]
        ended = [kill(p, larger, rng, numbers) for p, (_, numbers) in zip(processes, parts)]
        killed += sum(ended)
        if not all(ended):
            shutil.rmtree(larger.output_dir)
    processes = [start(larger, f"--shards={part}") for part, _ in parts]
    assert [process.wait() for process in processes] == [0] * 4
    assert files_of(larger) == whole
