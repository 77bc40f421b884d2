import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.detection import experiments, inference, serving
from inatdet.detection.fpn_config import FPNConfig
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords import examples
from inatdet.training import applying, loop
from tests import devices, records
from tests.settings import RESNET_OVERRIDE, small_pyramid


@pytest.mark.slow
def test_training_on_two_devices_and_detection_with_what_it_saved(tmp_path):
    data = records.write(tmp_path / "records", count=6)
    model_dir = str(tmp_path / "model")
    params = small_pyramid(
        # Inception V3's graph would take a minute to build, once for each device and program.
        f"{RESNET_OVERRIDE},task.train_data.input_path={data},task.taxonomy={tmp_path}/records/taxonomy.json,"
        "task.train_data.batch_size=2,trainer.train_steps=4,trainer.steps_per_loop=2,"
        "trainer.summary_interval=2,trainer.checkpoint_interval=4,task.seed=1"
    )
    last = loop.train(params, "train", model_dir, strategy=devices.mirrored())
    assert np.isfinite(last["training_loss"])

    saved = experiments.read_saved(model_dir, "task.validation_data.batch_size=3")
    assert isinstance(saved.task.model, FPNConfig)
    output = str(tmp_path / "found.parquet")
    checkpoint = checkpoints.newest(model_dir)
    coarser = [Granularity.SUPER]
    assert inference.detect(saved, checkpoint, model_dir, data, output, coarser) == 6
    for path, granularity in (
        (output, Granularity.SPECIES),
        (applying.marginal_path(output, Granularity.SUPER), Granularity.SUPER),
    ):
        found = read_detections(path, granularity, records.taxonomy())
        assert set(found.image_ids) == set(range(6))

    serving.export(saved, checkpoint, model_dir, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved"))
    found = read_detections(output, Granularity.SPECIES, records.taxonomy())
    serialized = next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(data))))
    in_first = served.detect(examples.decode(serialized)["encoded"][tf.newaxis])
    scores = found.scores[found.image_ids == 0]
    count = int(in_first["count"][0])
    assert count == len(scores) > 0
    np.testing.assert_allclose(in_first["scores"][0, :count], scores, atol=1e-5)

    other = experiments.read_experiment(["pipelines/mini_species.yaml"])
    with pytest.raises(InputError, match="does not fit the model of the settings"):
        inference.detect(other, checkpoint, model_dir, data, str(tmp_path / "other.parquet"))
