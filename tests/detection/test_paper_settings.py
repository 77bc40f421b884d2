import numpy as np
import pytest
import tensorflow as tf

from benchmarks.measuring import invented_batch
from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.experiments import read_experiment
from inatdet.detection.task import DetectionTask

NUM_SPECIES = 2854


@pytest.mark.slow
def test_one_step_and_one_detection_at_600_pixels_with_2854_species():
    params = read_experiment(["pipelines/species.yaml"])
    task = DetectionTask(params.task)
    tf.random.set_seed(0)
    model = C4FasterRCNN(params.task.model, NUM_SPECIES)
    optimizer = task.create_optimizer(params.trainer.optimizer_config)
    invented = invented_batch(1, 600, 800, NUM_SPECIES)
    batch = {name: tf.constant(value) for name, value in invented.items()}
    classes = model.box_head.trainable_variables[-4:-2]  # positives may be missing, for the boxes
    before = [v.numpy() for v in classes]
    metrics = task.build_metrics()

    loss = tf.function(lambda inputs: task.train_step(inputs, model, optimizer, metrics))(batch)

    values = {metric.name: float(metric.result()) for metric in metrics}
    assert np.isfinite(float(loss["loss"]))
    # Ignorance among 2,855 classes costs log 2855; random features spread the logits a little.
    np.testing.assert_allclose(values["loss/classes"], np.log(NUM_SPECIES + 1), rtol=0.15)
    np.testing.assert_allclose(values["loss/rpn_objectness"], np.log(2), rtol=0.1)
    assert values["sampled/proposals"] == 300

    assert all((a != b.numpy()).any() for a, b in zip(before, classes))

    found = tf.function(lambda inputs: model(inputs, training=False))(batch)
    assert found.boxes.shape == (1, 300, 4)
    assert int(found.count[0]) == 300
    assert found.labels.numpy().max() <= NUM_SPECIES
