"""The small dataset with image labels: some images have only boxes, others only a label."""

from __future__ import annotations

import dataclasses
import glob
import io
import json
import os
from collections.abc import Callable

import PIL.Image
import tensorflow as tf

from inatdet.tfrecords.examples import decode, decode_image_category, is_boxed
from inatdet.tfrecords.writing import Conversion
from tests.tfrecords.conversions import BOXLESS, CATEGORIES, edit

ONLY_BOXES = (118, 119)
ONLY_LABELS = {200: 2, 201: 9, 202: 0, 203: 9}
"""By image, with the category of each. The sizes of the last two are not said."""
MORE_CATEGORIES = [
    {"id": 9, "name": "Amanita muscaria", "supercategory": "Fungi"},
    {"id": 12, "name": "Boletus edulis", "supercategory": "Fungi"},  # no image has it
]
ONLY_BOXED = {"id": 7, "name": "Pica nuttalli", "supercategory": "Aves"}
SIZES = {200: (40, 30), 201: (30, 40), 202: (25, 25), 203: (50, 20)}


def labelled(dataset: Conversion) -> Conversion:
    """Adds image labels to the dataset of `dataset_in`.

    Images 100 to 117 have the category of their boxes, and so have those without boxes, 104 and
    111. Image 103 also has a box of category 7, which has no image. Image 105's box is around a
    crowd.
    """

    def change(content: dict) -> None:
        content["categories"].append(ONLY_BOXED)
        of_103 = [box for box in content["annotations"] if box["image_id"] == 103]
        of_103[-1]["category_id"] = 7
        of_105 = [box for box in content["annotations"] if box["image_id"] == 105]
        of_105[0]["iscrowd"] = 1

    edit(dataset, change)
    folder = dataset.images_dir
    images, shown = [], {100 + i: 4 * (i % 2) for i in range(18)} | ONLY_LABELS
    for image_id in shown:
        image = {"id": image_id, "file_name": f"pictures/{image_id - 100}.jpg"}
        if image_id in SIZES:
            file = io.BytesIO()
            PIL.Image.new("RGB", SIZES[image_id]).save(file, "jpeg")
            with open(os.path.join(folder, image["file_name"]), "wb") as picture:
                picture.write(file.getvalue())
            if image_id < 202:
                image |= dict(zip(("width", "height"), SIZES[image_id]))
        images.append(image)
    content = {
        "images": images,
        "categories": [*CATEGORIES, *MORE_CATEGORIES],
        "annotations": [
            {"id": n, "image_id": image_id, "category_id": category_id}
            for n, (image_id, category_id) in enumerate(shown.items())
        ],
    }
    path = os.path.join(folder, "labels.json")
    write(path, content)
    return dataclasses.replace(dataset, image_labels=path)


def write(path: str, content: dict) -> None:
    with open(path, "w") as file:
        json.dump(content, file)


def edit_labels(dataset: Conversion, change: Callable[[dict], object]) -> None:
    """Changes the file of image labels in place."""
    with open(dataset.image_labels) as file:
        content = json.load(file)
    change(content)
    write(dataset.image_labels, content)


def serialized(dataset: Conversion, split: str = "train") -> list[bytes]:
    """The records that were written."""
    files = sorted(glob.glob(os.path.join(dataset.output_dir, f"{split}-*.tfrecord")))
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def found_in(dataset: Conversion, split: str = "train") -> dict[int, dict]:
    """What our own reader finds in the records, by image; `shown` and `boxed` besides."""
    data = tf.data.Dataset.from_tensor_slices(serialized(dataset, split)).map(
        lambda one: decode(one) | {"shown": decode_image_category(one), "boxed": is_boxed(one)}
    )
    return {int(example["image_id"]): example for example in data.as_numpy_iterator()}


def boxed_ids() -> set[int]:
    """The images with a box."""
    return {100 + i for i in range(20) if i not in BOXLESS}
