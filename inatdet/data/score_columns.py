"""What the columns of a table of scores stand for: one label each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.label_matching import MatchedLabels, check_categories, match_categories
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError


@dataclass(frozen=True, eq=False)
class ScoreColumns:
    """The labels of columns.

    Attributes:
        own: the level of the columns.
        labels: int32 `[columns]` by level from `own` on, from fine to coarse; `NO_LABEL` where the
            taxonomy has none for a column.
        matched: how a column's number from 1 becomes its label at `own`.
    """

    own: Granularity
    labels: Mapping[Granularity, np.ndarray]
    matched: MatchedLabels

    @classmethod
    def of_labels(cls, path: str, count: int, own: Granularity, taxonomy: Taxonomy) -> ScoreColumns:
        """Columns that are the labels 1, 2, ... of a taxonomy at a level.

        Args:
            path: the file, for messages.
            count: how many columns there are.
            own: the level.
            taxonomy: the label spaces.

        Raises:
            InputError: there are more or fewer columns than labels.
        """
        expected = taxonomy.num_labels(own)
        if count != expected:
            advice = " or say which with category_ids" if own is Granularity.SPECIES else ""
            raise InputError(
                f"{path}: has scores for {count:,} classes, but there are {expected:,} {own} "
                f"labels; write one column for each label, in order{advice}"
            )
        every = np.arange(1, count + 1, dtype=np.int32)
        labels = {
            level: taxonomy.coarsen(every, own, level) for level in taxonomy.coarser_or_equal(own)
        }
        table = np.arange(count + 1, dtype=np.int32)
        return cls(own, labels, MatchedLabels(path, own, table, ()))

    @classmethod
    def of_categories(
        cls, path: str, ids: np.ndarray, count: int, taxonomy: Taxonomy
    ) -> ScoreColumns:
        """Columns that are categories of the dataset.

        Args:
            path: the file, for messages.
            ids: int64 `[columns]`, their ids.
            count: how many columns there are.
            taxonomy: the label spaces.

        Raises:
            InputError: there are more or fewer ids than columns, an id comes twice or is not among
                the categories, or none has a label.
        """
        if len(ids) != count:
            raise InputError(
                f"{path}: has scores for {count:,} classes, but {len(ids):,} category ids; write "
                "one for each"
            )
        known, counts = np.unique(ids, return_counts=True)
        if len(known) < len(ids):
            twice = known[counts > 1]
            raise InputError(
                f"{path}: has {len(twice):,} categories twice, such as {twice[0]}; write one "
                "column for each"
            )
        check_categories(path, known, taxonomy, lambda _: "")
        labels = {}
        for level in taxonomy.levels:
            of_category = taxonomy.label_of_category(level)
            labels[level] = np.array(
                [of_category.get(number, NO_LABEL) for number in ids.tolist()], np.int32
            )
        return cls(Granularity.SPECIES, labels, match_categories(path, ids, taxonomy))
