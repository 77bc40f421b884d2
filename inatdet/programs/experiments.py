"""The experiments of all tasks: for programs that take the settings of any of them."""

from __future__ import annotations

from collections.abc import Sequence

from inatdet.choices import Choice
from inatdet.classification import experiments as classification
from inatdet.classification.config import EXPERIMENT as CLASSIFIER_EXPERIMENT
from inatdet.detection import experiments as detection
from inatdet.training import experiment as shared
from inatdet.training.config import Experiment


def register() -> None:
    """Makes the experiments of all tasks known; may be called again and again."""
    detection.register()
    classification.register()


def read_experiment(
    config_files: Sequence[str], params_override: str = "", experiment: str = ""
) -> Experiment:
    """The settings of a detector or classifier, whichever experiment the files name.

    See `inatdet.training.experiment.read_experiment`; without a name, they are of the paper's
    detector.
    """
    register()
    return shared.read_experiment(
        config_files, params_override, default=detection.DEFAULT_EXPERIMENT, experiment=experiment
    )


class Kind(Choice):
    """What a model does."""

    DETECTOR = "detector"
    CLASSIFIER = "classifier"


def kind_of(model_dir: str) -> Kind:
    """What the model in a folder does, as its saved settings say.

    Raises:
        InputError: if the folder has no settings.
    """
    name = shared.saved_name(model_dir, detection.DEFAULT_EXPERIMENT)
    return Kind.CLASSIFIER if name == CLASSIFIER_EXPERIMENT else Kind.DETECTOR
