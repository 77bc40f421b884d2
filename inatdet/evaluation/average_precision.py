"""COCO's average precision and recall of every class, as the libraries count them.

hotcoco counts exactly as pycocotools does but takes columns instead of dictionaries; pycocotools
itself is the reference. What this package counts by itself (`counting`) is tested against both.
`maxDets` applies to each image **and class**, as COCO defines it.

Of equal scores, the image with the smaller id comes first and, within an image, the earlier row, as
in pycocotools. Otherwise neither the order of rows nor the ids matter.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy

if TYPE_CHECKING:  # loaded only when needed: pycocotools alone takes longer than --help may
    import hotcoco
    from pycocotools import cocoeval

OVERALL = "Overall"
"""The name of a last row: the mean over all classes or images, not over the rows above it."""

MAX_DETECTIONS = (1, 10, 100)
"""How many detections of each image and class count for AR1, for AR10, and for AP."""

METRICS = ("AP", "AP50", "AP75", "AR1", "AR10")
"""The columns of the paper's Table 5."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""COCO's, at which precision is interpolated."""

EVERY_AREA = (0.0, 1e10)
"""COCO's range of areas that leaves nothing out, in square pixels."""
IOU_50, IOU_75 = 0, 5
"""The positions of these thresholds among COCO's, .50:.05:.95."""


