"""The classifier's task: inputs, model, loss and what is reported of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os

import tensorflow as tf
import tf_keras

from inatdet.classification import inputs
from inatdet.classification.box_examples import BoxCopies, BoxExamples
from inatdet.classification.model import Classifier, Outcome
from inatdet.data.counts import LabelCounts
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords import examples
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.label_counts import read_image_label_counts, read_label_counts
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import Copying
from inatdet.training import averaging
from inatdet.training.accumulation import Batch
from inatdet.training.config import InputConfig
from inatdet.training.labelled_task import LabelledTask
from inatdet.training.stepping import take_step

_METRICS = ("loss/cross_entropy", "accuracy/top_1", "accuracy/top_5")  # the fields of `Outcome`


class ClassifierTask(LabelledTask):
    """Trains `Classifier` on TFRecords at one granularity."""

    @property
    def needed(self) -> str:
        """What images must have to be trained on; see the base class."""
        return "boxes" if self.task_config.is_of_boxes() else "labels"

    @property
    def logit_adjustment(self) -> float:
        """The strength of the adjustment for the long tail; 0 means none."""
        return self.task_config.model.logit_adjustment

    def read_counts(self, params: InputConfig) -> LabelCounts:
        """How many images, or boxes, of each label there are; see the base class."""
        if self.task_config.is_of_boxes():
            counts = read_label_counts(params.input_path, *self.labels(), params.single_instance)
            # Each box is an example.
            return dataclasses.replace(counts, total_images=sum(counts.boxes), images=counts.boxes)
        if not params.single_instance:
            return read_image_label_counts(params.input_path, *self.labels())
        counts = read_label_counts(params.input_path, *self.labels(), single_instance=True)
        return dataclasses.replace(counts, total_images=sum(counts.images), boxes=counts.images)

    def categories_of(self, serialized: tf.Tensor) -> tf.Tensor:
        """The category id of what an image shows as a whole, if there is one."""
        return examples.decode_image_category(serialized)

    def resampler(self, params: InputConfig) -> Copying | None:
        """What shows some images, or boxes, more often than others; see the base class."""
        resampler, boxes = super().resampler(params), self._boxes()
        return BoxCopies(boxes, resampler.factors) if resampler and boxes else resampler

    def build_model(self) -> Classifier:
        """The classifier, with as many labels as the taxonomy has at this granularity."""
        return Classifier(
            self.task_config.model, self.num_classes(), self.priors(), name="classifier"
        )

    def build_inputs(
        self, params: InputConfig, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Batches for one replica; see `inputs.make_dataset`."""
        config, boxes = self.task_config, self._boxes()
        return inputs.make_dataset(
            params.input_path,
            LabelLookup(*self.labels()),
            image_size=config.image_size,
            augmentation=config.augmentation,
            central_fraction=config.fraction_seen(),
            boxes=boxes,
            shrink_while_decoding=config.shrink_while_decoding,
            all_labelled=params.is_training and not boxes and self._are_all_labelled(params),
            **self.reading(params, input_context),
        )

    def _boxes(self) -> BoxExamples | None:
        """What is seen of boxes, if the classifier learns from these."""
        config = self.task_config
        if not config.is_of_boxes():
            return None
        return BoxExamples(LabelLookup(*self.labels()), config.box.context)

    def _are_all_labelled(self, params: InputConfig) -> bool:
        """Whether all images have a label, as far as it was counted."""
        images = count_images(params.input_path)
        with contextlib.suppress(InputError):
            return images is not None and self.read_counts(params).total_images == images
        return False

    def initialize(self, model: Classifier) -> None:
        """Loads the checkpoint that `init_checkpoint` names, or else the network's weights."""
        start = self.task_config.init_checkpoint
        if start:
            # What is applied of a model is its averages.
            averaging.restore(model, checkpoints.newest(start) if os.path.isdir(start) else start)
        elif self.task_config.model.weights:
            model.load_pretrained()

    def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
        """Means, over the steps of a loop, of the loss and of the accuracies."""
        return [tf_keras.metrics.Mean(name) for name in _METRICS]

    def train_step(
        self,
        inputs: Batch | tuple[Batch, ...],
        model: Classifier,
        optimizer: tf_keras.optimizers.Optimizer,
        metrics: list[tf_keras.metrics.Metric] | None = None,
    ) -> dict[str, tf.Tensor]:
        """One step on one replica's batch, or batches: see `accumulation`."""
        batches = inputs if isinstance(inputs, tuple) else (inputs,)

        def values_of(batch: Batch) -> list[tf.Tensor]:
            outcome = model.outcome_of(batch, training=True)
            return [outcome.loss + model.weight_penalty(), *outcome]

        count = 1 + len(Outcome._fields)
        loss, *values = take_step(batches, values_of, count, model.trainable_variables, optimizer)
        for metric, value in zip(metrics or [], values):
            metric.update_state(value)
        return {self.loss: loss}

    def validation_step(
        self,
        inputs: Batch,
        model: Classifier,
        metrics: list[tf_keras.metrics.Metric] | None = None,
    ) -> dict[str, tf.Tensor]:
        """The loss of one replica's batch, with the moving statistics; nothing is trained.

        Images count equally, whatever their batch.
        """
        outcome = model.outcome_of(inputs, training=False)
        labelled = tf.math.count_nonzero(inputs["label"], dtype=tf.float32)
        for metric, value in zip(metrics or [], outcome):
            metric.update_state(value, sample_weight=labelled)
        return {self.loss: outcome.loss + model.weight_penalty()}
