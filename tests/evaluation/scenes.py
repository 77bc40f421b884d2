"""Random ground truth and detections, small enough to look at."""

import numpy as np

from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.labels import labels_of_categories

CATEGORIES = (
    Category(40, "a", "Aves"),
    Category(0, "b", "Insecta"),
    Category(7, "c", "Aves"),
    Category(3, "d", "Insecta"),
    Category(12, "e", "Insecta"),
    Category(99, "f", "Mammalia"),  # listed, boxless unless a test gives it one
    Category(98, "g", "Plantae"),
)
BOXABLE = np.array([40, 0, 7, 3, 12])

SCENES = {  # arguments of `random_annotations`
    "usual": {},
    "crowds": {"crowds": 0.4},
    "one image": {"images": 1, "boxes": 4},
    "many boxes an image": {"images": 2, "boxes": 30},
    "few boxes": {"images": 20, "boxes": 3},
    "one box": {"images": 3, "boxes": 1},
}


def annotations_of(image_ids, boxes, categories=CATEGORIES, path="truth.json"):
    """Annotations of rows `(image, category, box)` or `(image, category, box, is_crowd)`."""
    rows = [(*row, False)[:4] for row in boxes]
    xywh = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    return Annotations(
        path=path,
        images=tuple(Image(i, f"{i}.jpg", 100, 100) for i in image_ids),
        categories=tuple(categories),
        box_ids=np.arange(len(rows)) + 1,
        image_ids=np.array([row[0] for row in rows], np.int64),
        category_ids=np.array([row[1] for row in rows], np.int64),
        boxes=xywh,
        areas=xywh[:, 2] * xywh[:, 3] / 2,
        is_crowd=np.array([row[3] for row in rows], bool),
    )


def random_annotations(rng, images=12, boxes=20, crowds=0.0):
    """Boxes of the boxable categories, several in some images and none in others."""
    image_ids = rng.permutation(images) * 3
    rows = []
    for _ in range(boxes):
        x, y = rng.uniform(0, 60, 2)
        w, h = rng.uniform(5, 40, 2)
        row = (rng.choice(image_ids), rng.choice(BOXABLE), [x, y, w, h], rng.uniform() < crowds)
        rows.append(row)
    return annotations_of(image_ids.tolist(), rows)


def random_detections(rng, annotations, taxonomy, count=120, ties=True):
    """Shifted copies of true boxes, some with another species, and noise."""
    ids = [image.id for image in annotations.images]
    known = np.array([c.id for c in annotations.categories])
    image_ids, category_ids, boxes = [], [], []
    for _ in range(count):
        if len(annotations.boxes) and rng.uniform() < 0.8:
            row = rng.integers(len(annotations.boxes))
            image_ids.append(int(annotations.image_ids[row]))
            same = rng.uniform() < 0.6
            category_ids.append(int(annotations.category_ids[row] if same else rng.choice(known)))
            box = annotations.boxes[row] + rng.normal(0, 3, 4)
        else:
            image_ids.append(int(rng.choice(ids)))
            category_ids.append(int(rng.choice(known)))
            box = rng.uniform(0, 50, 4)
        boxes.append([box[0], box[1], max(box[2], 0), max(box[3], 0)])
    scores = rng.uniform(size=count)
    return detections_of(
        image_ids, category_ids, np.round(scores, 1) if ties else scores, boxes, taxonomy
    )


def detections_of(image_ids, category_ids, scores, boxes, taxonomy):
    """Species detections by category id."""
    category_ids = np.array(category_ids, np.int64)
    return Detections(
        path="detections.json",
        trained_on=Granularity.SPECIES,
        image_ids=np.array(image_ids, np.int64),
        labels=labels_of_categories("detections.json", category_ids, taxonomy),
        scores=np.array(scores, np.float64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
    )
