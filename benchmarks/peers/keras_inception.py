"""`tf_keras.applications.InceptionV3` trained by Keras' `fit`; see `process.serve`.

With the settings of `classifier`, as far as Keras has them: RMSProp, label smoothing, dropout,
weight decay on every kernel, and no averages of the weights. Each step is a `fit` on one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from absl import app, flags

from benchmarks import measuring
from benchmarks.peers import process

_NUM_CLASSES = flags.DEFINE_integer("num_classes", 5089, "Labels.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per step.")
_SIDE = flags.DEFINE_integer("image_size", 299, "Height and width, in pixels.")
_DECAY = flags.DEFINE_bool("weight_decay", True, "Whether kernels have Keras' regularizer.")


def build() -> tf_keras.Model:
    """The network with scaling, pooling, dropout and a layer of classes."""
    network = tf_keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(_SIDE.value, _SIDE.value, 3)
    )
    regularizer = tf_keras.regularizers.L2(2e-5) if _DECAY.value else None

    def regularized(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        copy = layer.__class__.from_config(layer.get_config())
        if isinstance(copy, tf_keras.layers.Conv2D):
            copy.kernel_regularizer = regularizer
        return copy

    network = tf_keras.models.clone_model(network, clone_function=regularized)
    image = tf_keras.Input((_SIDE.value, _SIDE.value, 3))
    x = network(tf_keras.applications.inception_v3.preprocess_input(image))
    x = tf_keras.layers.Dropout(0.5)(tf_keras.layers.GlobalAveragePooling2D()(x))
    logits = tf_keras.layers.Dense(_NUM_CLASSES.value, kernel_regularizer=regularizer)(x)
    return tf_keras.Model(image, logits)


def main(argv: Sequence[str]) -> None:
    """Builds the classifier and serves training steps."""
    del argv
    model = build()
    model.compile(
        tf_keras.optimizers.legacy.RMSprop(0.0045, rho=0.9, momentum=0.9, epsilon=1.0),
        tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    invented = measuring.invented_images(_BATCH.value, _SIDE.value, _NUM_CLASSES.value)
    batch = tf.data.Dataset.from_tensors(
        (invented["image"], tf.one_hot(invented["label"] - 1, _NUM_CLASSES.value))
    )
    process.serve(lambda: model.fit(batch, verbose=0))


if __name__ == "__main__":
    app.run(main)
