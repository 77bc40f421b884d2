"""Which kind of model a folder holds: the programs that serve both kinds ask here."""

from __future__ import annotations

from inatdet.choices import Choice
from inatdet.classification.config import EXPERIMENT
from inatdet.detection.experiments import DEFAULT_EXPERIMENT
from inatdet.training import experiment


class Kind(Choice):
    """What a model does."""

    DETECTOR = "detector"
    CLASSIFIER = "classifier"


def kind_of(model_dir: str) -> Kind:
    """What the model in a folder does, as its saved settings say.

    Raises:
        InputError: if the folder has no settings.
    """
    name = experiment.saved_name(model_dir, DEFAULT_EXPERIMENT)
    return Kind.CLASSIFIER if name == EXPERIMENT else Kind.DETECTOR
