"""A task whose model distinguishes the labels of one level, and what it knows of their numbers."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import Resampler, Sampling, factors_of
from inatdet.training import label_priors
from inatdet.training.config import InputConfig
from inatdet.training.task import Task


class LabelledTask(Task, abc.ABC):
    """A task with the labels of a taxonomy at one granularity.

    Its `logging_dir` is the folder of the model.
    """

    _shares: np.ndarray | None = None  # of the labels in training, once `prepare` has been called

    @property
    @abc.abstractmethod
    def logit_adjustment(self) -> float:
        """The strength of the adjustment for the long tail; 0 means none."""

    @abc.abstractmethod
    def read_counts(self, params: InputConfig) -> LabelCounts:
        """How often each label occurs in what is trained on.

        Raises:
            InputError: there are no label counts beside the TFRecords.
        """

    @abc.abstractmethod
    def categories_of(self, example: Any) -> tf.Tensor:
        """The category ids int64 `[any]` that decide how often an example is shown.

        Args:
            example: as its stream holds it; serialized, unless the task's inputs parse it earlier.
        """

    def labels(self) -> tuple[Taxonomy, Granularity]:
        """The label spaces, and the level that the model is trained at."""
        config = self.task_config
        return Taxonomy.load(config.taxonomy), Granularity(config.granularity)

    def num_classes(self) -> int:
        """How many labels the taxonomy has at this granularity."""
        taxonomy, granularity = self.labels()
        return taxonomy.num_labels(granularity)

    def priors(self) -> np.ndarray | None:
        """The labels' shares for logit adjustment, `[classes]`; None if there is none."""
        if not self.logit_adjustment:
            return None
        if self._shares is None:
            return label_priors.read(self.logging_dir, self.num_classes())
        return label_priors.usable(
            self._shares, self.num_classes(), self.task_config.train_data.input_path
        )

    def resampler(self, params: InputConfig) -> Resampler | None:
        """What shows some images more often than others, if the settings ask for it."""
        sampling = Sampling(params.sampling)
        if not params.is_training or sampling is Sampling.NONE:
            return None
        factors = factors_of(sampling, self.read_counts(params), params.repeat_threshold)
        lookup = LabelLookup(*self.labels())
        return Resampler(sampling, lookup, tuple(factors.tolist()), self.categories_of)

    def prepare(self) -> None:
        """Computes the label shares that logit adjustment needs, if the data has label counts."""
        data = self.task_config.train_data
        self._shares = label_priors.of(
            data, lambda: self.read_counts(data), required=self.logit_adjustment != 0
        )

    def save_companions(self, model_dir: str) -> None:
        """Writes the label shares, if there are any."""
        if self._shares is not None:
            label_priors.save(self._shares, model_dir)
