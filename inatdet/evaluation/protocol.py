"""Which images and detections count, and what they are compared with: prepared once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import GroundTruth, ground_truth_at, labels_of_boxes
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.matching import Labelled

PROTOCOL_VERSION = 1
"""The version of the rules by which numbers come about; reports carry it.

Raise it with every change after which the same files give another number: which images or
detections count, how labels are derived or merged, how measures or standard errors are computed.
Numbers of two versions are not to be compared. What only adds a number, or changes how numbers are
shown, leaves it as it is.
"""


@dataclass(frozen=True)
class Counts:
    """What was evaluated and what was left out.

    Attributes:
        images: images in the annotation file.
        images_kept: images evaluated.
        images_without_box: left out, unless all images are evaluated.
        images_with_several: left out, unless all images are evaluated.
        boxes_kept: true boxes in the images evaluated.
        boxes_without_label: of those, boxes whose category has no label at each level.
        classes: labels at each level.
        classes_with_truth: of those, the ones with a true box in the images evaluated.
    """

    images: int
    images_kept: int
    images_without_box: int
    images_with_several: int
    boxes_kept: int
    boxes_without_label: Mapping[Granularity, int]
    classes: Mapping[Granularity, int]
    classes_with_truth: Mapping[Granularity, int]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that numbers and pictures are made from. `prepare` makes it.

    Attributes:
        annotations: the whole annotation file.
        all_images: whether images with several boxes or none count too.
        kept: the images that count, with their true boxes.
        given: the detections as they were given.
        detections: the same, in the same order, but only those in the images that count.
        asked: the levels whose numbers tables show, besides those of the models.
    """

    annotations: Annotations
    all_images: bool
    kept: Annotations
    given: tuple[Detections, ...]
    detections: tuple[Detections, ...]
    asked: tuple[Granularity, ...] = ALWAYS

    @property
    def taxonomy(self) -> Taxonomy:
        """The label spaces of the whole annotation file."""
        return self.annotations.taxonomy

    @property
    def levels(self) -> tuple[Granularity, ...]:
        """The levels that tables show, from fine to coarse: those asked for and the models'."""
        shown = {*self.asked, *(given.trained_on for given in self.given)}
        return tuple(level for level in self.taxonomy.levels if level in shown)

    @functools.cached_property
    def truths(self) -> Mapping[Granularity, GroundTruth]:
        """The true boxes in the images that count, at every level of the label spaces."""
        return {g: ground_truth_at(self.kept, self.taxonomy, g) for g in self.taxonomy.levels}

    def encounters(self, found: Detections) -> Encounters:
        """What detections in the images that count meet, among all boxes of `kept`."""
        return Encounters.among(self.kept, (found.image_ids, found.boxes, found.scores))

    def labelled(self, level: Granularity, met: Encounters, labels: np.ndarray) -> Labelled:
        """Detections with the labels of a level.

        Args:
            level: the level.
            met: what the detections meet; see `encounters`.
            labels: int32 `[detections]`, 1, 2, ... at the level; 0 for those that do not count.
        """
        known = labels_of_boxes(self.kept.category_ids, level, self.taxonomy) > NO_LABEL
        rows = np.where(known, np.cumsum(known, dtype=np.int32) - 1, -1)
        return Labelled(self.truths[level], met, labels, rows.astype(np.int32))

    @functools.cached_property
    def models(self) -> Mapping[Granularity, Detections]:
        """Each model's detections of its own labels, by its granularity, from fine to coarse."""
        own = {d.trained_on: d for d in self.detections if d.summed_from is None}
        return {g: own[g] for g in self.taxonomy.levels if g in own}

    @functools.cached_property
    def marginals(self) -> Mapping[tuple[Granularity, Granularity], Detections]:
        """Coarse detections of fine models by summed probabilities; see `Merge.MARGINAL`.

        The keys are the granularity of the model and that of the detections.
        """
        return {(d.summed_from, d.trained_on): d for d in self.detections if d.summed_from}

    @functools.cached_property
    def counts(self) -> Counts:
        """What is evaluated and what is left out."""
        boxed, boxes = np.unique(self.annotations.image_ids, return_counts=True)
        images = len(self.annotations.images)
        everything = len(self.kept.images) == images
        return Counts(
            images=images,
            images_kept=len(self.kept.images),
            images_without_box=0 if everything else images - len(boxed),
            images_with_several=0 if everything else int((boxes > 1).sum()),
            boxes_kept=len(self.kept.boxes),
            boxes_without_label={
                g: len(self.kept.boxes) - len(truth.labels) for g, truth in self.truths.items()
            },
            classes={g: truth.num_labels for g, truth in self.truths.items()},
            classes_with_truth={g: len(np.unique(t.labels)) for g, t in self.truths.items()},
        )


def prepare(
    annotations: Annotations,
    detections: Sequence[Detections],
    *,
    all_images: bool = False,
    levels: Sequence[Granularity | str] = ALWAYS,
) -> Prepared:
    """Selects the images and detections that count.

    Args:
        annotations: the whole annotation file; the label spaces are its `taxonomy`.
        detections: what is to be evaluated, expressed in those label spaces.
        all_images: whether images with several boxes or none count. In the paper they do not.
        levels: the levels whose numbers tables show, besides those of the models.

    Raises:
        InputError: no image is left to evaluate, a detection is in an image that the annotations do
            not list, detections were read with other label spaces, or these lack a level.
    """
    asked = tuple(map(Granularity, levels))
    for level in asked:
        annotations.check_level(level)
    for given in detections:
        labels = given.taxonomy
        if labels is not None and not labels.agrees_with(annotations.taxonomy, given.labels):
            raise InputError(
                f"{given.path}: was read with other label spaces than those of {annotations.path} "
                f"({annotations.taxonomy_source}); read both with the same taxonomy"
            )
    kept = annotations if all_images else annotations.single_instance()
    if not kept.images:
        raise InputError(
            f"{annotations.path}: no image has exactly one box, so none is left to evaluate; "
            "evaluate all images with --all_images, or all_images=True in Python"
        )
    inside = tuple(_in_images(d, annotations, kept) for d in detections)
    return Prepared(annotations, all_images, kept, tuple(detections), inside, asked)


def _in_images(detections: Detections, annotations: Annotations, kept: Annotations) -> Detections:
    inside = _are_in(detections, kept)
    if inside.all():
        return detections
    known = _are_in(detections, annotations)
    known |= np.isin(detections.image_ids, list(annotations.left_out_ids))
    if not known.all():
        row = int(np.argmin(known))
        raise InputError(
            f"{detections.path}: detection {row + 1} is in image {detections.image_ids[row]}, "
            f"which {annotations.path} does not list; check that both are of the same split"
        )
    return detections.select(inside)


def _are_in(detections: Detections, annotations: Annotations) -> np.ndarray:
    ids = np.fromiter((image.id for image in annotations.images), np.int64)
    return np.isin(detections.image_ids, ids)
