"""The detector's task: inputs, model, losses and what is reported of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import orbit
import tensorflow as tf
import tf_keras

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import forms, inputs
from inatdet.detection.anchors_fit import AnchorsFit
from inatdet.detection.faster_rcnn import Diagnostics, FasterRCNN, Losses
from inatdet.detection.validation_pictures import ValidationPictures
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import Resampler, Sampling, factors_of
from inatdet.training import label_priors
from inatdet.training.accumulation import Batch, mean_over
from inatdet.training.config import InputConfig
from inatdet.training.task import LoopAction, Task


class DetectionTask(Task):
    """Trains `FasterRCNN` on TFRecords at one granularity.

    Its `logging_dir` is the folder of the model.
    """

    _shares: np.ndarray | None = None  # of the labels in training, once `prepare` has been called

    def build_model(self) -> FasterRCNN:
        """The detector, with as many labels as the taxonomy has at this granularity."""
        config = self.task_config
        taxonomy = Taxonomy.load(config.taxonomy)
        num_classes = taxonomy.num_labels(Granularity(config.granularity))
        priors = None
        if config.model.detections.logit_adjustment:
            priors = self._priors(num_classes)
        return forms.build(config.model, num_classes, priors)

    def _priors(self, num_classes: int) -> np.ndarray:
        if self._shares is None:
            return label_priors.read(self.logging_dir, num_classes)
        return label_priors.usable(
            self._shares, num_classes, self.task_config.train_data.input_path
        )

    def build_inputs(
        self, params: InputConfig, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Batches for one replica; see `inputs.make_dataset`."""
        config = self.task_config
        return inputs.make_dataset(
            params.input_path,
            LabelLookup(*self._labels()),
            batch_size=params.batch_size,
            short_edge=config.short_edge,
            long_edge=config.long_edge,
            is_training=params.is_training,
            shuffle_buffer=params.shuffle_buffer,
            cache=params.cache,
            single_instance=params.single_instance,
            resampler=self._resampler(params),
            seed=config.seed,
            input_context=input_context,
        )

    def _resampler(self, params: InputConfig) -> Resampler | None:
        sampling = Sampling(params.sampling)
        if not params.is_training or sampling is Sampling.NONE:
            return None
        labels = self._labels()
        counts = read_label_counts(params.input_path, *labels, params.single_instance)
        factors = factors_of(sampling, counts, params.repeat_threshold)
        return Resampler(sampling, LabelLookup(*labels), tuple(factors.tolist()))

    def _labels(self) -> tuple[Taxonomy, Granularity]:
        """The label spaces, and the level that the model is trained at."""
        config = self.task_config
        return Taxonomy.load(config.taxonomy), Granularity(config.granularity)

    def prepare(self) -> None:
        """Computes the label shares that logit adjustment needs, if the data has label counts."""
        config = self.task_config
        self._shares = label_priors.of(
            config.train_data,
            *self._labels(),
            required=config.model.detections.logit_adjustment != 0,
        )

    def save_companions(self, model_dir: str) -> None:
        """Writes the label shares, if there are any."""
        if self._shares is not None:
            label_priors.save(self._shares, model_dir)

    def training_actions(
        self, images_per_loop: int, notify: Callable[[str], None]
    ) -> list[LoopAction]:
        """A remark if nothing can be learned, because no anchor fits into the images."""
        return [AnchorsFit(images_per_loop, notify)]

    def evaluation_actions(
        self,
        model: FasterRCNN,
        strategy: tf.distribute.Strategy,
        summaries: orbit.utils.SummaryManager,
        global_step: tf.Variable,
    ) -> list[LoopAction]:
        """Pictures of validation images with their detections, if the settings ask for some."""
        config = self.task_config
        if not config.validation_pictures:
            return []
        data = config.validation_data.replace(batch_size=1, is_training=False, cache=False)
        images = self.build_inputs(data).take(config.validation_pictures)
        names = Taxonomy.load(config.taxonomy).names(Granularity(config.granularity))
        return [ValidationPictures(model, images, names, strategy, summaries, global_step)]

    def initialize(self, model: FasterRCNN) -> None:
        """Loads the checkpoint that `init_checkpoint` names, or else the backbone's weights."""
        if self.task_config.init_checkpoint:
            super().initialize(model)
        elif self.task_config.model.backbone.weights:
            model.load_pretrained()

    def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
        """Means, over the steps of a loop, of each loss and each count of samples."""
        names = [f"loss/{name}" for name in Losses._fields]
        names += [f"sampled/{name}" for name in Diagnostics._fields]
        return [tf_keras.metrics.Mean(name) for name in names]

    def train_step(
        self,
        inputs: Batch | tuple[Batch, ...],
        model: FasterRCNN,
        optimizer: tf_keras.optimizers.Optimizer,
        metrics: list[tf_keras.metrics.Metric] | None = None,
    ) -> dict[str, tf.Tensor]:
        """One step on one replica's batch, or batches: see `accumulation`."""
        batches = inputs if isinstance(inputs, tuple) else (inputs,)
        mixed = isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
        variables = model.trainable_variables

        def gradients_and_values(batch: Batch) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                losses, diagnostics = model.losses_of(batch, training=True)
                loss = tf.add_n(list(losses)) + model.weight_penalty()
                # The optimizer sums gradients over the replicas; the loss is the mean over them.
                scaled = loss / tf.distribute.get_strategy().num_replicas_in_sync
                scaled = optimizer.get_scaled_loss(scaled) if mixed else scaled
            return [*tape.gradient(scaled, variables), loss, *losses, *diagnostics]

        scalars = [tf.zeros([])] * (1 + len(Losses._fields) + len(Diagnostics._fields))
        means = mean_over(batches, gradients_and_values, like=[*variables, *scalars])
        gradients, (loss, *values) = means[: len(variables)], means[len(variables) :]
        losses = Losses(*values[: len(Losses._fields)])
        diagnostics = Diagnostics(*values[len(Losses._fields) :])
        gradients = optimizer.get_unscaled_gradients(gradients) if mixed else gradients
        optimizer.apply_gradients(zip(gradients, variables))
        return self._logs(loss, losses, diagnostics, metrics)

    def validation_step(
        self,
        inputs: Batch,
        model: FasterRCNN,
        metrics: list[tf_keras.metrics.Metric] | None = None,
    ) -> dict[str, tf.Tensor]:
        """The losses of one replica's batch, with the moving statistics; nothing is trained."""
        losses, diagnostics = model.losses_of(inputs, training=False)
        loss = tf.add_n(list(losses)) + model.weight_penalty()
        return self._logs(loss, losses, diagnostics, metrics)

    def _logs(
        self,
        loss: tf.Tensor,
        losses: Losses,
        diagnostics: Diagnostics,
        metrics: list[tf_keras.metrics.Metric] | None,
    ) -> dict[str, tf.Tensor]:
        for metric, value in zip(metrics or [], [*losses, *diagnostics]):
            metric.update_state(value)
        return {self.loss: loss}
