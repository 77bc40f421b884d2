"""The detector's task: inputs, model, losses and what is reported of them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import orbit
import tensorflow as tf
import tf_keras

from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import forms, inputs
from inatdet.detection.anchors_fit import AnchorsFit
from inatdet.detection.faster_rcnn import Diagnostics, FasterRCNN, Losses
from inatdet.detection.feature_cache import FeatureCache, has_features
from inatdet.detection.feature_plan import PlannedFeatures
from inatdet.detection.level_losses import weighted_levels
from inatdet.detection.validation_pictures import ValidationPictures
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import boxed_categories
from inatdet.training import transfer
from inatdet.training.accumulation import Batch
from inatdet.training.config import InputConfig
from inatdet.training.estimates import Preparation
from inatdet.training.labelled_task import LabelledTask
from inatdet.training.stepping import take_step
from inatdet.training.task import LoopAction


class DetectionTask(LabelledTask):
    """Trains `FasterRCNN` on TFRecords at one granularity."""

    @property
    def logit_adjustment(self) -> float:
        """The strength of the adjustment for the long tail; 0 means none."""
        return self.task_config.model.detections.logit_adjustment

    def read_counts(self, params: InputConfig) -> LabelCounts:
        """How often each label occurs in what is trained on; see the base class."""
        return read_label_counts(params.input_path, *self.labels(), params.single_instance)

    def categories_of(self, serialized: tf.Tensor) -> tf.Tensor:
        """The category ids of an example's boxes, except around a crowd."""
        return boxed_categories(serialized)

    def build_model(self) -> FasterRCNN:
        """The detector, with as many labels as the taxonomy has at this granularity.

        Raises:
            InputError: `losses.level_weights` names a level that is not there, or a finer one.
        """
        config = self.task_config.model
        levels = weighted_levels(config.losses.level_weights, *self.labels())
        return forms.build(config, self.num_classes(), self.priors(), levels)

    def build_inputs(
        self,
        params: InputConfig,
        input_context: tf.distribute.InputContext | None = None,
        unboxed: bool = False,
        skip: int = 0,
    ) -> tf.data.Dataset:
        """Batches for one replica, without the first few; see `inputs.make_dataset`."""
        config, is_training = self.task_config, params.is_training
        return inputs.make_dataset(
            params.input_path,
            LabelLookup(*self.labels()),
            short_edge=config.short_edge,
            long_edge=config.long_edge,
            unboxed=unboxed,
            skip=skip,
            features_of=self._features.features_of if self._features and is_training else None,
            **self.reading(params, input_context),
        )

    @functools.cached_property
    def _features(self) -> FeatureCache | PlannedFeatures | None:
        """What stands in for the training images, if the settings ask for it."""
        return FeatureCache(self.task_config) if self.task_config.feature_cache else None

    def begin(self, model: FasterRCNN, notify: Callable[[str], None]) -> None:
        """Computes the features that the settings ask to be kept; see the base class."""
        if isinstance(self._features, FeatureCache):
            self._features.fill(model, notify)

    def rehearse(self) -> None:
        """Has the features invented that the settings ask to be kept; see the base class."""
        if self.task_config.feature_cache:
            self._features = PlannedFeatures(self.task_config)

    def measure_preparation(
        self, model: FasterRCNN, begins: bool, most_images: int, most_seconds: float
    ) -> Preparation | None:
        """Measures what computing these features takes; see the base class."""
        if not isinstance(self._features, PlannedFeatures):
            return None
        if begins and has_features(self.task_config.feature_cache):
            self.initialize(model)  # they may be of these weights, as another model's were
        return self._features.measure(model, most_images, most_seconds)

    def training_actions(
        self, images_per_loop: int, notify: Callable[[str], None]
    ) -> list[LoopAction]:
        """Also a remark if nothing can be learned, because no anchor fits into the images."""
        actions = super().training_actions(images_per_loop, notify)
        return [*actions, AnchorsFit(images_per_loop, notify)]

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
        backbone = self.task_config.model.backbone
        if self.task_config.init_checkpoint:
            super().initialize(model)
        elif classifier := transfer.classifier_checkpoint(backbone.weights):
            transfer.load_features(backbone, classifier, model.backbone_parts)
        elif backbone.weights:
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

        def values_of(batch: Batch) -> list[tf.Tensor]:
            losses, diagnostics = model.losses_of(batch, training=True)
            loss = tf.add_n(list(losses)) + model.weight_penalty()
            return [loss, *losses, *diagnostics]

        count = 1 + len(Losses._fields) + len(Diagnostics._fields)
        loss, *values = take_step(batches, values_of, count, model.trainable_variables, optimizer)
        losses = Losses(*values[: len(Losses._fields)])
        diagnostics = Diagnostics(*values[len(Losses._fields) :])
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
