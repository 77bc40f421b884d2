"""A trained classifier with its weights."""

from __future__ import annotations

from inatdet.classification.config import ClassificationExperiment
from inatdet.classification.model import Classifier
from inatdet.classification.task import ClassifierTask
from inatdet.training import averaging, devices
from inatdet.training.experiment import label_spaces


def restored(params: ClassificationExperiment, checkpoint: str, model_dir: str) -> Classifier:
    """A trained classifier, ready to be used.

    Where the weights were averaged in training, it has the averages.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.

    Raises:
        InputError: if there is no taxonomy, or the checkpoint does not fit the settings.
    """
    label_spaces(params, model_dir)  # makes the folder's own those of the settings
    devices.set_precision(params.runtime)
    model = ClassifierTask(params.task, logging_dir=model_dir).build_model()
    averaging.restore(model, checkpoint)
    return model
