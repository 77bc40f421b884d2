"""Classification of image files: what one seems to show, and how that is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import PIL.Image

from inatdet.data import image_files
from inatdet.data.pictures import PALETTE, as_jpeg, draw_lines
from inatdet.files import atomic_path
from inatdet.training import saved_models
from inatdet.training.saved_models import Served


@dataclasses.dataclass(frozen=True)
class Guess:
    """One of the labels that an image may have.

    Attributes:
        name: of the label.
        label: 1, 2, … in the model's label space.
        probability: 0 to 1.
    """

    name: str
    label: int
    probability: float


def classify_file(
    classifier: Served, path: str, min_probability: float, most: int, upright: bool
) -> tuple[PIL.Image.Image, list[Guess]]:
    """Classifies one file.

    Args:
        classifier: the classifier.
        path: of an image file.
        min_probability: labels that are less probable are left out.
        most: how many labels to keep at most, the best.
        upright: applies the file's EXIF orientation first.

    Returns:
        The image, RGB, and its labels, best first.

    Raises:
        InputError: the file cannot be read as an image, or is too large for the memory.
    """
    picture, found = saved_models.apply(classifier, path, upright)
    columns = zip(found["names"][:most], found["labels"], found["probabilities"])
    return picture, [
        Guess(name.decode(), int(label), float(probability))
        for name, label, probability in columns
        if probability >= min_probability
    ]


def as_json(
    path: str, picture: PIL.Image.Image, guesses: Sequence[Guess], ascii_only: bool = False
) -> str:
    """The labels of one image as one line of JSON; see `image_files.as_json`."""
    found = [dataclasses.asdict(g) | {"probability": round(g.probability, 6)} for g in guesses]
    return image_files.as_json(path, picture, {"predictions": found}, ascii_only)


def as_text(path: str, guesses: Sequence[Guess]) -> str:
    """The labels of one image as one line for people."""
    return f"{path}: {', '.join(map(_caption, guesses)) or 'no label is probable enough'}"


def draw(picture: PIL.Image.Image, guesses: Sequence[Guess], path: str) -> None:
    """Writes labels onto an image and saves it as JPEG, whole or not at all."""
    draw_lines(picture, list(map(_caption, guesses)), PALETTE[1])
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(as_jpeg(picture))


def _caption(guess: Guess) -> str:
    return f"{guess.name} {guess.probability:.2f}"
