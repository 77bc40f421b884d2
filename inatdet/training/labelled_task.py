"""A task whose model distinguishes the labels of one level, and what it knows of their numbers."""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from inatdet.data.checking import OnBad
from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords.copies import FILE as COPIES_FILE
from inatdet.tfrecords.copies import CopiesFile
from inatdet.tfrecords.journal import count_boxed_images
from inatdet.tfrecords.left_out import LeftOut
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import Copying, Resampler, Sampling, expected_images, factors_of
from inatdet.training import label_priors
from inatdet.training.config import InputConfig
from inatdet.training.progress import LeftOutRemark
from inatdet.training.task import LoopAction, Task


class LabelledTask(Task, abc.ABC):
    """A task with the labels of a taxonomy at one granularity.

    Its `logging_dir` is the folder of the model.

    Attributes:
        left_out: the damaged records that training left out.
    """

    _shares: np.ndarray | None = None  # of the labels in training, once `prepare` has been called

    def __init__(self, *args: Any, **settings: Any):
        super().__init__(*args, **settings)
        self.left_out = LeftOut()

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
    def categories_of(self, serialized: tf.Tensor) -> tf.Tensor:
        """The category ids int64 `[any]` that decide how often a serialized example is shown."""

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

    def images_per_epoch(self) -> float | None:
        """How many images, or boxes, an epoch of training shows; None where it is not known."""
        data = self.task_config.train_data
        try:
            counts = self.read_counts(data)
        except InputError:  # there are no label counts beside the records
            return None if data.single_instance else count_boxed_images(data.input_path)
        return expected_images(Sampling(data.sampling), counts, data.repeat_threshold)

    def resampler(self, params: InputConfig) -> Copying | None:
        """What shows some images more often than others, if the settings ask for it."""
        sampling = Sampling(params.sampling)
        if not params.is_training or sampling is Sampling.NONE:
            return None
        factors = factors_of(sampling, self.read_counts(params), params.repeat_threshold)
        lookup = LabelLookup(*self.labels())
        return Resampler(sampling, lookup, tuple(factors.tolist()), self.categories_of)

    def reading(
        self, params: InputConfig, input_context: tf.distribute.InputContext | None
    ) -> dict[str, Any]:
        """The arguments that all tasks give to what makes batches from their records."""
        resampler = self.resampler(params)
        settings = {
            "batch_size": params.batch_size,
            "is_training": params.is_training,
            "shuffle_buffer": params.shuffle_buffer,
            "cache": params.cache,
            "single_instance": params.single_instance,
            "resampler": resampler,
            "seed": self.task_config.seed,
            "input_context": input_context,
        }
        if params.is_training and self.order:
            settings |= {
                "seed": self.order.seed,
                "start": self.order.start(),
                "copies_file": self._copies_file(params, resampler),
            }
        if params.is_training and params.on_bad == OnBad.SKIP:
            settings["left_out"] = self.left_out
        return settings

    def _copies_file(self, params: InputConfig, resampler: Copying | None) -> CopiesFile:
        """In the folder of the model, for these settings."""
        counted = [
            self.task_config.granularity,
            params.single_instance,
            params.on_bad,
            params.sampling,
            resampler.factors if resampler else None,
        ]
        return CopiesFile(os.path.join(self.logging_dir, COPIES_FILE), json.dumps(counted))

    def training_actions(
        self, images_per_loop: int, notify: Callable[[str], None]
    ) -> list[LoopAction]:
        """A remark where damaged records are left out."""
        del images_per_loop
        return [LeftOutRemark(self.left_out, notify)]

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
