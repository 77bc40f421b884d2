"""The labels of detections at every level, looked up when a level is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.similar_names import similar_name
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

NO_LABEL = 0
"""The label of a detection whose category has none at a granularity."""


class Labels(Mapping[Granularity, np.ndarray]):
    """Labels by level, int64 `[detections]`; `NO_LABEL` where there is none.

    One number per detection is kept, and a small table per level: at seven levels, millions of
    detections would take gigabytes otherwise.

    Args:
        rows: int `[detections]`, the row of each detection in the tables.
        tables: int `[rows]` by level.
    """

    def __init__(self, rows: np.ndarray, tables: Mapping[Granularity, np.ndarray]):
        self._rows = rows.astype(np.int32, copy=False)
        self._tables = tables

    def __getitem__(self, granularity: Granularity) -> np.ndarray:
        labels: np.ndarray = self._tables[granularity][self._rows]
        return labels

    def __iter__(self) -> Iterator[Granularity]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"Labels({len(self._rows):,} detections at {', '.join(self._tables)})"

    def at(self, levels: Iterable[Granularity]) -> Labels:
        """Only these levels."""
        return Labels(self._rows, {level: self._tables[level] for level in levels})

    def select(self, rows: np.ndarray) -> Labels:
        """Only these detections: a boolean mask or indices."""
        return Labels(self._rows[rows], self._tables)


def labels_of_labels(labels: np.ndarray, granularity: Granularity, taxonomy: Taxonomy) -> Labels:
    """From labels of a taxonomy.

    Args:
        labels: int `[detections]`, each in 1..`taxonomy.num_labels(granularity)`.
        granularity: that of the labels.
        taxonomy: the label spaces.
    """
    every = np.arange(1, taxonomy.num_labels(granularity) + 1)
    return Labels(
        labels - 1,
        {
            g: taxonomy.coarsen(every, granularity, g)
            for g in taxonomy.coarser_or_equal(granularity)
        },
    )


def labels_of_categories(
    path: str,
    category_ids: np.ndarray,
    taxonomy: Taxonomy,
    which: np.ndarray | None = None,
) -> Labels:
    """From category ids.

    Args:
        path: the file, for the message.
        category_ids: int64, the dataset's ids.
        taxonomy: the label spaces.
        which: int `[detections]`, the position of each detection's category in `category_ids`; by
            default there is one per detection.

    Raises:
        InputError: a category is not in the taxonomy.
    """
    # Every category is an animal, so the generic labels list them all.
    ids = np.array(sorted(taxonomy.label_of_category(Granularity.GENERIC)), np.int64)
    position = np.minimum(np.searchsorted(ids, category_ids), len(ids) - 1)
    found = ids[position] == category_ids
    if which is not None:
        position, found = position[which], found[which]
    if not found.all():
        row = int(np.argmin(found))
        category_id = category_ids[row if which is None else which[row]]
        raise InputError(
            f"{path}: detection {row + 1} has category {category_id}, which is not "
            "among the annotations' categories; check that both belong to the same dataset"
        )
    return Labels(position, {g: _table(ids.tolist(), g, taxonomy) for g in taxonomy.levels})


def labels_of_names(
    path: str,
    names: Sequence[str],
    labels: np.ndarray,
    *,
    granularity: Granularity,
    taxonomy: Taxonomy,
) -> Labels:
    """From labels of a file's own label space, matched by name; for all levels but the species.

    Args:
        path: the file, for the message.
        names: the names of the file's labels 1, 2, ...
        labels: int `[detections]`, labels of the file.
        granularity: that of the labels.
        taxonomy: the label spaces to express them in.

    Raises:
        InputError: a name with detections is not in the taxonomy.
    """
    try:
        levels = taxonomy.coarser_or_equal(granularity)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if granularity is Granularity.GENERIC:
        return Labels(np.zeros(len(labels), np.int32), {granularity: np.ones(1, np.int64)})
    category_of = taxonomy.category_of_name(granularity)
    for label in np.unique(labels).tolist():
        if names[label - 1] not in category_of:
            kinds = "super-classes" if granularity is Granularity.SUPER else f"{granularity} labels"
            raise InputError(
                f"{path}: has detections of {names[label - 1][:80]!r}, which is not among the "
                f"annotations' {kinds}{_perhaps(names[label - 1], category_of)}; check that both "
                "belong to the same dataset"
            )
    ids = [category_of.get(name) for name in names]
    return Labels(labels - 1, {g: _table(ids, g, taxonomy) for g in levels})


def _perhaps(name: str, names: Iterable[str]) -> str:
    """The part of a message about an unknown name that tells a similar one."""
    names = set(names) - {name}
    # A name that several labels of a rank have says in brackets where it belongs.
    namesakes = sorted(other for other in names if other.startswith(f"{name} ("))[:2]
    if namesakes:
        return f", perhaps {' or '.join(repr(other[:80]) for other in namesakes)} is meant"
    similar = similar_name(name, names)
    return f", perhaps {similar[:80]!r} is meant" if similar else ""


def _table(
    category_ids: Sequence[int | None], granularity: Granularity, taxonomy: Taxonomy
) -> np.ndarray:
    """Int64 `[categories]`: the label of each at a level."""
    known = taxonomy.label_of_category(granularity)
    labels = [NO_LABEL if i is None else known.get(i, NO_LABEL) for i in category_ids]
    return np.array(labels, np.int64)


class NamedClasses:
    """Classes of a model that are identified by name, as in VOC's and YOLO's files.

    Args:
        names: the names of the classes 0, 1, ...
        granularity: whose names they are.
        taxonomy: the label spaces.
    """

    def __init__(self, names: Sequence[str], granularity: Granularity, taxonomy: Taxonomy):
        self._names = list(names)
        self._granularity = granularity
        self._taxonomy = taxonomy

    def __len__(self) -> int:
        return len(self._names)

    def labels(self, path: str, classes: np.ndarray) -> Labels:
        """The labels at the granularity and all coarser ones.

        Args:
            path: the file or folder, for the message.
            classes: int64 `[detections]`, each less than the number of names.

        Raises:
            InputError: the name of a class with detections is not in the taxonomy, or belongs to
                several species.
        """
        if self._granularity is not Granularity.SPECIES:
            return labels_of_names(
                path,
                self._names,
                classes + 1,
                granularity=self._granularity,
                taxonomy=self._taxonomy,
            )
        ids: dict[str, int | None] = {}
        for category in self._taxonomy.categories:
            ids[category.name] = None if category.name in ids else category.id
        of_class = np.zeros(len(self._names), np.int64)
        for position in np.unique(classes).tolist():
            name = self._names[position]
            category_id = ids.get(name)
            if category_id is None:
                number = "several" if name in ids else "none"
                raise InputError(
                    f"{path}: has detections of {name[:80]!r}, but {number} of the annotations' "
                    f"categories have that name{_perhaps(name, ids)}; check the names of the "
                    "model's classes"
                )
            of_class[position] = category_id
        return labels_of_categories(path, of_class, self._taxonomy, classes)