class Engine(Choice):
    """What counts: this package, from one matching for everything, or one of two libraries."""

    INATDET = "inatdet"
    HOTCOCO = "hotcoco"
    PYCOCOTOOLS = "pycocotools"

    def version(self) -> str:
        """Its name and version."""
        return f"{self.value} {importlib.metadata.version(self.value)}"


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The true boxes at one granularity. Row i of every column is the i-th box.

    Attributes:
        image_ids: int64 `[images]`, all images that are evaluated.
        num_labels: the number of classes.
        box_images: int64 `[boxes]`, the id of each box's image.
        labels: int64 `[boxes]`, 1..num_labels.
        boxes: float64 `[boxes, 4]`, `x, y, width, height` in pixels.
        areas: float64 `[boxes]`.
        is_crowd: bool `[boxes]`.
    """

    image_ids: np.ndarray
    num_labels: int
    box_images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    is_crowd: np.ndarray

    def in_images(self, image_ids: np.ndarray) -> GroundTruth:
        """Only these images, int64 `[n]`, and their boxes."""
        part = self._boxes(np.isin(self.box_images, image_ids))
        return replace(part, image_ids=np.asarray(image_ids, np.int64))

    def of_labels(self, labels: np.ndarray) -> GroundTruth:
        """All images, but only boxes with these labels, int `[n]`."""
        return self._boxes(np.isin(self.labels, labels))

    def _boxes(self, rows: np.ndarray) -> GroundTruth:
        names = ("box_images", "labels", "boxes", "areas", "is_crowd")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True, eq=False)
class ClassResults:
    """The measures of every class; NaN for a class without ground truth.

    Attributes:
        values: float64 `[classes, 5]`, in 0..1, the columns as in `METRICS`.
        precision: float64 `[classes, 101]`, interpolated precision at IoU .5 at the recalls 0,
            .01 .. 1.
    """

    values: np.ndarray
    precision: np.ndarray

    @property
    def has_truth(self) -> np.ndarray:
        """Bool `[classes]`."""
        known: np.ndarray = ~np.isnan(self.values[:, 0])
        return known

    def mean(self, classes: np.ndarray | None = None) -> np.ndarray:
        """The mean measures, float64 `[5]`, over the classes with ground truth.

        Args:
            classes: bool `[classes]`, which ones to include; by default all.
        """
        return _mean(self.values, self.has_truth if classes is None else self.has_truth & classes)

    def mean_precision(self, classes: np.ndarray) -> np.ndarray:
        """The mean precision at each recall, float64 `[101]`, as `mean`."""
        return _mean(self.precision, self.has_truth & classes)


def _mean(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if not rows.any():
        return np.full(values.shape[1], np.nan)
    means: np.ndarray = values[rows].mean(axis=0)
    return means


def ground_truth_at(
    annotations: Annotations, taxonomy: Taxonomy, granularity: Granularity
) -> GroundTruth:
    """The annotations' boxes that have a label at a granularity.

    Args:
        annotations: the images to evaluate and their boxes.
        taxonomy: the label spaces.
        granularity: which labels.
    """
    labels = labels_of_boxes(annotations.category_ids, granularity, taxonomy)
    kept = labels > NO_LABEL
    return GroundTruth(
        image_ids=np.array([image.id for image in annotations.images], np.int64),
        num_labels=taxonomy.num_labels(granularity),
        box_images=annotations.image_ids[kept],
        labels=labels[kept],
        boxes=annotations.boxes[kept],
        areas=annotations.areas[kept],
        is_crowd=annotations.is_crowd[kept],
    )


def labels_of_boxes(
    category_ids: np.ndarray, granularity: Granularity, taxonomy: Taxonomy
) -> np.ndarray:
    """The labels of boxes by their categories, int64 `[boxes]`; `NO_LABEL` where there is none."""
    known = taxonomy.label_of_category(granularity)
    return np.array([known.get(i, NO_LABEL) for i in category_ids.tolist()], np.int64)


def result_columns(detections: Detections, granularity: Granularity) -> np.ndarray:
    """The detections with a label at a granularity, in the form that both libraries load.

    Returns:
        float64 `[n, 7]`: image, x, y, width, height, score, label.
    """
    found = detections.select(detections.labels[granularity] > 0)
    columns = np.empty((len(found), 7))
    columns[:, 0] = found.image_ids
    columns[:, 1:5] = found.boxes
    columns[:, 5] = found.scores
    columns[:, 6] = found.labels[granularity]
    return columns


def counted(
    truth: GroundTruth, columns: np.ndarray, engine: Engine = Engine.HOTCOCO
) -> hotcoco.COCOeval | cocoeval.COCOeval:
    """An evaluation object of one of the libraries, evaluated and accumulated.

    Args:
        truth: the true boxes.
        columns: the detections, from `result_columns`.
        engine: which library.
    """
    if engine is Engine.HOTCOCO:
        evaluation = loaded(truth, columns)
    else:
        evaluation = _pycocotools(truth, columns)
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    count(evaluation, [EVERY_AREA])
    return evaluation


def count(
    evaluation: hotcoco.COCOeval | cocoeval.COCOeval, area_ranges: Sequence[tuple[float, float]]
) -> None:
    """Evaluates and accumulates, the first time or again.

    Args:
        evaluation: from `counted`.
        area_ranges: in square pixels. For each range, true boxes of other areas are ignored, and so
            are detections of other areas that match no box.
    """
    evaluation.params.areaRngLbl = ["all", *map(str, range(1, len(area_ranges)))]
    evaluation.params.areaRng = [list(area_range) for area_range in area_ranges]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()


def class_results(
    evaluation: hotcoco.COCOeval | cocoeval.COCOeval, area_range: int = 0
) -> ClassResults:
    """The measures of every class.

    Args:
        evaluation: from `counted`.
        area_range: the index of the range, among those that `count` was given.
    """
    assert evaluation.eval is not None  # it is accumulated
    # precision: [IoU, recall, class, area, maxDets]; recall: [IoU, class, area, maxDets]
    at_100 = evaluation.eval["precision"][:, :, :, area_range, -1]
    recall = evaluation.eval["recall"][:, :, area_range]
    at_100, recall = (np.where(x < 0, np.nan, x) for x in (at_100, recall))
    values = np.stack(
        [
            at_100.mean(axis=(0, 1)),
            at_100[IOU_50].mean(axis=0),
            at_100[IOU_75].mean(axis=0),
            recall[:, :, 0].mean(axis=0),
            recall[:, :, 1].mean(axis=0),
        ],
        axis=1,
    )
    return ClassResults(values, at_100[IOU_50].T)


def _images_and_categories(truth: GroundTruth) -> tuple[list[dict], list[dict]]:
    # The size of an image does not matter here.
    images = [{"id": image_id, "width": 1, "height": 1} for image_id in truth.image_ids.tolist()]
    categories = [{"id": label, "name": str(label)} for label in range(1, truth.num_labels + 1)]
    return images, categories


def loaded(truth: GroundTruth, columns: np.ndarray) -> hotcoco.COCOeval:
    """An evaluation object of hotcoco's, not evaluated yet; for the arguments see `counted`."""
    import hotcoco

    images, categories = _images_and_categories(truth)
    coco = hotcoco.COCO.from_arrays(
        images,
        categories,
        truth.box_images,
        truth.labels,
        truth.boxes,
        area=truth.areas,
        iscrowd=truth.is_crowd.astype(np.int64),
    )
    return hotcoco.COCOeval(coco, coco.load_res(columns), "bbox")


def _pycocotools(truth: GroundTruth, found: np.ndarray) -> cocoeval.COCOeval:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, categories = _images_and_categories(truth)
    columns = (truth.box_images, truth.labels, truth.boxes, truth.areas, truth.is_crowd)
    boxes = [
        {
            "id": box_id,
            "image_id": image_id,
            "category_id": label,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
        }
        for box_id, (image_id, label, box, area, crowd) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), 1
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "categories": categories, "annotations": boxes}
        coco.createIndex()
        # loadRes cannot take an empty list: it looks at the first result to see its kind.
        results = coco.loadRes(found) if len(found) else COCO()
        return COCOeval(coco, results, "bbox")


def percent(values: Iterable[float]) -> tuple[float, ...]:
    """Numbers in 0..1 as numbers in 0..100."""
    return tuple(100.0 * float(value) for value in values)
