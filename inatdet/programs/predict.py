r"""Detects or classifies in image files, and draws or prints what is found.

    inatdet predict --model_dir=MODEL photo.jpg folder 'more/*.png'
    inatdet predict --saved_model=SAVED --json photo.jpg > found.jsonl

Pictures of a detector's boxes go to --output_dir, by default `predictions`. A classifier's best
labels are printed, and written onto pictures if --output_dir is given. --json prints one JSON
object per image, and draws pictures only if --output_dir is given: `file`, `width`, `height`, and
either `detections`, best first, each with `x`, `y`, `width`, `height` in pixels of the file,
`name`, `label` and `score`; or `predictions`, each with `name`, `label` and `probability`. Folders
are searched with all their subfolders.

Pixels are used as they are stored, as in training: an EXIF orientation and transparency are
ignored, of several pictures in one file the first is taken, and of 16 bits the upper 8. For
photographs that cameras stored sideways, --upright applies the orientation first; boxes and
pictures are then those of the upright image.

A file that cannot be used gets one line on stderr; the other files are still processed, and the
exit code is 2.
"""

from __future__ import annotations

import codecs
import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import PIL.Image
from absl import flags
from tqdm import tqdm

from inatdet.data import image_files
from inatdet.data.file_names import IMAGE_SUFFIXES
from inatdet.errors import InputError
from inatdet.outputs import check_folder
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import EXIT_BAD_INPUT, progress

if TYPE_CHECKING:
    from inatdet.programs.experiments import Kind
    from inatdet.training.saved_models import Served

DEFAULT_OUTPUT_DIR = "predictions"
MAX_ARGUMENTS = sys.maxsize  # images, folders and patterns


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("model_dir", None, "A model's checkpoints, with its settings and labels.")
    flags.DEFINE_string("checkpoint", None, "Which checkpoint, instead of the newest.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_string(
        "saved_model", None, "A folder written by inatdet export, instead of --model_dir."
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "Where pictures go; by default `predictions`, with --json or a classifier nowhere.",
    )
    flags.DEFINE_bool("json", False, "Print what is found, one JSON object per image.")
    flags.DEFINE_float(
        "min_score",
        None,
        "Detections and labels below are left out, 0 to 1; by default 0.5 for a detector and 0 for "
        "a classifier.",
    )
    # Not as bounds of the flag, which NaN would pass.
    flags.register_validator(
        "min_score", lambda score: score is None or 0 <= score <= 1, "must be from 0 to 1"
    )
    flags.DEFINE_integer("max_boxes", 20, "Detections kept per image.", lower_bound=1)
    flags.DEFINE_integer("max_labels", 5, "A classifier's labels kept per image.", lower_bound=1)
    flags.DEFINE_bool("upright", False, "Apply EXIF orientation first; training ignores it.")


class _Model(NamedTuple):
    """A detector or a classifier.

    Attributes:
        look_at: from a path, a least score, a number and whether to turn images upright to a
            picture and what is found in it.
        as_json: from a path, a picture, what is found and whether to escape all but ASCII.
        as_text: from a path and what is found to a line for people; None where pictures show it.
        draw: draws what is found into a picture and saves it under a path.
        min_score: below, it is left out; by default.
        most: of it is kept.
    """

    look_at: Callable[[str, float, int, bool], tuple[PIL.Image.Image, list[Any]]]
    as_json: Callable[[str, PIL.Image.Image, Sequence[Any], bool], str]
    as_text: Callable[[str, Sequence[Any]], str] | None
    draw: Callable[[PIL.Image.Image, Sequence[Any], str], None]
    min_score: float
    most: int


def _model(values: flags.FlagValues) -> _Model:
    from inatdet.classification import prediction as classification
    from inatdet.detection import prediction as detection
    from inatdet.programs.experiments import Kind

    served, kind = _served(values)
    if kind is Kind.DETECTOR:
        return _Model(
            functools.partial(detection.detect_in, served),
            detection.as_json,
            None,
            detection.draw,
            detection.MIN_SCORE,
            values.max_boxes,
        )
    return _Model(
        functools.partial(classification.classify_file, served),
        classification.as_json,
        classification.as_text,
        classification.draw,
        0.0,
        values.max_labels,
    )


def _served(values: flags.FlagValues) -> tuple[Served, Kind]:
    """The network that the flags name, and what it does."""
    from inatdet.classification import serving as classification
    from inatdet.detection import serving as detection
    from inatdet.programs.experiments import Kind, kind_of
    from inatdet.training import saved_models

    if bool(values.model_dir) == bool(values.saved_model):
        raise InputError("give one of --model_dir and --saved_model")
    if not values.saved_model:
        kind = kind_of(values.model_dir)
        restore = {
            Kind.DETECTOR: detection.trained_detector,
            Kind.CLASSIFIER: classification.trained_classifier,
        }[kind]
        return restore(values.model_dir, values.checkpoint, values.params_override), kind
    if values.checkpoint or values.params_override:
        raise InputError("--checkpoint and --params_override go with --model_dir; leave them out")
    served, outputs = saved_models.load(values.saved_model)
    for kind, needed in (
        (Kind.DETECTOR, detection.OUTPUTS),
        (Kind.CLASSIFIER, classification.OUTPUTS),
    ):
        if needed <= outputs:
            return served, kind
    raise InputError(
        f"{values.saved_model}: is a SavedModel of something else, with the outputs "
        f"{', '.join(sorted(outputs))}; write one with inatdet export"
    )


def main(argv: Sequence[str]) -> int | None:
    """The program."""
    values = flags.FLAGS
    quiet_libraries(values)
    if len(argv) < 2:
        raise InputError("no image given; name files, folders or patterns")
    may_draw = values.output_dir or ("" if values.json else DEFAULT_OUTPUT_DIR)
    paths = image_files.find_images(argv[1:], may_draw)
    if not paths:
        raise InputError(
            f"no image in {', '.join(argv[1:])}; looked for {', '.join(IMAGE_SUFFIXES)}"
        )
    if may_draw:
        check_folder(may_draw)
        image_files.picture_paths(paths, may_draw)
    model = _model(values)
    # What a classifier says fits into a line, so pictures are drawn only where they are asked for.
    output_dir = values.output_dir if model.as_text else may_draw
    outputs = image_files.picture_paths(paths, output_dir) if output_dir else [""] * len(paths)
    min_score = model.min_score if values.min_score is None else values.min_score
    ascii_only = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    failed = 0
    for path, output in zip(tqdm(paths, unit=" images", disable=None), outputs):
        try:
            picture, found = model.look_at(path, min_score, model.most, values.upright)
        except InputError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        if values.json:
            tqdm.write(model.as_json(path, picture, found, ascii_only), file=sys.stdout)
        elif model.as_text:
            tqdm.write(model.as_text(path, found), file=sys.stdout)
        if output:
            model.draw(picture, found, output)
    summary = f"{len(paths) - failed} of {len(paths)} images"
    summary += f"; {failed} could not be used, see above" if failed else ""
    summary += f"; pictures are in {output_dir}" if output_dir else ""
    progress(summary)
    return EXIT_BAD_INPUT if failed else None
