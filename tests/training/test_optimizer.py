"""The optimizer of the paper's settings, step by step in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection.experiments import read_experiment
from inatdet.detection.task import DetectionTask
from inatdet.training.config import scale_to_replicas


def optimizer_of_the_paper(override="", replicas=1):
    params = read_experiment(["pipelines/species.yaml"], override)
    scale_to_replicas(params, replicas)
    return DetectionTask.create_optimizer(params.trainer.optimizer_config)


def clipped(gradient, norm=10.0):
    size = np.sqrt((gradient.astype(float) ** 2).sum())
    return gradient * min(1.0, norm / size)


def test_each_tensor_is_clipped_by_itself_and_momentum_is_kept():
    rng = np.random.default_rng(0)
    boundaries = "trainer.optimizer_config.learning_rate.stepwise.boundaries=[2,4]"
    optimizer = optimizer_of_the_paper(boundaries)
    shapes = [(3, 4), (5,), (2, 2, 2)]
    variables = [tf.Variable(rng.normal(size=shape), dtype=tf.float32) for shape in shapes]
    weights = [v.numpy().astype(float) for v in variables]
    velocity = [np.zeros(shape) for shape in shapes]
    # The first tensor's gradient is far above the norm, the second's below, the third's varies:
    # clipping by the norm of all together would shrink the second as well.
    for step, scales in enumerate([(100, 1, 1), (50, 0.1, 20), (1e4, 2, 0.01)] * 2):
        rate = 3e-4 if step <= 2 else 3e-5 if step <= 4 else 3e-6
        gradients = [rng.normal(size=shape) * scale for shape, scale in zip(shapes, scales)]
        optimizer.apply_gradients(zip([tf.constant(g, tf.float32) for g in gradients], variables))
        for index, gradient in enumerate(gradients):
            velocity[index] = 0.9 * velocity[index] - rate * clipped(gradient)
            weights[index] += velocity[index]
    for variable, weight in zip(variables, weights):
        np.testing.assert_allclose(variable, weight, rtol=1e-5, atol=1e-6)
    assert optimizer.clipnorm == 10.0
    assert optimizer.global_clipnorm is None


@pytest.mark.parametrize(("batch", "replicas"), [(1, 1), (1, 9), (4, 8), (7, 3)])
def test_the_steps_of_the_learning_rate_under_linear_scaling(batch, replicas):
    rate = optimizer_of_the_paper(f"task.train_data.batch_size={batch}", replicas).learning_rate
    factor = batch * replicas
    for images, expected in [
        (0, 3e-4), (2_999_000, 3e-4), (3_001_000, 3e-5), (3_499_000, 3e-5), (3_501_000, 3e-6),
        (4_000_000, 3e-6),
    ]:  # fmt: skip
        # After the same number of images, whatever the number of images per step.
        assert float(rate(images // factor)) == pytest.approx(expected * factor)
