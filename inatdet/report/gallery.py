"""The paper's Figure 7: detections drawn on images, green where the label is right, else red."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image as PILImage

from inatdet.choices import Choice
from inatdet.data.annotations import Image
from inatdet.data.boxes import are_right
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.pictures import LONGEST_SIDE, as_jpeg, draw_detections, open_picture
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.plausibility import DataWarning
from inatdet.evaluation.protocol import Prepared
from inatdet.files import atomic_path
from inatdet.report.text import one_line

T = TypeVar("T")

MOST_UNREADABLE = 100
"""After so many images that cannot be read, no more are tried for the gallery."""


class Choose(Choice):
    """Which images to show, judged by the best-scored detection of each.

    `BEST`: those that are right, highest scores first. `WORST`: those that are wrong, highest
    scores first. `RANDOM`: any.
    """

    BEST = "best"
    WORST = "worst"
    RANDOM = "random"


@dataclass(frozen=True)
class Picture:
    """An image with detections drawn on it.

    Attributes:
        image: the dataset's image.
        chosen: why it was chosen.
        truth: the names of its true boxes.
        answer: the name of its best-scored detection.
        score: the score of that detection.
        right: whether a true box has that name and overlaps the detection by IoU .5 or more.
        jpeg: the picture as a JPEG file.
    """

    image: Image
    chosen: Choose
    truth: tuple[str, ...]
    answer: str
    score: float
    right: bool
    jpeg: bytes


def pictures(
    prepared: Prepared,
    detections: Detections,
    images_dir: str | os.PathLike[str],
    choose: Choose,
    count: int,
    *,
    name: str = "",
    granularity: Granularity | None = None,
    seed: int = 0,
    unreadable: dict[str, str] | None = None,
) -> tuple[Picture, ...]:
    """Chooses images and draws the detections in them. Others stand in for unreadable ones.

    Args:
        prepared: the images to choose from, with their true boxes.
        detections: one of `prepared.detections`.
        images_dir: the folder that the images' file names start from.
        choose: which images.
        count: how many at most.
        name: only images with a true box of this species or super-class.
        granularity: the granularity whose labels are right or wrong; by default that of the
            detections.
        seed: makes the random choice reproducible.
        unreadable: where images that cannot be read are noted, by file name with what is wrong;
            without it, such an image is an error. After `MOST_UNREADABLE` no more are tried.

    Raises:
        InputError: `name` is not in the taxonomy, or an image cannot be read.
    """
    granularity = granularity or detections.trained_on
    found = detections.select(detections.labels[granularity] > 0)
    truth = prepared.truths[granularity]
    right = _are_right(found, truth, granularity)
    ranked = _Ranked.of(found)
    wanted = np.isin(ranked.image_ids, truth.box_images)
    if name:
        wanted &= np.isin(ranked.image_ids, _images_with(name, prepared))
    if choose is Choose.RANDOM:
        places = np.random.default_rng(seed).permutation(np.flatnonzero(wanted))
    else:
        best = ranked.order[ranked.starts[:-1]]
        wanted &= right[best] == (choose is Choose.BEST)
        places = np.flatnonzero(wanted)
        places = places[np.argsort(-found.scores[best[places]], kind="stable")]
    images = {image.id: image for image in prepared.kept.images}
    names = prepared.taxonomy.names(granularity)
    candidates = ((place, images[int(ranked.image_ids[place])]) for place in places.tolist())
    drawn = []
    for place, image, picture in islice(readable(candidates, images_dir, unreadable), count):
        rows = ranked.order[ranked.starts[place] : ranked.starts[place + 1]]
        labels = np.unique(truth.labels[truth.box_images == image.id])
        drawn.append(
            _drawn(
                image,
                picture,
                choose,
                truth=tuple(names[label - 1] for label in labels.tolist()),
                answers=[names[label - 1] for label in found.labels[granularity][rows].tolist()],
                found=found.select(rows),
                right=right[rows],
            )
        )
    return tuple(drawn)


def readable(
    candidates: Iterable[tuple[T, Image]],
    images_dir: str | os.PathLike[str],
    unreadable: dict[str, str] | None,
) -> Iterator[tuple[T, Image, PILImage.Image]]:
    """Opens one image after the other, passing over those that cannot be read.

    Args:
        candidates: images, each with what it stands for.
        images_dir: the folder that the images' file names start from.
        unreadable: where images that cannot be read are noted, by file name with what is wrong;
            those noted already are not tried. After `MOST_UNREADABLE` no more are. Without it, such
            an image is an error.

    Yields:
        What an image stands for, the image, and its picture, reduced while it is decoded.

    Raises:
        InputError: an image cannot be read, and `unreadable` is None.
    """
    for candidate, image in candidates:
        if unreadable is not None:
            if len(unreadable) >= MOST_UNREADABLE:
                return
            if image.file_name in unreadable:
                continue
        try:
            picture = open_picture(image.path_in(images_dir), "check --images_dir", LONGEST_SIDE)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable[image.file_name] = str(error)
            continue
        yield candidate, image, picture


def check_images_dir(images_dir: str | os.PathLike[str]) -> None:
    """Raises an InputError unless it is a folder: with a wrong one, no picture could be read."""
    if not os.path.isdir(images_dir):
        raise InputError(f"--images_dir={os.fspath(images_dir)}: is not a folder; check the path")


def warnings_of(unreadable: Mapping[str, str]) -> tuple[DataWarning, ...]:
    """The warning about the images that `pictures` could not read; none where all were read."""
    if not unreadable:
        return ()
    number = len(unreadable)
    count = f"{number} pictures" if number > 1 else "1 picture"
    return (
        DataWarning("pictures", f"{count} could not be drawn: {next(iter(unreadable.values()))}"),
    )


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Detections image by image, the best first.

    Attributes:
        image_ids: int64 `[images]`, the images with detections, ascending.
        order: int64 `[detections]`, rows of the detections.
        starts: int64 `[images + 1]`; `order[starts[i]:starts[i + 1]]` are those in image i.
    """

    image_ids: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, found: Detections) -> _Ranked:
        order = np.lexsort((-found.scores, found.image_ids))
        image_ids, first = np.unique(found.image_ids[order], return_index=True)
        return cls(image_ids, order, np.append(first, len(order)))


