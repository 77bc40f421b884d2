"""A classifier of whole images: a network, the mean of its features, and a layer of classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from inatdet.classification.config import ClassifierConfig
from inatdet.networks import classifiers
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.training import label_priors
from inatdet.training.regularization import weight_penalty

TOP = 5
"""The greatest k of the top-k accuracies that training reports [paper, Table 3]."""


class Outcome(NamedTuple):
    """What a batch gives.

    Attributes:
        loss: the cross entropy, a scalar.
        top_1: the share of images whose best label is right, a scalar.
        top_5: the share of images with the right label among the best `TOP`, a scalar.
    """

    loss: tf.Tensor
    top_1: tf.Tensor
    top_5: tf.Tensor


class Classifier(tf_keras.Model):
    """From images to a logit for each label 1, 2, ...; there is no label for the background.

    Args:
        config: its settings.
        num_classes: how many labels.
        priors: `[classes]`, shares of the labels in training, all above 0; needed for logit
            adjustment.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        **kwargs: object,
    ):
        # Images and logits stay float32, whatever the network computes in.
        super().__init__(dtype=tf.float32, **kwargs)
        self._config = config
        self._num_classes = num_classes
        self._priors = priors
        self._network = classifiers.find(config.network)
        self._is_frozen = BatchNorm(config.batch_norm) is BatchNorm.FROZEN
        self.features = self._features()
        share = self._network.dropout if config.dropout < 0 else config.dropout
        self.dropout = tf_keras.layers.Dropout(share, dtype=tf.float32)
        self.logits = tf_keras.layers.Dense(
            num_classes,
            kernel_initializer=tf_keras.initializers.VarianceScaling(2.0),  # [authors]
            dtype=tf.float32,
            name="logits",
        )
        self.logits.build((None, self.features.output_shape[-1]))

    def _features(self, weights: str = "") -> tf_keras.Model:
        config = self._config
        return classifiers.build(
            self._network,
            weights,
            BatchNorm(config.batch_norm),
            config.batch_norm_momentum,
            config.width,
            getattr(config.backbone, config.network, None),
            config.frozen_until,
        )

    @property
    def num_classes(self) -> int:
        """How many labels."""
        return self._num_classes

    def load_pretrained(self) -> None:
        """Loads the weights that `weights` names into the network.

        Raises:
            InputError: if the file is missing, damaged, or of another network.
        """
        self.features.set_weights(self._features(self._config.weights).get_weights())

    def call(
        self, image: tf.Tensor, training: bool | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Classifies images.

        Args:
            image: `[batch, height, width, 3]`, red, green, blue in 0..255.
            training: whether batch norm, where it is trained, uses the batch's statistics, and
                features are dropped.
            seed: int64 `[2]`, repeats which features are dropped; None draws anew.

        Returns:
            Logits, float32 `[batch, classes]`, those of the labels 1, 2, ...
        """
        scaled = classifiers.scale_pixels(self._network, image)
        features = self.features(scaled, training=False if self._is_frozen else training)
        pooled = tf.reduce_mean(tf.cast(features, tf.float32), axis=[1, 2])
        if training and seed is not None:
            return self.logits(
                tf.nn.experimental.stateless_dropout(pooled, self.dropout.rate, seed)
            )
        return self.logits(self.dropout(pooled, training=training))

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """The labels' probabilities, adjusted for the long tail if the settings ask for it.

        Args:
            logits: float32 `[..., classes]`.

        Returns:
            float32 of the same shape, with a sum of 1.
        """
        if self._priors is not None:
            tau = self._config.logit_adjustment
            logits = label_priors.adjusted_logits(logits, self._priors, tau)
        return tf.nn.softmax(logits)

    def outcome_of(self, batch: dict[str, tf.Tensor], training: bool | None) -> Outcome:
        """The loss and the accuracies of a batch.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `label` int32 `[batch]`; images
                of label 0 do not count; maybe `seed` int64 `[batch]`, which repeats the dropout.
            training: see `call`; only then are labels smoothed.
        """
        # Another number than those that the input draws for the first image.
        seed = tf.stack([batch["seed"][0], 1]) if "seed" in batch else None
        logits = self(batch["image"], training=training, seed=seed)
        smoothing = self._config.label_smoothing if training else 0.0
        return outcome(logits, batch["label"], smoothing)

    def weight_penalty(self) -> tf.Tensor:
        """What weight decay adds to the loss, a scalar.

        Of the kernels of convolutions and dense layers; not of biases, of batch norm, or of
        convolutions of single channels, which the authors' MobileNet leaves out.
        """
        kernels = [v for v in self.trainable_variables if "depthwise_kernel" not in v.name]
        return weight_penalty(kernels, self._config.weight_decay)


def outcome(logits: tf.Tensor, label: tf.Tensor, smoothing: float) -> Outcome:
    """The mean loss and the mean accuracies over the images that have a label.

    Args:
        logits: float32 `[batch, classes]`.
        label: int32 `[batch]`, from 1; 0 for none.
        smoothing: the share of the probability that is spread evenly over all labels.
    """
    classes = logits.shape[-1]
    has_label = tf.cast(label > 0, tf.float32)
    count = tf.maximum(tf.reduce_sum(has_label), 1.0)
    place = tf.maximum(label - 1, 0)

    def mean(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(values, tf.float32) * has_label) / count

    # The cross entropy with the smoothed labels, without writing them out.
    log_probabilities = tf.nn.log_softmax(logits)
    of_label = tf.gather(log_probabilities, place, batch_dims=1)
    smoothed = (1.0 - smoothing) * of_label
    smoothed += smoothing * tf.reduce_mean(log_probabilities, axis=-1)
    return Outcome(
        mean(-smoothed),
        mean(tf.math.in_top_k(place, logits, 1)),
        mean(tf.math.in_top_k(place, logits, min(TOP, classes))),
    )
