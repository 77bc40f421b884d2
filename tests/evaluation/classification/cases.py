"""Random predictions, the truth they are compared with, and numbers worked out image by image."""

import math

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.labels import NO_LABEL
from inatdet.data.predictions import Predictions
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.classification import results

SPECIES = Granularity.SPECIES


def categories(count):
    """Categories with ids from 0 and gaps between them, in genera, families and super-classes."""
    found = []
    for i in range(count):
        family, genus = i % 4, i % 8
        ranks = {"genus": f"G{genus}", "family": f"F{family}"}
        category = Category(3 * i, f"species {i}", "AB"[family % 2])
        found.append(category.with_ranks(ranks))
    return found


def truth_of(category_ids, listed, image_ids=None, path="val.json"):
    ids = range(1, len(category_ids) + 1) if image_ids is None else image_ids
    images = tuple(Image(int(i), f"{i}.jpg", 0, 0) for i in ids)
    return ImageLabels(path, images, tuple(listed), np.array(category_ids, np.int64))


class Scene:
    """A truth with species without images, and scores for all species.

    Args:
        unlabelled: the share of images of a category that has no species label.

    Attributes:
        taxonomy: the label spaces; the last category has no species label.
        truth: the labels.
        scores: float64 `[images, species]`, probabilities, of the images in the truth's order.
    """

    def __init__(self, seed, images=60, species=30, ties=False, unlabelled=0.0):
        self.rng = np.random.default_rng(seed)
        listed = categories(species + 1)
        self.taxonomy = Taxonomy.from_categories(listed, [c.id for c in listed[:-1]])
        ids = self.rng.permutation(5 * images)[:images]
        if images > 1:
            ids[0] = 0
            ids = np.unique(ids)
            ids = self.rng.permutation(
                np.concatenate([ids, 5 * images + np.arange(images - len(ids))])
            )
        with_images = self.rng.permutation(species)[: max(1, 2 * species // 3)]
        labels = self.rng.choice(with_images, images)
        shown = np.where(self.rng.random(images) < unlabelled, species, labels)
        self.truth = truth_of([listed[i].id for i in shown], listed, ids)
        logits = self.rng.normal(size=(images, species))
        logits[np.arange(images), labels] += 2.0
        if ties:
            logits = np.round(logits)
        scores = np.exp(logits)
        self.scores = scores / scores.sum(axis=1, keepdims=True)

    def order(self, scores):
        return np.argsort(-scores, axis=1, kind="stable")

    def predictions(self, k=None, scores=None, summed=True, probabilities=True, path="a.parquet"):
        """The best k labels of each image, and sums at every coarser level, images shuffled."""
        scores = self.scores if scores is None else scores
        rows = self.rng.permutation(len(scores))
        ranked = {}
        for level in self.taxonomy.levels if summed else (SPECIES,):
            labels = np.arange(1, scores.shape[1] + 1)
            coarse = self.taxonomy.coarsen(labels, SPECIES, level) - 1
            sums = np.zeros((len(scores), coarse.max() + 1))
            np.add.at(sums.T, coarse, scores.T)
            best = self.order(sums)[rows][:, :k]
            values = np.take_along_axis(sums[rows], best, axis=1).astype(np.float32)
            ranked[level] = Ranked((best + 1).astype(np.int32), values if probabilities else None)
        ids = self.truth.image_ids[rows]
        return Predictions(path, SPECIES, ids, ranked, self.taxonomy)

    def labels(self, level=SPECIES):
        """The true label of each image, in the truth's order; `NO_LABEL` for none."""
        label_of = self.taxonomy.label_of_category(level)
        return [label_of.get(i, NO_LABEL) for i in self.truth.category_ids.tolist()]


def damaged(predictions, rng):
    """Without some images, with others, with guesses of unknown labels and with fewer labels."""
    ranked = {}
    kept = rng.random(len(predictions)) < 0.8
    kept[0] = True
    ids = predictions.image_ids[kept]
    ids = np.concatenate([ids, 10**6 + np.arange(3)])
    for level, found in predictions.ranked.items():
        labels = found.labels[kept].copy()
        labels[rng.random(labels.shape) < 0.1] = NO_LABEL
        for row in labels[rng.random(len(labels)) < 0.2]:
            row[rng.integers(len(row)) :] = NO_LABEL
        labels = np.concatenate([labels, labels[rng.integers(len(labels), size=3)]])
        values = found.probabilities
        if values is not None:
            values = np.concatenate([values[kept], np.repeat(values[:1], 3, axis=0)])
        ranked[level] = Ranked(labels, values)
    return Predictions(predictions.path, SPECIES, ids, ranked, predictions.taxonomy)


def guessed(predictions, image_id, level=SPECIES):
    """The labels of an image, the best first; empty where it has no prediction."""
    rows = np.flatnonzero(predictions.image_ids == image_id)
    return predictions.ranked[level].labels[rows[0]].tolist() if len(rows) else []


def by_image(scene, predictions, level=SPECIES):
    """Pairs of the true label and the guesses, of images with a true label at the level."""
    pairs = zip(scene.truth.image_ids.tolist(), scene.labels(level))
    return [(true, guessed(predictions, i, level)) for i, true in pairs if true != NO_LABEL]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def evaluated(scene, predictions, **settings):
    """The results of one model on one split."""
    return results.evaluate(
        {"val": scene.truth}, {"model": predictions}, taxonomy=scene.taxonomy, **settings
    )
