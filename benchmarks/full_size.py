"""Invents a validation set of iNat2017's size and imbalance, and detections in it.

    python -m benchmarks.full_size --output_dir=DIR

Only the counts are real: 48,736 images with one box each, 2,854 species in the nine super-classes
with the published counts (visipedia/inat_comp, 2017/README.md). The detections, 100 per image, with
confusions inside and across super-classes, are invented. Writes val.json, detections.parquet and,
with --coco_json, detections.json. In place of detections by summed probabilities,
detections.super.parquet and detections.generic.parquet have as many boxes, coarse labels, and
scores that rank the boxes differently. `--per_image` says how many detections an image has: with
205 a file has 10 million, with 616 it has 30 million.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from inatdet.data.categories import Category
from inatdet.data.formats.coco_results import write_coco_detections
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy

# super-class: (species, boxes of the published validation file)
PUBLISHED = {
    "Insecta": (1021, 16_732),
    "Aves": (964, 17_314),
    "Reptilia": (289, 5_480),
    "Mammalia": (186, 2_654),
    "Amphibia": (115, 2_280),
    "Mollusca": (93, 1_571),
    "Animalia": (77, 1_143),
    "Arachnida": (56, 1_051),
    "Actinopterygii": (53, 511),
}
PER_IMAGE = 100
_IMAGE_SIZE = (800, 600)


def species_of_images(rng: np.random.Generator) -> np.ndarray:
    """A category id from 0 for each image: a long tail in each super-class, no species missing."""
    ids, first = [], 0
    for count, images in PUBLISHED.values():
        weight = 1.0 / (1 + np.arange(count)) ** 0.6
        extra = rng.choice(count, images - count, p=weight / weight.sum())
        ids.append(first + np.concatenate([np.arange(count), extra]))
        first += count
    return rng.permutation(np.concatenate(ids))


def categories() -> list[Category]:
    """The 2,854 categories, super-class by super-class."""
    names = [name for name, (count, _) in PUBLISHED.items() for _ in range(count)]
    return [Category(i, f"{name} {i}", name) for i, name in enumerate(names)]


def write_annotations(path: str, species: np.ndarray, boxes: np.ndarray) -> None:
    """Writes one box per image as COCO-style JSON; image ids start at 1."""
    width, height = _IMAGE_SIZE
    content = {
        "images": [
            {"id": i + 1, "file_name": f"{i + 1}.jpg", "width": width, "height": height}
            for i in range(len(species))
        ],
        "categories": [
            {"id": c.id, "name": c.name, "supercategory": c.supercategory} for c in categories()
        ],
        "annotations": [
            {
                "id": i,
                "image_id": i + 1,
                "category_id": c,
                "bbox": box,
                "area": box[2] * box[3] / 2,
                "iscrowd": 0,
            }
            for i, (c, box) in enumerate(zip(species.tolist(), boxes.tolist()))
        ],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)


def detections_of_image(
    rng: np.random.Generator,
    species: np.ndarray,
    boxes: np.ndarray,
    members: np.ndarray,
    per_image: int = PER_IMAGE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and scores, `[images, n]`, and boxes, `[images, n, 4]`, of a block of images."""
    shape = (len(species), per_image)
    rank = np.arange(per_image)
    kind = rng.uniform(size=shape)
    low, high = members[species].T[:, :, None]
    relative = rng.integers(low, high, shape)  # of the same super-class
    labels = np.where(kind < 0.5, relative, rng.integers(0, members[-1, 1], shape))
    right = rng.uniform(size=shape) < np.maximum(0.7 - 0.2 * rank, 0.01)
    labels = np.where(right, species[:, None], labels) + 1
    spread = 8.0 + 2.0 * rank
    shifted = boxes[:, None] + rng.normal(size=(*shape, 4)) * spread[:, None]
    shifted[..., :2] = np.clip(shifted[..., :2], 0, 500)
    shifted[..., 2:] = np.clip(shifted[..., 2:], 4, 300)
    scores = np.sort(rng.beta(0.4, 6.0, shape), axis=1)[:, ::-1]
    return labels, scores, shifted


def detection_paths(folder: str) -> dict[Granularity, str]:
    """The Parquet files: the species model's own detections and the coarse ones beside them."""
    infixes = {
        Granularity.SPECIES: "",
        Granularity.SUPER: ".super",
        Granularity.GENERIC: ".generic",
    }
    return {g: os.path.join(folder, f"detections{name}.parquet") for g, name in infixes.items()}


def write(output_dir: str, coco_json: bool, seed: int = 0, per_image: int = PER_IMAGE) -> None:
    """Writes the files."""
    rng = np.random.default_rng(seed)
    os.makedirs(output_dir, exist_ok=True)
    species = species_of_images(rng)
    corners = rng.uniform(0, 300, (len(species), 2))
    boxes = np.round(np.concatenate([corners, rng.uniform(40, 300, (len(species), 2))], 1), 1)
    write_annotations(os.path.join(output_dir, "val.json"), species, boxes)
    taxonomy = Taxonomy.from_categories(categories(), range(species.max() + 1))
    ends = np.cumsum([count for count, _ in PUBLISHED.values()])
    spans = np.column_stack([np.concatenate([[0], ends[:-1]]), ends])
    members = np.repeat(spans, [count for count, _ in PUBLISHED.values()], axis=0)
    with contextlib.ExitStack() as stack:
        writers = {
            level: stack.enter_context(DetectionsWriter(path, level, taxonomy, model="invented"))
            for level, path in detection_paths(output_dir).items()
        }
        for start in range(0, len(species), 1024):
            block = slice(start, min(start + 1024, len(species)))
            labels, scores, found = detections_of_image(
                rng, species[block], boxes[block], members, per_image
            )
            ids = np.repeat(np.arange(block.start, block.stop) + 1, per_image)
            for level, writer in writers.items():
                coarse = taxonomy.coarsen(labels, Granularity.SPECIES, level)
                # Scores are higher: a super-class has the sum of its species' probabilities.
                ranked = scores ** (
                    1.0 if level is Granularity.SPECIES else 0.5 + 0.3 * (coarse % 2)
                )
                writer.append(ids, coarse.ravel(), ranked.ravel(), found.reshape(-1, 4))
    if coco_json:
        fine = detection_paths(output_dir)[Granularity.SPECIES]
        detections = read_detections(fine, Granularity.SPECIES, taxonomy)
        write_coco_detections(os.path.join(output_dir, "detections.json"), detections, taxonomy)


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    write(values.output_dir, values.coco_json, per_image=values.per_image)


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", None, "The folder to write to.", required=True)
    flags.DEFINE_integer("per_image", PER_IMAGE, "Detections per image.", lower_bound=1)
    flags.DEFINE_bool("coco_json", False, "Write COCO results JSON as well.")
    app.run(main)
