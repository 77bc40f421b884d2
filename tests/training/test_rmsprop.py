import numpy as np
import pytest
import tensorflow as tf
from official.modeling import optimization

from inatdet.training import rmsprop

RATE = 0.0045


def built():
    rmsprop.register()
    config = rmsprop.Optimization(
        {
            "optimizer": {
                "type": rmsprop.NAME,
                rmsprop.NAME: {"rho": 0.9, "momentum": 0.9, "epsilon": 1.0},
            },
            "learning_rate": {"type": "constant", "constant": {"learning_rate": RATE}},
        }
    )
    factory = optimization.OptimizerFactory(config)
    return factory.build_optimizer(factory.build_learning_rate())


@pytest.mark.parametrize("steps", [1, 20])
def test_steps_are_those_of_tensorflow_1(steps):
    gradients = np.random.default_rng(0).normal(0, 2, (steps, 5)).astype(np.float32)
    variable = tf.Variable(tf.zeros([5]))
    optimizer = built()
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        theirs = tf.Variable(tf.zeros([5]))
        fed = tf.compat.v1.placeholder(tf.float32, [5])
        step = tf.compat.v1.train.RMSPropOptimizer(RATE, 0.9, 0.9, 1.0).apply_gradients(
            [(fed, theirs)]
        )
        session.run(tf.compat.v1.global_variables_initializer())
        for gradient in gradients:
            session.run(step, {fed: gradient})
        expected = session.run(theirs)
    assert np.abs(expected).min() > 0
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)
