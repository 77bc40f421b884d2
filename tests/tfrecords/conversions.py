"""A small dataset of tiny JPEGs, and what a conversion of it wrote."""

from __future__ import annotations

import glob
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow as tf

from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import TAXONOMY_FILE
from inatdet.tfrecords.examples import decode
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.writing import Conversion

IMAGES = 20
BOXLESS = (4, 11)
CATEGORIES = [
    {"id": 4, "name": "Pica pica", "supercategory": "Aves"},
    {"id": 0, "name": "Vespa crabro", "supercategory": "Insecta"},
    {"id": 2, "name": "Quercus robur", "supercategory": "Plantae"},
]


def dataset_in(tmp_path: Path) -> Conversion:
    """Makes 20 images, two without a box, number 3 with three boxes; returns how to write them."""
    folder = tmp_path / "data"
    (folder / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for i in range(IMAGES):
        width, height = 16 + i, 24
        file = io.BytesIO()
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(file, "jpeg")
        (folder / "pictures" / f"{i}.jpg").write_bytes(file.getvalue())
        name = f"pictures/{i}.jpg"
        images.append({"id": 100 + i, "file_name": name, "width": width, "height": height})
        for _ in range(0 if i in BOXLESS else 3 if i == 3 else 1):
            boxes.append(
                {
                    "id": len(boxes),
                    "image_id": 100 + i,
                    "category_id": 4 * (i % 2),
                    "bbox": [1, 2, 3 + len(boxes) % 5, 4],
                }
            )
    write_json(folder, {"images": images, "categories": CATEGORIES, "annotations": boxes})
    return Conversion(
        annotations=str(folder / "boxes.json"),
        images_dir=str(folder),
        output_dir=str(tmp_path / "records"),
        split="train",
        num_shards=4,
        threads=3,
    )


def write_json(folder: str | Path, content: dict) -> None:
    with open(os.path.join(folder, "boxes.json"), "w") as file:
        json.dump(content, file)


def edit(dataset: Conversion, change: Callable[[dict], object]) -> None:
    """Changes the annotation file in place."""
    with open(dataset.annotations) as file:
        content = json.load(file)
    change(content)
    write_json(dataset.images_dir, content)


def shards(dataset: Conversion) -> dict[str, bytes]:
    """The bytes of the shards that were written, by name."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(dataset.output_dir), "*.tfrecord")):
        with open(path, "rb") as file:
            found[os.path.basename(path)] = file.read()
    return found


def counts(dataset: Conversion) -> LabelCounts:
    """How often each species occurs in what was written."""
    pattern = os.path.join(dataset.output_dir, "train-*.tfrecord")
    taxonomy = Taxonomy.load(os.path.join(dataset.output_dir, TAXONOMY_FILE))
    return read_label_counts(pattern, taxonomy, Granularity.SPECIES, single_instance=False)


def examples(dataset: Conversion, split: str = "train") -> list[dict]:
    """The decoded examples that were written."""
    files = sorted(glob.glob(os.path.join(dataset.output_dir, f"{split}-*.tfrecord")))
    return list(tf.data.TFRecordDataset(files).map(decode).as_numpy_iterator())
