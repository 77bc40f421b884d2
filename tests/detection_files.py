"""A tiny dataset, files of detections in it, and reports of them."""

import csv
import json

import inatdet
from inatdet.programs import detection_flags

CATEGORIES = [
    {"id": 5, "name": "Corvus", "supercategory": "Aves"},
    {"id": 0, "name": "Apis", "supercategory": "Insecta"},
    {"id": 9, "name": "Pica", "supercategory": "Aves"},
    {"id": 2, "name": "Quercus", "supercategory": "Plantae"},
    {"id": 3, "name": "Sitta", "supercategory": "Aves"},
]
# Image 4 has two boxes, image 5 none.
BOXES = [(1, 5), (2, 0), (3, 9), (4, 5), (4, 0)]


def write_annotations(path, **changes):
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(1, 6)
        ],
        "categories": CATEGORIES,
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": [10, 10, 40, 40], "area": 800,
             "iscrowd": 0}
            for n, (i, c) in enumerate(BOXES)
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content | changes))
    return str(path)


def write_results(path, rows):
    results = [{"image_id": i, "category_id": c, "bbox": box, "score": s} for i, c, box, s in rows]
    path.write_text(json.dumps(results))
    return str(path)


RIGHT = [10, 10, 40, 40]
SPECIES = [
    (1, 5, RIGHT, 0.9),
    (1, 9, RIGHT, 0.8),  # the same bird once more, under another name
    (2, 0, RIGHT, 0.9),
    (3, 3, RIGHT, 0.9),  # a bird, of a species without a box
    (4, 5, RIGHT, 0.9),  # in an image that is left out
]


def report_of(truth, items, *, taxonomy=None, train=None, all_images=False, **options):
    """The report of files given as the evaluate program takes them.

    Args:
        truth: path of the annotations.
        items: values of --detections.
        taxonomy: path of a taxonomy.json.
        train: path of the training annotations.
        all_images: whether images with several boxes or none count.
        options: of `inatdet.evaluate`.
    """
    paths = detection_flags.detections_by_model(items)
    annotations = inatdet.read_annotations(truth, taxonomy=taxonomy)
    found = detection_flags.read_detections_of(paths, annotations)
    training = inatdet.read_annotations(train) if train else None
    return inatdet.evaluate(annotations, found, training=training, all_images=all_images, **options)


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
