"""What looks wrong with the splits of a dataset, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.entries import short
from inatdet.datasets.statistics.splits import TRAIN, VAL, Counted, Dataset

_NAMED = 3


def doubts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """What a person should look at.

    Yields:
        What it is about, `images` or `classes`, and a sentence: which file, what, how many, and
        what to do.
    """
    train, val = dataset.split(TRAIN), dataset.split(VAL)
    if train and val:
        yield from _in_both(train, val)
        # Boxes are known of fewer species than labels are.
        if (train.split.labels is None) == (val.split.labels is None):
            yield from _never_seen(dataset, train, val)
    for part in dataset.splits:
        if part.split.labels is not None and part.split.boxes is not None:
            yield from _labels_and_boxes(part)


def _in_both(train: Counted, val: Counted) -> Iterator[tuple[str, str]]:
    """Images that models are trained on and evaluated on."""
    first, second = train.split.counted, val.split.counted
    # Many datasets number their images in each split anew, so the name alone says little.
    known = {(i.file_name, i.width, i.height): place for place, i in enumerate(first.images)}
    pairs = [
        (known[i.file_name, i.width, i.height], place)
        for place, i in enumerate(second.images)
        if (i.file_name, i.width, i.height) in known
    ]
    if not pairs:
        return
    content, other = _content(train), _content(val)
    found = [second.images[j].file_name for i, j in pairs if content(i) == other(j) != ()]
    if found:
        yield (
            "images",
            f"{second.path}: lists {_images(found)} with the file name, the size and the "
            f"{'boxes' if isinstance(second, Annotations) else 'label'} of an image of "
            f"{first.path} ({_listed(found)}); list each image in one split",
        )


def _content(part: Counted) -> Callable[[int], object]:
    """What an image shows, by its position in its file: its label, or its species and boxes."""
    counted = part.split.counted
    if not isinstance(counted, Annotations):
        return lambda place: int(part.shown[place, 1])
    assert part.boxed is not None
    rows, starts = counted.rows_by_image()
    table = np.column_stack([part.boxed, counted.boxes])
    return lambda place: tuple(
        sorted(map(tuple, table[rows[starts[place] : starts[place + 1]]].tolist()))
    )


def _never_seen(dataset: Dataset, train: Counted, val: Counted) -> Iterator[tuple[str, str]]:
    """Species that nothing can learn."""
    absent = np.setdiff1d(val.shown[:, 1], train.shown[:, 1]).tolist()
    if absent:
        yield (
            "classes",
            f"{val.split.counted.path}: shows {len(absent):,} species without an image in "
            f"{train.split.counted.path} ({_listed([dataset.species[i].name for i in absent])}); "
            "check that both are splits of one dataset, as no model can learn what it is not shown",
        )


def _labels_and_boxes(part: Counted) -> Iterator[tuple[str, str]]:
    """Boxes whose image is not among the labels, or has the label of another species."""
    labels, boxes, boxed = part.split.labels, part.split.boxes, part.boxed
    assert labels is not None
    assert boxes is not None
    assert boxed is not None
    position = {image.file_name: place for place, image in enumerate(labels.images)}
    places = np.array([position.get(i.file_name, -1) for i in boxes.images], np.int64)
    of_box = places[boxes.image_positions()] if len(boxed) else np.zeros(0, np.int64)
    missing = _images_of(of_box < 0, part)
    if missing:
        yield (
            "images",
            f"{boxes.path}: has boxes in {_images(missing)} that {labels.path} does not list "
            f"({_listed(missing)}); check that both are of one split",
        )
    found = of_box >= 0
    differs = np.zeros(len(boxed), bool)
    differs[found] = part.shown[of_box[found], 1] != boxed[found]
    if other := _images_of(differs, part):
        yield (
            "classes",
            f"{boxes.path}: has boxes of another species than the label in {labels.path} in "
            f"{_images(other)} ({_listed(other)}); check that both are of one dataset",
        )


def _images_of(chosen: np.ndarray, part: Counted) -> list[str]:
    """The file names of the images of some boxes, bool `[boxes]`."""
    boxes = part.split.boxes
    assert boxes is not None
    return [boxes.images[at].file_name for at in np.unique(boxes.image_positions()[chosen])]


def _images(names: list[str]) -> str:
    return f"{len(names):,} image{'s' * (len(names) != 1)}"


def _listed(names: list[str]) -> str:
    return ", ".join(map(short, names[:_NAMED])) + (", ..." if names[_NAMED:] else "")
