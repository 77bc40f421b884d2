"""Invents predictions of classifiers for a validation set of iNat2017's size and imbalance.

    python -m benchmarks.full_size_predictions --output_dir=DIR

Only the counts are real: 95,986 images of 5,089 species in 13 super-classes, each with its
published number of species and images. Genera have three species. What each image shows, and the
models' guesses, with confusions inside and across super-classes, are invented. Writes val.json,
train.json (579,184 images) and for each of `--models` MODEL.parquet, with the 100 best species and
genera and all super-classes of each image. Of two models, the later one is right more often.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from inatdet.data.categories import Category
from inatdet.data.formats.predictions import PredictionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.ranking import Ranked, sums_of_best
from inatdet.data.taxonomy import Taxonomy
from inatdet.datasets.inat2017 import FINE_CLASSES, IMAGES, WITHOUT_BOXES

KEPT = 100
GENUS = Granularity("genus")
_SPECIES_OF_GENUS = 3
_SPECIES = {name: (FINE_CLASSES | WITHOUT_BOXES)[name] for name in IMAGES}
_TRAIN, _VAL = 0, 1
_IMAGES_AT_ONCE = 1 << 13


@functools.cache
def taxonomy() -> Taxonomy:
    """The label spaces: species in the order of the super-classes, so that each has one range."""
    categories = []
    for name, count in _SPECIES.items():
        for number in range(count):
            genus = f"{name} genus {number // _SPECIES_OF_GENUS}"
            ranks = (("genus", genus),)
            category_id = len(categories)
            categories.append(Category(category_id, f"{name} {number}", name, ranks))
    return Taxonomy.from_categories(categories, range(len(categories)))


def species_of_images(rng: np.random.Generator, split: int) -> np.ndarray:
    """A category id for each image: a long tail in each super-class, no species missing."""
    ids, first = [], 0
    for name, count in _SPECIES.items():
        weight = 1.0 / (1 + np.arange(count)) ** 0.6
        extra = rng.choice(count, IMAGES[name][split] - count, p=weight / weight.sum())
        ids.append(first + np.concatenate([np.arange(count), extra]))
        first += count
    return rng.permutation(np.concatenate(ids))


def write_labels(path: str, species: np.ndarray) -> None:
    """Writes image-level JSON; image ids start at 1."""
    categories = ",\n".join(
        f'{{"id": {c.id}, "name": "{c.name}", "supercategory": "{c.supercategory}", '
        f'"genus": "{c.rank("genus")}"}}'
        for c in taxonomy().species
    )
    images = ",\n".join(
        f'{{"id": {i}, "file_name": "{i}.jpg"}}' for i in range(1, len(species) + 1)
    )
    annotations = ",\n".join(
        f'{{"id": {i}, "image_id": {i}, "category_id": {c}}}'
        for i, c in enumerate(species.tolist(), 1)
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"images": [\n{images}\n], "categories": [\n{categories}\n], ')
        file.write(f'"annotations": [\n{annotations}\n]}}\n')


def guesses(rng: np.random.Generator, species: np.ndarray, share_right: float) -> Ranked:
    """The best labels of some images.

    Args:
        rng: makes them.
        species: int `[images]`, what they show.
        share_right: how many images have the right label first.

    Returns:
        Labels `[images, KEPT]`, all different for each image.
    """
    ends = np.cumsum(list(_SPECIES.values()))
    of_species = np.searchsorted(ends, species, side="right")
    first = np.concatenate([[0], ends[:-1]])[of_species][:, np.newaxis]
    size = np.array(list(_SPECIES.values()))[of_species][:, np.newaxis]
    place = np.arange(KEPT)
    # Half of the wrong guesses are relatives, if there are as many: some of a range without gaps,
    # from anywhere on, that leaves the true species out. The others are some of all the rest.
    relatives = np.minimum(size - 1, KEPT // 2)
    near = (species[:, np.newaxis] - first + 1 + place) % size + first
    others = ends[-1] - size
    far = (rng.integers(0, others) + place * rng.integers(1, others // KEPT, others.shape)) % others
    far += np.where(far >= first, size, 0)
    wrong = np.where(place < relatives, near, far)
    keys = rng.random(wrong.shape, np.float32)
    keys[:, 0] = 2.0  # makes room for the true species, which comes first, somewhere or nowhere
    draw = rng.random(len(species))
    keys[draw < share_right + 0.28, 0] = 0.1 * rng.random()
    keys[draw < share_right, 0] = -1.0
    wrong[:, 0] = species
    labels = np.take_along_axis(wrong, np.argsort(keys, axis=1), axis=1) + 1
    steepness = rng.uniform(1.0, 3.0, (len(species), 1))
    weight = (1.0 + place) ** -steepness
    mass = 1 - rng.uniform(0.0, 0.1, (len(species), 1))
    probabilities = weight / weight.sum(axis=1, keepdims=True) * mass
    return Ranked(labels.astype(np.int32), probabilities.astype(np.float32))


def write_predictions(
    path: str, rng: np.random.Generator, species: np.ndarray, share_right: float
) -> None:
    """Writes the predictions of one model for images 1, 2, ..."""
    spaces = taxonomy()
    every = np.arange(1, len(spaces.species) + 1, dtype=np.int32)
    tables = {
        level: np.concatenate([[0], spaces.coarsen(every, Granularity.SPECIES, level)])
        for level in (GENUS, Granularity.SUPER)
    }
    with PredictionsWriter(
        path, Granularity.SPECIES, spaces, levels=tables, model="invented"
    ) as writer:
        for start in range(0, len(species), _IMAGES_AT_ONCE):
            own = guesses(rng, species[start : start + _IMAGES_AT_ONCE], share_right)
            assert own.probabilities is not None
            summed = {
                level: sums_of_best(own.labels, own.probabilities, table)
                for level, table in tables.items()
            }
            image_ids = np.arange(start, start + len(own.labels)) + 1
            writer.append(image_ids, {Granularity.SPECIES: own, **summed})


def write(output_dir: str, models: Sequence[str], seed: int = 0) -> None:
    """Writes the files."""
    rng = np.random.default_rng(seed)
    os.makedirs(output_dir, exist_ok=True)
    write_labels(os.path.join(output_dir, "train.json"), species_of_images(rng, _TRAIN))
    species = species_of_images(rng, _VAL)
    write_labels(os.path.join(output_dir, "val.json"), species)
    for number, model in enumerate(models):
        share_right = 0.54 + 0.02 * number
        write_predictions(os.path.join(output_dir, f"{model}.parquet"), rng, species, share_right)


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    write(flags.FLAGS.output_dir, flags.FLAGS.models)


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", None, "The folder to write to.", required=True)
    flags.DEFINE_list("models", ["inception_v3"], "The models, whose predictions are invented.")
    app.run(main)
