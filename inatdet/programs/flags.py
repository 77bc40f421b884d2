"""Flags that several programs share, and what their values mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.detections import Detections
from inatdet.data.formats.image_labels import read_image_labels
from inatdet.data.formats.reading import read_annotations, read_detections
from inatdet.data.formats.voc import Corners
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError
from inatdet.evaluation.plausibility import DataWarning
from inatdet.locks import only_writer
from inatdet.outputs import check_folder
from inatdet.programs.level_flags import define_ranks
from inatdet.programs.running import progress
from inatdet.report.gallery import check_images_dir
from inatdet.training.modes import MODES

# The flags defined here belong to the programs that ask for them, and so do their lines of help.
flags.disclaim_key_flags()

_EXPECTED = " or ".join(f"{granularity}=PATH" for granularity in ALWAYS)
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


def read_truth(
    values: flags.FlagValues, *, with_names: bool = True, number_ids: bool = False
) -> Annotations:
    """Reads the ground truth that the flags describe, and says what was left out or changed.

    Args:
        values: the flags of `define_truth`, and --images_dir.
        with_names: whether --names names the classes of the annotations.
        number_ids: whether ids that are text become numbers.

    Raises:
        InputError: it cannot be read, or --images_dir is not a folder.
    """
    return read_as_flags_say(
        values.annotations,
        values,
        images_dir=values.images_dir,
        taxonomy=values.taxonomy,
        with_names=with_names,
        number_ids=number_ids,
    )


def read_as_flags_say(
    path: str,
    values: flags.FlagValues,
    *,
    images_dir: str | None = None,
    taxonomy: str | None = None,
    with_names: bool = True,
    number_ids: bool = False,
) -> Annotations:
    """Reads annotations, and says what was left out or changed.

    Args:
        path: the file or folder.
        values: the flags of `define_reading`.
        images_dir: the images.
        taxonomy: a file of label spaces.
        with_names: whether --names names the classes of the annotations.
        number_ids: whether ids that are text become numbers.

    Raises:
        InputError: it cannot be read, or `images_dir` is not a folder.
    """
    if images_dir:
        check_images_dir(images_dir)
    progress(f"reading {path}")
    found = read_annotations(
        path,
        taxonomy=taxonomy,
        names=values.names if with_names else None,
        super_categories=values.super_categories,
        images_dir=images_dir,
        corners=values.corners,
        on_bad=values.on_bad,
        number_ids=number_ids,
        ranks=values.ranks,
        genus_from_names=values.genus_from_names,
    )
    _say_how_it_was_read(found)
    return found


def read_labels_as_flags_say(path: str, values: flags.FlagValues) -> ImageLabels:
    """Reads labels of images, and says what was left out or changed.

    Args:
        path: the file.
        values: the flags of `define_reading`.

    Raises:
        InputError: it cannot be read.
    """
    progress(f"reading {path}")
    found = read_image_labels(
        path,
        super_categories=values.super_categories,
        on_bad=values.on_bad,
        ranks=values.ranks,
        genus_from_names=values.genus_from_names,
    )
    _say_how_it_was_read(found)
    return found


def _say_how_it_was_read(found: Annotations | ImageLabels) -> None:
    for note in found.notes:
        progress(f"note: {note}")
    if found.skipped:
        left_out = "; ".join(f"{problem}: {count:,}" for problem, count in found.skipped.items())
        progress(f"{found.path}: left out with --on_bad=skip: {left_out}")


def granularity_and_path(flag: str, item: str) -> tuple[Granularity, str]:
    """Splits `GRANULARITY=PATH`.

    Args:
        flag: what the value was given as, for the message: `--detections=` or nothing.
        item: the value.

    Raises:
        InputError: it is not of that form.
    """
    name, _, path = item.partition("=")
    if not path:
        raise InputError(f"{flag}{item}: must be {_EXPECTED}")
    return granularities_of(f"{flag}{item}", [name])[0], path


def detections_by_model(items: Sequence[str]) -> dict[tuple[Granularity, Granularity], str]:
    """Splits the values of a repeated --detections.

    Args:
        items: `GRANULARITY=PATH`, or `GRANULARITY/COARSER=PATH` for detections by summed
            probabilities.

    Returns:
        The paths by the granularity of the model and that of its detections.

    Raises:
        InputError: a value is of another form or repeated, or there are detections by summed
            probabilities without the model's own.
    """
    paths: dict[tuple[Granularity, Granularity], str] = {}
    for item in items:
        name, _, path = item.partition("=")
        trained_on, slash, target = name.partition("/")
        if not path:
            raise InputError(
                f"--detections={item}: must be {_EXPECTED}, or species/super=PATH and so on for "
                "detections by summed probabilities"
            )
        names = (trained_on, target if slash else trained_on)
        fine, coarse = granularities_of(f"--detections={item}", names)
        key = fine, coarse
        if key in paths:
            raise InputError(f"--detections={item}: {name} is given twice; give it once")
        paths[key] = path
    trained = {trained_on for trained_on, target in paths if trained_on is target}
    for trained_on, target in paths:
        if trained_on not in trained:
            raise InputError(
                f"--detections={trained_on}/{target} needs the model's own detections as well; "
                f"give --detections={trained_on}=PATH"
            )
    if not paths:
        raise InputError(f"--detections is missing; give {_EXPECTED}")
    return paths


def read_detections_of(
    paths: Mapping[tuple[Granularity, Granularity], str],
    truth: Annotations,
    names: str | None = None,
    corners: Corners = Corners.INCLUSIVE,
) -> list[Detections]:
    """Reads the files of `detections_by_model`, from fine to coarse.

    Args:
        paths: the files.
        truth: the annotations of the same images.
        names: the file with the names of a YOLO model's classes.
        corners: what the corners in VOC's files are.

    Raises:
        InputError: one cannot be read, or a level does not exist or is not coarser than another.
    """
    levels = truth.taxonomy.levels
    for (trained_on, granularity), path in paths.items():
        item = trained_on if trained_on is granularity else f"{trained_on}/{granularity}"
        try:
            coarser = truth.taxonomy.coarser_or_equal(trained_on)
            truth.taxonomy.check(granularity)
        except InputError as error:
            raise InputError(f"--detections={item}={path}: {error}") from error
        if granularity not in coarser:
            raise InputError(
                f"--detections={item}={path}: {granularity} is not coarser than {trained_on}; the "
                f"levels are {', '.join(levels)}"
            )
    return [
        read_detections_at(
            path,
            truth,
            granularity,
            names,
            corners,
            summed_from=None if granularity is trained_on else trained_on,
        )
        for (trained_on, granularity), path in sorted(
            paths.items(), key=lambda item: [levels.index(level) for level in item[0]]
        )
    ]


def read_detections_at(
    path: str,
    truth: Annotations,
    granularity: Granularity,
    names: str | None,
    corners: Corners,
    summed_from: Granularity | None = None,
) -> Detections:
    """Reads one file of detections, and prints what there is to say about how it was read.

    Raises:
        InputError: it cannot be read.
    """
    progress(f"reading {path}")
    found = read_detections(
        path,
        truth,
        granularity=granularity,
        names=names,
        corners=corners,
        summed_from=summed_from,
    )
    for note in found.notes:
        progress(f"note: {note}")
    return found
