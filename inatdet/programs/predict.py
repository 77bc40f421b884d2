r"""Detects in image files and draws what is found.

    inatdet predict --model_dir=MODEL photo.jpg folder 'more/*.png'
    inatdet predict --saved_model=SAVED --json photo.jpg > found.jsonl

Pictures go to --output_dir, by default `predictions` (with --json: nowhere). --json prints one
object a line and image: `file`, `width`, `height` and `detections`, best first, each with `x`, `y`,
`width`, `height` in pixels of the file, `name`, `label` and `score`. Folders are searched with all
their folders.

Images are taken as they are stored, as training takes them: an EXIF orientation is ignored. For
photographs that cameras stored sideways, --upright applies it first; boxes and pictures are then
those of the upright image.

A file that cannot be used gets one line on stderr, the others go on, and the exit code is 2.
"""

from __future__ import annotations

import dataclasses
import glob
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import tensorflow as tf
from absl import flags
from tqdm import tqdm

from inatdet.data.pictures import PALETTE, as_jpeg, draw_boxes, open_picture
from inatdet.detection.serving import Detector, saved_detector, trained_detector
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.programs.running import EXIT_BAD_INPUT
from inatdet.training import experiment

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
DEFAULT_OUTPUT_DIR = "predictions"

_SERVABLE = (b"\xff\xd8", b"\x89PNG")  # what files begin with that the detector decodes itself


@dataclasses.dataclass(frozen=True)
class Detection:
    """One box in one image.

    Attributes:
        x: left edge, in pixels of the file.
        y: upper edge, likewise.
        width: in pixels.
        height: in pixels.
        name: of the label.
        label: 1, 2, … in the model's label space.
        score: 0 to 1.
    """

    x: float
    y: float
    width: float
    height: float
    name: str
    label: int
    score: float


def find_images(inputs: Iterable[str], skipped_dir: str = "") -> list[str]:
    """The files that are meant by files, folders and patterns.

    Args:
        inputs: a folder stands for the image files in it and its folders, in order of their names.
            What matches nothing is returned as it is: reading it will say what is wrong.
        skipped_dir: a folder in which none is looked for.

    Returns:
        Paths, each once.
    """
    paths: dict[str, None] = {}
    for given in inputs:
        matches = [given] if os.path.exists(given) else sorted(glob.glob(given, recursive=True))
        for match in matches or [given]:
            found = _images_under(match, skipped_dir) if os.path.isdir(match) else [match]
            paths.update(dict.fromkeys(found))
    return list(paths)


def _images_under(folder: str, skipped_dir: str) -> Iterable[str]:
    for parent, folders, files in os.walk(folder):
        if skipped_dir and os.path.realpath(parent) == os.path.realpath(skipped_dir):
            folders.clear()
            continue
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                yield os.path.join(parent, name)


def picture_paths(paths: Sequence[str], output_dir: str) -> list[str]:
    """Where each image's picture goes: its name as .jpg, numbered if others have it too.

    Raises:
        InputError: if a picture would replace one of the images.
    """
    originals = {os.path.realpath(path) for path in paths}
    taken: set[str] = set()
    outputs = []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = stem, 1
        while name.lower() in taken:  # some file systems do not tell a from A
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        outputs.append(os.path.join(output_dir, f"{name}.jpg"))
        if os.path.realpath(outputs[-1]) in originals:
            raise InputError(
                f"{outputs[-1]}: the picture would replace this image; choose another --output_dir"
            )
    return outputs


def detect_in(
    detector: Detector, path: str, min_score: float, max_boxes: int, upright: bool
) -> tuple[PIL.Image.Image, list[Detection]]:
    """Detects in one file.

    Args:
        detector: what to ask.
        path: of an image file.
        min_score: detections below are left out.
        max_boxes: how many to keep, the best.
        upright: applies the file's EXIF orientation first.

    Returns:
        The image, RGB, and what is in it, best first.

    Raises:
        InputError: if the file cannot be read as an image.
    """
    picture = open_picture(path, "leave it out or replace it")
    with open(path, "rb") as file:
        encoded = file.read()
    turn = upright and picture.getexif().get(PIL.ExifTags.Base.Orientation, 1) != 1
    if turn:
        picture = PIL.ImageOps.exif_transpose(picture)
    if turn or not encoded.startswith(_SERVABLE):
        encoded = _as_png(picture)
    try:
        found = {name: value.numpy()[0] for name, value in detector(tf.constant([encoded])).items()}
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{path}: TensorFlow cannot decode it, though Pillow can; save it anew as JPEG or PNG"
        ) from error
    count = min(int((found["scores"][: found["count"]] >= min_score).sum()), max_boxes)
    return picture, [
        Detection(*(round(float(v), 2) for v in box), name.decode(), int(label), float(score))
        for box, name, label, score in zip(
            *(found[field][:count] for field in ("boxes", "names", "labels", "scores"))
        )
    ]


def _as_png(picture: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def as_json(path: str, picture: PIL.Image.Image, detections: Sequence[Detection]) -> str:
    """One line of what --json prints."""
    found = [dataclasses.asdict(d) | {"score": round(d.score, 6)} for d in detections]
    return json.dumps(
        {"file": path, "width": picture.width, "height": picture.height, "detections": found},
        ensure_ascii=False,
    )


def draw(picture: PIL.Image.Image, detections: Sequence[Detection], path: str) -> None:
    """Draws detections and writes the picture, whole or not at all."""
    draw_boxes(
        picture,
        np.array([[d.x, d.y, d.width, d.height] for d in detections]).reshape(-1, 4),
        [f"{d.name} {d.score:.2f}" for d in detections],
        [PALETTE[d.label % len(PALETTE)] for d in detections],
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(as_jpeg(picture))


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("model_dir", None, "A model's checkpoints, with its settings and labels.")
    flags.DEFINE_string("checkpoint", None, "Which checkpoint, instead of the newest.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_string("saved_model", None, "A folder of inatdet export, instead of --model_dir.")
    flags.DEFINE_string(
        "output_dir", None, "Where pictures go [predictions; with --json, nowhere]."
    )
    flags.DEFINE_bool("json", False, "Print what is found, one JSON object a line and image.")
    flags.DEFINE_float("min_score", 0.5, "Detections below are left out.", lower_bound=0.0)
    flags.DEFINE_integer("max_boxes", 20, "Detections kept of an image.", lower_bound=1)
    flags.DEFINE_bool("upright", False, "Apply EXIF orientation first, which training ignores.")


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
    experiment.log_less(values)
    if len(argv) < 2:
        raise InputError("no image given; name files, folders or patterns")
    output_dir = values.output_dir or ("" if values.json else DEFAULT_OUTPUT_DIR)
    paths = find_images(argv[1:], output_dir)
    if not paths:
        raise InputError(f"no image in {', '.join(argv[1:])}; looked for {', '.join(EXTENSIONS)}")
    outputs = picture_paths(paths, output_dir) if output_dir else [""] * len(paths)
    detector = _detector(values)
    failed = 0
    for path, output in zip(tqdm(paths, unit=" images", disable=None), outputs):
        try:
            picture, detections = detect_in(
                detector, path, values.min_score, values.max_boxes, values.upright
            )
        except InputError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        if values.json:
            tqdm.write(as_json(path, picture, detections), file=sys.stdout)
        if output:
            draw(picture, detections, output)
    said = f"{len(paths) - failed} of {len(paths)} images"
    print(f"{said}; pictures are in {output_dir}" if output_dir else said, file=sys.stderr)
    return EXIT_BAD_INPUT if failed else None
