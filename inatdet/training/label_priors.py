"""How often a model saw each label in training, and the adjustment of its scores for that.

Post-hoc logit adjustment: Menon et al., "Long-tail learning via logit adjustment", 2021. A model
trained on many boxes of one species and few of another prefers the former when in doubt, more than
the photograph warrants. Subtracting tau log pi from the logits, with pi the shares of the labels in
training and tau a strength, compensates for that; tau = 1 minimizes the mean error over labels.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from inatdet.data.counts import LabelCounts
from inatdet.errors import InputError
from inatdet.files import sha256_of, write_text
from inatdet.tfrecords.sampling import Sampling, factors_of
from inatdet.training.config import InputConfig

_FILE = "label_priors.json"


def of(
    data: InputConfig, read_counts: Callable[[], LabelCounts], *, required: bool
) -> np.ndarray | None:
    """The shares of the labels, as training sees them.

    A label's share is that of its boxes, each counted as often as `data.sampling` shows an image
    of this label alone. Where whole images are classified, each counts as one box.

    Args:
        data: what is trained on.
        read_counts: gives the label counts.
        required: whether it is an error if no label counts lie beside the TFRecords.

    Returns:
        float64 `[classes]`; None if there are no counts.

    Raises:
        InputError: if the shares are required and there are no counts.
    """
    with contextlib.nullcontext() if required else contextlib.suppress(InputError):
        counts = read_counts()
        factors = factors_of(Sampling(data.sampling), counts, data.repeat_threshold)
        shown = factors * counts.boxes
        return shown / max(shown.sum(), 1.0)
    return None


def save(shares: np.ndarray, model_dir: str) -> None:
    """Writes the shares of the labels beside the checkpoints."""
    write_text(os.path.join(model_dir, _FILE), json.dumps({"share": shares.tolist()}))


def sha256_beside(model_dir: str) -> str:
    """The SHA-256 of the file that `save` wrote; empty if there is none."""
    path = os.path.join(model_dir, _FILE)
    return sha256_of(path) if os.path.isfile(path) else ""


def read(model_dir: str, num_classes: int) -> np.ndarray:
    """The shares of the labels 1, 2, ... that `save` wrote, as `usable` has them.

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
            "--model_dir once more, which writes it even if nothing is left to train, or turn "
            "logit adjustment off (0)"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error!r}); run inatdet train again") from error
    return usable(shares, num_classes, path)


def usable(shares: np.ndarray, num_classes: int, source: str) -> np.ndarray:
    """Shares that are all above 0.

    Args:
        shares: of the labels 1, 2, ...
        num_classes: how many labels the model has.
        source: where the shares are from, for the message.

    Returns:
        float64 `[classes]`: a label without a box in training gets the share of the rarest label
        that has one.

    Raises:
        InputError: if they do not fit the labels.
    """
    if shares.shape != (num_classes,) or not (shares > 0).any():
        raise InputError(
            f"{source}: has shares of {shares.size} labels, the model has {num_classes}; run "
            "inatdet train again"
        )
    return np.where(shares > 0, shares, shares[shares > 0].min())


def adjusted_probabilities(logits: tf.Tensor, priors: np.ndarray, tau: float) -> tf.Tensor:
    """The probabilities of the labels after logit adjustment.

    Only the labels are adjusted, relative to one another; the probability of the background stays,
    since its share of the proposals says nothing about the long tail. So the scores of a model with
    one label do not change, and neither does the sum over all labels (the generic level). In Pan et
    al., "On Model Calibration for Long-Tailed Object Detection", 2021, the background's logit stays
    and those of the labels are lowered, so that every adjusted label loses to the background.

    Args:
        logits: `[..., classes + 1]`, the background first.
        priors: `[classes]`, shares of the labels; all above 0.
        tau: the strength; with 0 nothing changes.

    Returns:
        `[..., classes]`, without the background's.
    """
    foreground = tf.reduce_sum(tf.nn.softmax(logits)[..., 1:], axis=-1, keepdims=True)
    return foreground * tf.nn.softmax(adjusted_logits(logits[..., 1:], priors, tau))


def adjusted_logits(logits: tf.Tensor, priors: np.ndarray, tau: float) -> tf.Tensor:
    """The logits of labels, or log-probabilities, after logit adjustment.

    Args:
        logits: `[..., classes]`, without a background.
        priors: `[classes]`, shares of the labels; all above 0.
        tau: the strength; with 0 nothing changes.
    """
    return logits - tf.constant(tau * np.log(priors), logits.dtype)
