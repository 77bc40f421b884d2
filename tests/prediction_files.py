"""A small dataset of images with one label each, and predictions of invented classifiers."""

import json

import numpy as np

import inatdet
from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.image_labels import ImageLabels

SUPER_CLASSES = ("Aves", "Insecta", "Plantae")
# Ids with gaps, from 0 on; two species share a genus.
CATEGORIES = tuple(
    Category(
        3 * n,
        f"Species {n}",
        SUPER_CLASSES[n % 3],
        (("genus", f"{SUPER_CLASSES[n % 3]} {n // 6}"),),
    )
    for n in range(12)
)


def labels_of(numbers, first_id=0, path="val.json"):
    """Labels of images: the positions of their categories in `CATEGORIES`."""
    return ImageLabels(
        path,
        tuple(Image(first_id + i, f"{first_id + i}.jpg", 60, 40) for i in range(len(numbers))),
        CATEGORIES,
        np.array([CATEGORIES[n].id for n in numbers], np.int64),
    )


def scores_of(rng, truth, skill):
    """Logits `[images, species]`; the more skill, the more often the true one is the highest."""
    positions = {category.id: n for n, category in enumerate(CATEGORIES)}
    true = [positions[i] for i in truth.category_ids.tolist()]
    scores = rng.normal(size=(len(true), len(CATEGORIES)))
    scores[np.arange(len(true)), true] += skill
    return scores


def predictions_of(rng, truth, skill=2.0, *, name="a.parquet"):
    """Predictions with the probabilities of all species."""
    return inatdet.Predictions.from_scores(
        truth.image_ids,
        scores_of(rng, truth, skill),
        taxonomy=truth.full_taxonomy,
        are_logits=True,
        name=name,
        model="net",
    )


def ranks_of(rng, truth, k, skill=2.0):
    """Predictions of the best k species, in order but without probabilities."""
    order = np.argsort(-scores_of(rng, truth, skill), axis=1)[:, :k]
    return inatdet.Predictions.from_arrays(
        truth.image_ids, order + 1, taxonomy=truth.full_taxonomy, name=f"best{k}.csv"
    )


def write_labels(path, truth, *, boxes=True):
    """Writes labels as JSON; with boxes they are annotations as well."""
    box = {"bbox": [5, 5, 20, 20], "area": 200, "iscrowd": 0} if boxes else {}
    content = {
        "images": [
            {"id": i.id, "file_name": i.file_name, "width": i.width, "height": i.height}
            for i in truth.images
        ],
        "categories": [
            {"id": c.id, "name": c.name, "supercategory": c.supercategory, **dict(c.ranks)}
            for c in truth.categories
        ],
        "annotations": [
            {"id": n, "image_id": image.id, "category_id": category, **box}
            for n, (image, category) in enumerate(zip(truth.images, truth.category_ids.tolist()))
        ],
    }
    path.write_text(json.dumps(content))
    return str(path)
