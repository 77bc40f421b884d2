"""Flags that several programs share, and what their values mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from absl import flags

from inatdet.data.checking import OnBad
from inatdet.data.formats.voc import Corners
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.plausibility import DataWarning
from inatdet.locks import only_writer
from inatdet.outputs import check_folder
from inatdet.programs.level_flags import define_ranks
from inatdet.training.modes import MODES

# The flags defined here belong to the programs that ask for them, and so do their lines of help.
flags.disclaim_key_flags()

_NAMES = "Class names of YOLO's files: a data.yaml."


def define_truth(names: str = _NAMES, required: bool = True) -> None:
    """Defines the flags that say what the ground truth is.

    Args:
        names: the help of --names.
        required: whether there must be one.
    """
    flags.DEFINE_string(
        "annotations",
        None,
        "The ground truth: COCO-style or LVIS JSON, or a folder of Pascal VOC's XML files or of "
        "YOLO's labels.",
        required=required,
    )
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, instead of deriving label spaces.")
    define_reading(names)


def define_reading(names: str = _NAMES) -> None:
    """Defines the flags that say how annotations are read.

    Args:
        names: the help of --names.
    """
    flags.DEFINE_string("names", None, names)
    flags.DEFINE_string(
        "super_categories",
        None,
        'A JSON file, {"category": "super-class", ...}, for annotations without super-classes.',
    )
    flags.DEFINE_enum_class(
        "corners",
        Corners.INCLUSIVE,
        Corners,
        "VOC's corners: first and last pixel, counted from 1, or edges, counted from 0.",
    )
    flags.DEFINE_enum_class(
        "on_bad",
        OnBad.ERROR,
        OnBad,
        "Stop at bad entries of the annotations, or leave them out.",
    )
    define_ranks()


def granularities_of(flag: str, names: Sequence[str]) -> list[Granularity]:
    """The levels that a flag lists.

    Raises:
        InputError: one cannot be the name of a level.
    """
    try:
        return [Granularity(name) for name in names]
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from error


def whole_numbers_of(flag: str, texts: Sequence[str]) -> list[int]:
    """The whole numbers that a flag lists.

    Raises:
        InputError: one is none.
    """
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        raise InputError(f"{flag}={','.join(texts)}: must be whole numbers") from error


def define_images_dir(text: str, required: bool = False) -> None:
    """Defines --images_dir; `text` is its help."""
    flags.DEFINE_string("images_dir", None, text, required=required)


def define_experiment() -> None:
    """Defines the flags of Model Garden's that say what is trained and how."""
    flags.DEFINE_string("experiment", "", "Whose defaults, instead of those the files name.")
    flags.DEFINE_multi_string("config_file", [], "A YAML file of settings; may be repeated.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_enum(
        "mode",
        "train",
        MODES,
        "What to do; eval computes validation losses, continuous_eval those of each checkpoint.",
    )


def has_config_file(values: flags.FlagValues) -> None:
    """Raises InputError unless the flags of `define_experiment` name a file of settings."""
    if not values.config_file:
        raise InputError("--config_file is missing; give one of the files in pipelines/")


def define_trained_model() -> None:
    """Defines the flags that name a trained model and say how it is used."""
    flags.DEFINE_string("model_dir", None, "Where the checkpoints are.", required=True)
    flags.DEFINE_string("checkpoint", None, "Which checkpoint, instead of the newest.")
    flags.DEFINE_multi_string(
        "config_file", [], "YAML files of settings, instead of those saved in --model_dir."
    )
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, if --model_dir has none.")


def define_all_images() -> None:
    """Defines --all_images."""
    flags.DEFINE_bool("all_images", False, "Also evaluate images with several boxes or none.")


def define_strict() -> None:
    """Defines --strict."""
    flags.DEFINE_bool("strict", False, "Treat warnings about the files as errors: exit code 2.")


@contextlib.contextmanager
def writing_to(output_dir: str) -> Iterator[None]:
    """Makes sure that --output_dir can be written, and that nobody else does while the block runs.

    Raises:
        InputError: it cannot be written, or another process writes there.
    """
    check_folder(output_dir)
    with only_writer(output_dir):
        yield


def noted(warnings: Sequence[DataWarning]) -> str:
    """The end of a last line that says how many warnings a report lists."""
    if not warnings:
        return ""
    return f"; see its {len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
