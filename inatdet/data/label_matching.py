"""A file's own label space, expressed in the labels of a taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.entries import short
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_NAMED = 3  # of the labels that are unknown
_ROWS_AT_ONCE = 1 << 13


@dataclass(frozen=True, eq=False)
class MatchedLabels:
    """The labels of a taxonomy for those of a file.

    Attributes:
        path: the file.
        level: of the labels.
        table: int32 `[labels + 1]`, the taxonomy's label for each of the file's, and `NO_LABEL` for
            `NO_LABEL` and for those that the taxonomy does not have.
        unknown: what the first few of the latter are called.
    """

    path: str
    level: Granularity
    table: np.ndarray
    unknown: tuple[str, ...]

    def apply(self, labels: np.ndarray) -> tuple[str, ...]:
        """Replaces labels of the file by those of the taxonomy.

        Args:
            labels: int32 `[images, k]`, the best first, changed in place.

        Returns:
            A sentence about guesses that the taxonomy does not have, if there are any.
        """
        guesses = first = 0
        for start in range(0, len(labels), _ROWS_AT_ONCE):
            block = labels[start : start + _ROWS_AT_ONCE]
            matched = self.table[block]
            if self.unknown:
                lost = (matched == NO_LABEL) & (block != NO_LABEL)
                guesses += int(np.count_nonzero(lost))
                first += int(np.count_nonzero(lost[:, 0]))
            block[:] = matched
        if not guesses:
            return ()
        count = int(np.count_nonzero(self.table[1:] == NO_LABEL))
        return (
            f"{self.path}: {count:,} of its {len(self.table) - 1:,} {self.level} labels are not in "
            f"the label spaces, such as {', '.join(self.unknown)}; {guesses:,} guesses of them, "
            f"{first:,} of which are first, count as wrong",
        )


def match_labels(
    path: str,
    names: Sequence[str],
    category_ids: Sequence[int | None],
    level: Granularity,
    taxonomy: Taxonomy,
) -> MatchedLabels:
    """Finds the labels of a file in a taxonomy, species by category id and name, others by name.

    Args:
        path: the file, for messages.
        names: the names of the file's labels 1, 2, ...
        category_ids: their category ids; they are not looked at above the species.
        level: of the labels, one of the taxonomy's.
        taxonomy: the label spaces to express the labels in.

    Raises:
        InputError: not one of the labels is in the taxonomy, or two of them are the same.
    """
    labels_of = taxonomy.label_of_category(level)
    if level is Granularity.SPECIES:
        known = {(category.id, category.name) for category in taxonomy.categories}
        pairs = zip(category_ids, names, strict=True)
        ids = [pair[0] if pair in known else None for pair in pairs]
    elif level is Granularity.GENERIC:
        ids = [taxonomy.species[0].id] * len(names)
    else:
        of_name = taxonomy.category_of_name(level)
        ids = [of_name.get(name) for name in names]
    labels = [NO_LABEL if number is None else labels_of.get(number, NO_LABEL) for number in ids]
    first: dict[int, int] = {}
    for at, label in enumerate(labels):
        if label != NO_LABEL and first.setdefault(label, at) != at:
            raise InputError(
                f"{path}: its {level} labels {first[label] + 1} and {at + 1} are both "
                f"{short(names[at])}; write it again"
            )
    lost = [at for at, label in enumerate(labels) if label == NO_LABEL][:_NAMED]
    unknown = [short(names[at]) for at in lost]
    if level is Granularity.SPECIES:
        unknown = [_species(category_ids[at], names[at], taxonomy) for at in lost]
    if len(names) and not any(labels):
        raise InputError(
            f"{path}: none of its {len(names):,} {level} labels is in the label spaces, which lack "
            f"{', '.join(unknown)}; check that both belong to the same dataset, or give the label "
            "spaces of the model's dataset with --taxonomy"
        )
    return MatchedLabels(path, level, np.array([NO_LABEL, *labels], np.int32), tuple(unknown))


def match_categories(path: str, ids: np.ndarray, taxonomy: Taxonomy) -> MatchedLabels:
    """Finds categories, numbered 1, 2, ..., in a taxonomy by their ids alone.

    Args:
        path: the file, for messages.
        ids: int64 `[categories]`, all among those of the taxonomy.
        taxonomy: the label spaces to express the labels in.

    Raises:
        InputError: not one of them has a label.
    """
    names = [taxonomy.category_of_id[number].name for number in ids.tolist()]
    return match_labels(path, names, ids.tolist(), Granularity.SPECIES, taxonomy)


def check_categories(
    path: str, ids: np.ndarray, taxonomy: Taxonomy, where: Callable[[int], str]
) -> None:
    """Refuses ids that are not among the categories.

    Args:
        path: the file, for the message.
        ids: int64 `[categories]`, all different.
        taxonomy: the label spaces.
        where: where an id comes first, in words that follow it, or nothing.

    Raises:
        InputError: there are such ids; how many, and which are the first few.
    """
    unknown = [number for number in ids.tolist() if number not in taxonomy.category_of_id]
    if unknown:
        shown = ", ".join(map(str, unknown[:_NAMED]))
        raise InputError(
            f"{path}: has {len(unknown):,} category id{'s' * (len(unknown) != 1)} that "
            f"{'are' if len(unknown) != 1 else 'is'} not among the dataset's categories, "
            f"{'such as' if len(unknown) > _NAMED else 'namely'} {shown}{where(unknown[0])}; check "
            "that both belong to the same dataset, and that these are category ids"
        )


def _species(category_id: int | None, name: str, taxonomy: Taxonomy) -> str:
    """What a species is called that is not in a taxonomy, and what has its id there."""
    there = None if category_id is None else taxonomy.category_of_id.get(category_id)
    other = "" if there is None or there.name == name else f" (there {short(there.name)})"
    return f"{category_id} {short(name)}{other}"
