"""What classifiers say about images: the table that classification is evaluated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inatdet.data.annotations import positions
from inatdet.data.granularity import Granularity
from inatdet.data.guesses import rank_categories
from inatdet.data.labels import NO_LABEL
from inatdet.data.prediction_arrays import check_shapes, matrix, scores_of, whole_numbers
from inatdet.data.prediction_checks import (
    SUM_ROUNDING,
    check_image_ids,
    check_lengths,
    check_ranked,
)
from inatdet.data.ranking import KEPT, Ranked, Ranker, Scores, sums_of_best
from inatdet.data.score_columns import ScoreColumns
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

__all__ = ["Predictions", "Ranked"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one model. Row i of every column is the i-th image; each image comes once.

    Attributes:
        path: the file they were read from, or what they are called.
        trained_on: the level of the model's labels.
        image_ids: int64 `[images]`.
        ranked: the best labels by level: at `trained_on`, and at coarser levels for which the model
            summed the probabilities of all its labels. Labels are those of `taxonomy`.
        taxonomy: the label spaces.
        model: what the file says about its model.
        settings: what the file says about how the predictions were made.
        sha256: the hash of the file, in hexadecimal; empty where it was not computed.
        notes: sentences about how the file was read, where there was more than one way.
    """

    path: str
    trained_on: Granularity
    image_ids: np.ndarray
    ranked: Mapping[Granularity, Ranked]
    taxonomy: Taxonomy
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        image_ids: npt.ArrayLike,
        labels: npt.ArrayLike,
        probabilities: npt.ArrayLike | None = None,
        granularity: Granularity | str = Granularity.SPECIES,
        *,
        taxonomy: Taxonomy,
        are_category_ids: bool = False,
        name: str = "arrays",
        model: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> Predictions:
        """Makes predictions of the best labels and checks them as if they came from a file.

        Args:
            image_ids: int `[images]`, each once.
            labels: int `[images, k]`, the best first, or `[images]` if only one is known: labels
                1, 2, ... of `taxonomy` at `granularity`, and 0 behind an image's last guess.
            probabilities: float `[images, k]`, of these labels; None if only the order is known.
            granularity: the level of the labels.
            taxonomy: the label spaces that the evaluation is to have.
            are_category_ids: `labels` holds the dataset's category ids instead, without gaps; only
                for species.
            name: what messages and reports call these predictions.
            model: which model made them.
            settings: how it made them.

        Raises:
            InputError: the shapes do not fit, an image comes twice, a label is unknown or comes
                twice for an image, or probabilities are none: not in 0..1, not in descending order
                or summing to more than one.

        Example:
            >>> found = inatdet.Predictions.from_arrays(
            ...     image_ids=[1, 2],
            ...     labels=[[2, 1], [3, 2]],
            ...     probabilities=[[0.9, 0.05], [0.5, 0.25]],
            ...     taxonomy=truth.taxonomy,
            ... )
            >>> found
            Predictions('arrays': 2 images, the best 2 of 3 species labels)
        """
        granularity = Granularity(granularity)
        taxonomy.check(granularity)
        ids = whole_numbers(name, image_ids, "image ids").reshape(-1)
        given = matrix(whole_numbers(name, labels, "labels"))
        values = None if probabilities is None else matrix(scores_of(name, probabilities))
        check_shapes(name, ids, given, values)
        check_image_ids(name, ids)
        notes: tuple[str, ...] = ()
        if not are_category_ids:
            check_lengths(name, ids, np.count_nonzero(given, axis=1))
            count = taxonomy.num_labels(granularity)
            check_ranked(name, ids, given, values, count=count, level=granularity)
            own = Ranked(given.astype(np.int32), values)
        elif granularity is Granularity.SPECIES:
            lengths = np.full(len(given), given.shape[1])
            own, notes = rank_categories(name, ids, given, lengths, values, taxonomy)
        else:
            raise InputError(f"{name}: only species have category ids; give {granularity} labels")
        return cls(
            path=name,
            trained_on=granularity,
            image_ids=ids,
            ranked={granularity: own},
            taxonomy=taxonomy,
            model=model,
            settings=dict(settings or {}),
            notes=notes,
        )

    @classmethod
    def from_scores(
        cls,
        image_ids: npt.ArrayLike,
        scores: npt.ArrayLike,
        granularity: Granularity | str = Granularity.SPECIES,
        *,
        taxonomy: Taxonomy,
        are_logits: bool,
        category_ids: npt.ArrayLike | None = None,
        keep: int = KEPT,
        name: str = "arrays",
        model: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> Predictions:
        """Makes predictions of a score for every label.

        Probabilities are summed at all coarser levels before the best labels are kept, unless they
        do not sum to one. Of equal scores, the one in the earlier column is the better one.

        Args:
            image_ids: int `[images]`, each once.
            scores: float `[images, labels]`.
            granularity: the level of the labels.
            taxonomy: the label spaces that the evaluation is to have.
            are_logits: whether softmax makes probabilities of the scores, or they are these.
            category_ids: int `[labels]`, the dataset's ids of the columns; by default they are the
                labels 1, 2, ... of `taxonomy` at `granularity`. Only for species.
            keep: how many of the best labels are kept at each level.
            name: what messages and reports call these predictions.
            model: which model made them.
            settings: how it made them.

        Raises:
            InputError: the shapes do not fit, an image comes twice, a category is unknown, or a
                score is not finite or no probability.

        Example:
            >>> logits = [[0.0, 2.0, 1.0], [3.0, 1.0, 2.0]]
            >>> found = inatdet.Predictions.from_scores(
            ...     [1, 2], logits, taxonomy=truth.taxonomy, are_logits=True
            ... )
            >>> found.own.labels
            array([[2, 3, 1],
                   [1, 3, 2]], dtype=int32)
            >>> found.ranked["super"].probabilities.round(2)
            array([[0.91, 0.09],
                   [0.67, 0.33]], dtype=float32)
        """
        granularity = Granularity(granularity)
        taxonomy.check(granularity)
        ids = whole_numbers(name, image_ids, "image ids").reshape(-1)
        given = scores_of(name, scores)
        check_shapes(name, ids, given, None)
        check_image_ids(name, ids)
        if category_ids is None:
            columns = ScoreColumns.of_labels(name, given.shape[1], granularity, taxonomy)
        elif granularity is Granularity.SPECIES:
            categories = whole_numbers(name, category_ids, "category ids").reshape(-1)
            columns = ScoreColumns.of_categories(name, categories, given.shape[1], taxonomy)
        else:
            raise InputError(f"{name}: only species have category ids; give {granularity} labels")
        kind = Scores.LOGITS if are_logits else Scores.PROBABILITIES
        ranker = Ranker(name, kind, columns, keep)
        ranker.add(ids, given)
        ranked, notes = ranker.finish()
        return cls(
            path=name,
            trained_on=granularity,
            image_ids=ids,
            ranked=ranked,
            taxonomy=taxonomy,
            model=model,
            settings=dict(settings or {}),
            notes=notes,
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        count = self.taxonomy.num_labels(self.trained_on)
        return (
            f"Predictions({self.path!r}: {len(self):,} images, the best {self.own.k} of "
            f"{count:,} {self.trained_on} labels)"
        )

    @property
    def own(self) -> Ranked:
        """The labels that the model was trained on."""
        return self.ranked[self.trained_on]

    def missing(self, image_ids: np.ndarray) -> np.ndarray:
        """The ids among these, int64 `[images]`, of images without a prediction."""
        missing: np.ndarray = image_ids[positions(self.image_ids, image_ids) < 0]
        return missing

    def select(self, rows: np.ndarray | slice) -> Predictions:
        """Only these images: a boolean mask or indices, `[images]`, or a slice."""
        ranked = {
            level: Ranked(
                found.labels[rows],
                None if found.probabilities is None else found.probabilities[rows],
            )
            for level, found in self.ranked.items()
        }
        return replace(self, image_ids=self.image_ids[rows], ranked=ranked)

    def sums(self, level: Granularity | str) -> Ranked:
        """The probabilities of the labels at a coarser level, summed over those that lie in them.

        Args:
            level: the level.

        Returns:
            Those that the file has, or else sums over the labels that it has, the best first.

        Raises:
            InputError: probabilities are not known, or those of some images are not of all labels:
                they sum to less than one.
        """
        level = Granularity(level)
        if level in self.ranked:
            return self.ranked[level]
        self.taxonomy.check(level)
        if level not in self.taxonomy.coarser_or_equal(self.trained_on):
            raise InputError(f"{self.path}: {level} is not coarser than {self.trained_on}")
        labels, probabilities = self.own.labels, self.own.probabilities
        if probabilities is None:
            raise InputError(f"{self.path}: has no probabilities that could be summed")
        lacking = probabilities.sum(axis=1, dtype=np.float64) < 1 - SUM_ROUNDING
        if lacking.any():
            raise InputError(
                f"{self.path}: the probabilities of {lacking.sum():,} images, such as image "
                f"{self.image_ids[np.argmax(lacking)]}, are not those of all labels, so that sums "
                f"at the level {level} would be too low; write more labels of each image"
            )
        every = np.arange(1, self.taxonomy.num_labels(self.trained_on) + 1, dtype=np.int32)
        table = np.concatenate([[NO_LABEL], self.taxonomy.coarsen(every, self.trained_on, level)])
        return sums_of_best(labels, probabilities, table.astype(np.int32))
