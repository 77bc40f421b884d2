"""A tiny dataset of two splits in files: boxes, labels of more images, and observers."""

import json

import inatdet

CATEGORIES = [
    {"id": 0, "name": "Apis mellifera", "supercategory": "Insecta"},
    {"id": 3, "name": "Pica pica", "supercategory": "Aves"},
    {"id": 7, "name": "Pica nuttalli", "supercategory": "Aves"},
    {"id": 9, "name": "Quercus robur", "supercategory": "Plantae"},
    {"id": 12, "name": "Never seen", "supercategory": "Fungi"},
]
# Per split: the label of each image, and the image of each box.
LABELS = {"train": [0, 3, 3, 7, 9, 3], "val": [3, 0, 9]}
BOXES = {"train": [0, 1, 1, 3, 5], "val": [0, 1]}
OBSERVERS = {"train": ["ada", "ada", "kim", "kim", "kim", None], "val": ["ada", "li", None]}


def write_dataset(folder):
    """Writes train_2017_bboxes.json, train2017.json, train2017_locations.json, and those of val."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, labels in LABELS.items():
        images = [
            {"id": i, "file_name": f"{split}/{i}.jpg", "width": 400, "height": 300}
            for i in range(len(labels))
        ]
        boxes = [
            {"id": n, "image_id": i, "category_id": labels[i], "bbox": [0, 0, 40 * n + 30, 60]}
            for n, i in enumerate(BOXES[split])
        ]
        shown = [{"id": i, "image_id": i, "category_id": c} for i, c in enumerate(labels)]
        for name, annotations in ((f"{split}_2017_bboxes", boxes), (f"{split}2017", shown)):
            content = {"images": images, "categories": CATEGORIES, "annotations": annotations}
            (folder / f"{name}.json").write_text(json.dumps(content))
        places = [{"id": i, "user_id": who} for i, who in enumerate(OBSERVERS[split])]
        (folder / f"{split}2017_locations.json").write_text(json.dumps(places))
    return folder


def report_of(folder, **options):
    """The statistics of all of these files."""
    splits = {
        split: inatdet.read_annotations(folder / f"{split}_2017_bboxes.json", genus_from_names=True)
        for split in LABELS
    }
    labels = {
        f"{split}_labels": inatdet.read_image_labels(folder / f"{split}2017.json")
        for split in LABELS
    }
    observers = {
        f"{split}_observers": inatdet.read_observers(folder / f"{split}2017_locations.json")
        for split in LABELS
    }
    return inatdet.statistics(**splits, **labels, **observers, **options)
