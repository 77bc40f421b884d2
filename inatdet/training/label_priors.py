"""How often a model saw each label in training, and what detection makes of that.

Post-hoc logit adjustment: Menon et al., "Long-tail learning via logit adjustment", 2021. A model
trained on many boxes of one species and few of another prefers the former when in doubt, more than
the photograph warrants; with pi the shares of the labels in training and a strength tau, the
logits less tau log pi take that back. tau = 1 aims at the mean error over labels.
"""

from __future__ import annotations

import contextlib
import json
import os

import numpy as np
import tensorflow as tf
from official.core import config_definitions as cfg

from inatdet.data.taxonomy import Granularity
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.sampling import Sampling, factors_of

_FILE = "label_priors.json"


def keep(settings: cfg.TaskConfig, model_dir: str) -> None:
    """Writes the shares of the labels, as training sees them, beside the checkpoints.

    A label's share is that of its boxes, each counted as often as `task.train_data.sampling` shows
    an image of this label alone. Without label counts beside the TFRecords nothing is written,
    unless the settings ask for logit adjustment.

    Raises:
        InputError: if logit adjustment is asked for and there are no counts.
    """
    data = settings.train_data
    needed = settings.model.detections.logit_adjustment != 0
    with contextlib.nullcontext() if needed else contextlib.suppress(InputError):
        counts = read_label_counts(
            data.input_path, Granularity(settings.granularity), data.single_instance
        )
        factors = factors_of(Sampling(data.sampling), counts, data.repeat_threshold)
        shown = factors * counts.boxes
        shares = shown / max(shown.sum(), 1.0)
        with (
            atomic_path(os.path.join(model_dir, _FILE)) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            json.dump({"share": shares.tolist()}, file)


def read(model_dir: str, num_classes: int) -> np.ndarray:
    """The shares of the labels 1, 2, ... that `keep` wrote: float64 `[classes]`.

    A label without a box in training gets the share of the rarest that has one.

    Raises:
        InputError: if they are missing or do not fit the labels.
    """
    path = os.path.join(model_dir, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            shares = np.array(json.load(file)["share"], np.float64)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file, so logit adjustment is not possible; run inatdet train on this "
            "--model_dir once more, which writes it even where nothing is left to train, or set "
            "task.model.detections.logit_adjustment=0"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error!r}); run inatdet train again") from error
    if shares.shape != (num_classes,) or not (shares > 0).any():
        raise InputError(
            f"{path}: has shares of {shares.size} labels, the model has {num_classes}; run "
            "inatdet train again"
        )
    return np.where(shares > 0, shares, shares[shares > 0].min())


def adjusted_probabilities(logits: tf.Tensor, priors: np.ndarray, tau: float) -> tf.Tensor:
    """The probabilities of the labels after logit adjustment.

    Only the labels are adjusted, against one another: the probability of the background stays. Its
    share of the proposals says nothing about the long tail, and so adjusted, scores are unchanged
    where there is one label, and so is the sum over all labels (the generic level). In Pan et al.,
    "On Model Calibration for Long-Tailed Object Detection", 2021, the background's logit stays and
    the labels' are lowered, so that every adjusted label loses to the background.

    Args:
        logits: `[..., classes + 1]`, the background first.
        priors: `[classes]`, shares of the labels; all above 0.
        tau: the strength; 0 changes nothing.

    Returns:
        `[..., classes]`, without the background's.
    """
    foreground = tf.reduce_sum(tf.nn.softmax(logits)[..., 1:], axis=-1, keepdims=True)
    shift = tf.constant(tau * np.log(priors), logits.dtype)
    return foreground * tf.nn.softmax(logits[..., 1:] - shift)
