import os

import pytest

from inatdet.data.formats.detections import read_detections
from inatdet.data.taxonomy import Granularity
from inatdet.detection import inference
from inatdet.errors import InputError
from tests import devices, records, untrained
from tests.settings import small


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=11)


@pytest.fixture(scope="module")
def model_dir(data, tmp_path_factory):
    return untrained.save(data, tmp_path_factory.mktemp("model"), step=7)


def settings():
    return small("task.validation_data.batch_size=3")


@pytest.mark.parametrize("several", [False, True])
def test_every_image_once_in_its_own_pixels(data, model_dir, tmp_path, several):
    strategy = devices.mirrored() if several else None
    coarser = [Granularity.SUPER, Granularity.GENERIC]
    output = tmp_path / "found.parquet"
    seen = inference.detect(
        settings(), f"{model_dir}/ckpt-7", model_dir, data, str(output), coarser, strategy
    )
    assert seen == 11
    found = read_detections(output, Granularity.SPECIES, records.taxonomy())
    assert set(found.image_ids) == set(range(11))
    assert found.model == f"{os.path.basename(model_dir)}/ckpt-7"
    assert found.settings["nms_iou"] == 0.6
    # Odd images are 96 high and 128 wide, even ones the other way round.
    odd = found.image_ids % 2 == 1
    right, bottom = (found.boxes[:, :2] + found.boxes[:, 2:]).T
    assert (found.boxes >= 0).all()
    assert 96 < right[odd].max() < 128.01
    assert bottom[odd].max() < 96.01
    assert 96 < bottom[~odd].max() < 128.01
    assert right[~odd].max() < 96.01
    names = ["found.generic.parquet", "found.parquet", "found.super.parquet"]
    assert sorted(os.listdir(tmp_path)) == names
    for granularity in coarser:
        path = inference.marginal_path(str(output), granularity)
        coarse = read_detections(path, granularity, records.taxonomy())
        assert coarse.settings["merge"] == "marginal"
        assert coarse.settings["trained_on"] == "species"
        # A sum over species is at least its largest term.
        for image in range(11):
            best = found.scores[found.image_ids == image].max()
            assert coarse.scores[coarse.image_ids == image].max() >= best - 1e-6


def test_only_coarser_levels_can_be_summed(data, model_dir, tmp_path):
    with pytest.raises(InputError, match="must be coarser than the model's granularity"):
        inference.detect(
            settings(), f"{model_dir}/ckpt-7", model_dir, data, str(tmp_path / "x.parquet"),
            [Granularity.SPECIES],
        )  # fmt: skip


def test_a_checkpoint_of_another_detector(data, model_dir, tmp_path):
    params = settings()
    params.task.model.backbone.resnet.depth_multiplier = 0.5
    with pytest.raises(InputError, match="does not fit the detector of the settings"):
        inference.detect(params, f"{model_dir}/ckpt-7", model_dir, data, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


def test_a_damaged_shard_is_named_and_nothing_is_written(data, model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=5)
    shard = pattern.replace("*", "00000-of-00001.tfrecord")
    with open(shard, "rb+") as file:
        file.truncate(os.path.getsize(shard) - 10)
    output = tmp_path / "found" / "x.parquet"
    with pytest.raises(InputError, match=f"{os.path.basename(shard)}.*write it again"):
        inference.detect(settings(), f"{model_dir}/ckpt-7", model_dir, pattern, str(output))
    assert os.listdir(output.parent) == []