def _drawn(
    image: Image,
    picture: PILImage.Image,
    choose: Choose,
    *,
    truth: tuple[str, ...],
    answers: Sequence[str],
    found: Detections,
    right: np.ndarray,
) -> Picture:
    """The picture of an image; `answers`, `found` and `right` are its detections, best first."""
    picture = draw_detections(
        picture,
        found.boxes / ([image.width, image.height] * 2),
        [one_line(answer) for answer in answers],
        found.scores,
        right,
    )
    return Picture(
        image,
        choose,
        truth=truth,
        answer=answers[0],
        score=float(found.scores[0]),
        right=bool(right[0]),
        jpeg=as_jpeg(picture),
    )


def save(drawn: Sequence[Picture], output_dir: str | os.PathLike[str]) -> tuple[str, ...]:
    """Writes pictures as JPEG files.

    Returns:
        Their names inside the folder: the reason of choice, a number from 1 and the image's id.
    """
    names = tuple(
        f"{picture.chosen}-{position:03d}-{picture.image.id}.jpg"
        for position, picture in enumerate(drawn, 1)
    )
    for name, picture in zip(names, drawn):
        path = os.path.join(output_dir, name)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            file.write(picture.jpeg)
    return names


def _images_with(name: str, prepared: Prepared) -> np.ndarray:
    categories = prepared.taxonomy.species
    ids = [c.id for c in categories if name in (c.name, c.supercategory)]
    kept = prepared.kept
    if not ids:
        raise InputError(f"{name!r} is neither a species nor a super-class of {kept.path}")
    images: np.ndarray = kept.image_ids[np.isin(kept.category_ids, ids)]
    return images


def _are_right(found: Detections, truth: GroundTruth, granularity: Granularity) -> np.ndarray:
    """Bool `[detections]`: a true box of the same image and label overlaps by IoU .5 or more."""
    right = np.zeros(len(found), bool)
    order = np.argsort(found.image_ids, kind="stable")
    start = np.searchsorted(found.image_ids[order], truth.box_images, "left")
    end = np.searchsorted(found.image_ids[order], truth.box_images, "right")
    labels = found.labels[granularity]
    for first, last, label, box in zip(start, end, truth.labels, truth.boxes):
        here = order[first:last]
        right[here] |= are_right(found.boxes[here], labels[here], box[np.newaxis], label)
    return right
