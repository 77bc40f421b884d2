r"""Detects in image files and draws what is found.

    inatdet predict --model_dir=MODEL photo.jpg folder 'more/*.png'
    inatdet predict --saved_model=SAVED --json photo.jpg > found.jsonl

Pictures go to --output_dir, by default `predictions`. --json prints one JSON object per image, and
draws pictures only if --output_dir is given: `file`, `width`, `height` and `detections`, best
first, each with `x`, `y`, `width`, `height` in pixels of the file, `name`, `label` and `score`.
Folders are searched with all their subfolders.

Pixels are used as they are stored, as in training: an EXIF orientation and transparency are
ignored, of several pictures in one file the first is taken, and of 16 bits the upper 8. For
photographs that cameras stored sideways, --upright applies the orientation first; boxes and
pictures are then those of the upright image.

A file that cannot be used gets one line on stderr; the other files are still processed, and the
exit code is 2.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence

from absl import flags
from tqdm import tqdm

from inatdet.data.file_names import IMAGE_SUFFIXES
from inatdet.detection import prediction
from inatdet.detection.serving import Detector, saved_detector, trained_detector
from inatdet.errors import InputError
from inatdet.outputs import check_folder
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import EXIT_BAD_INPUT, progress

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
        "output_dir", None, "Where pictures go; by default `predictions`, with --json nowhere."
    )
    flags.DEFINE_bool("json", False, "Print what is found, one JSON object per image.")
    flags.DEFINE_float("min_score", 0.5, "Detections below are left out, 0 to 1.")
    # Not as bounds of the flag, which NaN would pass.
    flags.register_validator("min_score", lambda score: 0 <= score <= 1, "must be from 0 to 1")
    flags.DEFINE_integer("max_boxes", 20, "Detections kept per image.", lower_bound=1)
    flags.DEFINE_bool("upright", False, "Apply EXIF orientation first; training ignores it.")


def _detector(values: flags.FlagValues) -> Detector:
    if bool(values.model_dir) == bool(values.saved_model):
        raise InputError("give one of --model_dir and --saved_model")
    if not values.saved_model:
        return trained_detector(values.model_dir, values.checkpoint, values.params_override)
    if values.checkpoint or values.params_override:
        raise InputError("--checkpoint and --params_override go with --model_dir; leave them out")
    return saved_detector(values.saved_model)


def main(argv: Sequence[str]) -> int | None:
    """The program."""
    values = flags.FLAGS
    quiet_libraries(values)
    if len(argv) < 2:
        raise InputError("no image given; name files, folders or patterns")
    output_dir = values.output_dir or ("" if values.json else DEFAULT_OUTPUT_DIR)
    paths = prediction.find_images(argv[1:], output_dir)
    if not paths:
        raise InputError(
            f"no image in {', '.join(argv[1:])}; looked for {', '.join(IMAGE_SUFFIXES)}"
        )
    if output_dir:
        check_folder(output_dir)
    outputs = prediction.picture_paths(paths, output_dir) if output_dir else [""] * len(paths)
    detector = _detector(values)
    ascii_only = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    failed = 0
    for path, output in zip(tqdm(paths, unit=" images", disable=None), outputs):
        try:
            picture, detections = prediction.detect_in(
                detector, path, values.min_score, values.max_boxes, values.upright
            )
        except InputError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        if values.json:
            tqdm.write(prediction.as_json(path, picture, detections, ascii_only), file=sys.stdout)
        if output:
            prediction.draw(picture, detections, output)
    summary = f"{len(paths) - failed} of {len(paths)} images"
    summary += f"; {failed} could not be used, see above" if failed else ""
    summary += f"; pictures are in {output_dir}" if output_dir else ""
    progress(summary)
    return EXIT_BAD_INPUT if failed else None
