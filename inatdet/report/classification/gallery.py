"""Example pictures of a classifier: those it is surest about, right and wrong, and some others."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.labels import NO_LABEL
from inatdet.data.pictures import LONGEST_SIDE, as_jpeg
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.report.gallery import Choose, readable
from inatdet.report.rendering import Gallery


@dataclass(frozen=True)
class ClassPicture:
    """An image with what a classifier calls it.

    Attributes:
        image: the dataset's image.
        chosen: why it was chosen.
        model: the model.
        truth: the name of the true label.
        answer: the name of the best label.
        confidence: its probability; NaN where that is not known.
        right: whether both are the same.
        jpeg: the picture as a JPEG file.
    """

    image: Image
    chosen: Choose
    model: str
    truth: str
    answer: str
    confidence: float
    right: bool
    jpeg: bytes


def class_pictures(
    guesses: Guesses,
    images_dir: str | os.PathLike[str],
    choose: Choose,
    count: int,
    unreadable: dict[str, str],
) -> tuple[ClassPicture, ...]:
    """Chooses images, and makes them small. Others stand in for unreadable ones.

    Args:
        guesses: the model's on a split.
        images_dir: the folder that the images' file names start from.
        choose: which images: the surest of those that are right (`best`) or wrong (`worst`), or
            any. Without probabilities it is any of those.
        count: how many at most.
        unreadable: where images that cannot be read are noted; see `gallery.readable`.
    """
    level, truth = guesses.level, guesses.truth
    best, right = guesses.best(level, Rule.OWN), guesses.right(level, Rule.OWN)
    confidences = guesses.confidences(level)
    wanted = truth.counted & (best != NO_LABEL)
    if choose is not Choose.RANDOM:
        wanted &= right == (choose is Choose.BEST)
    places = np.random.default_rng(0).permutation(np.flatnonzero(wanted))
    if choose is not Choose.RANDOM and not np.isnan(confidences[places]).any():
        places = np.sort(places)
        places = places[np.argsort(-confidences[places], kind="stable")]
    image_of = {image.id: image for image in guesses.split.truth.images}
    names = guesses.split.taxonomy.names(level)
    candidates = ((place, image_of[int(guesses.split.image_ids[place])]) for place in places)
    drawn = []
    for place, image, picture in islice(readable(candidates, images_dir, unreadable), count):
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        drawn.append(
            ClassPicture(
                image,
                choose,
                guesses.model,
                truth=names[truth.labels[place] - 1],
                answer=names[best[place] - 1],
                confidence=float(confidences[place]),
                right=bool(right[place]),
                jpeg=as_jpeg(picture),
            )
        )
    return tuple(drawn)


def gallery_of(pictures: Sequence[ClassPicture]) -> Gallery | None:
    """The pictures as the page shows them; None without any."""
    if not pictures:
        return None
    return Gallery(
        "Examples",
        f"What {pictures[0].model} calls images, with the probability of its best label where that "
        "is known. Best are the images that it is surest about and right, worst those that it is "
        "surest about and wrong.",
        [_on_page(picture) for picture in pictures],
        [str(choice) for choice in Choose if any(p.chosen is choice for p in pictures)],
    )


def _on_page(picture: ClassPicture) -> dict[str, str]:
    known = not np.isnan(picture.confidence)
    return {
        "chosen": str(picture.chosen),
        "data": base64.b64encode(picture.jpeg).decode(),
        "alt": picture.truth,
        "truth": picture.truth,
        "answer": picture.answer,
        "score": f"{picture.confidence:.2f}" if known else "",
        "verdict": "right" if picture.right else "wrong",
        "remark": "",
        "image": str(picture.image.id),
    }
