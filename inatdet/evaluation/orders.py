"""Other orders of the classes, and how well each fits the ground truth.

Programs number classes from 0 or from 1, with or without a root, and in the order of their own
files. Read in another order, such numbers are still labels, so only the comparison with the true
boxes shows the mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy

SEVERAL_TIMES, LEAST_AGREEMENT = 3.0, 0.3
"""How much better another reading must fit, and how well at least, to be worth a warning."""


@dataclass(frozen=True)
class OtherOrder:
    """Another order of the classes that fits several times better.

    Attributes:
        right: the share of labels that are right as they are.
        better: the share that would be in the other order.
        by: how many places further the right class is, 1 or -1; 0 for an order of its own.
    """

    right: float
    better: float
    by: int

    def in_words(self, what: str, flags: str) -> str:
        """A clause that says so.

        Args:
            what: whose share is right, such as `of 100 detections on a true box have its class`.
            flags: what gives the model's own order.
        """
        said = f"{self.right:.0%} {what}, but {self.better:.0%} would after"
        if self.by:
            return (
                f"class numbers look {'too low' if self.by > 0 else 'too high'} by one: {said} a "
                "shift; check which number the model's first class has"
            )
        return (
            f"classes seem to be in another order: {said} renaming; give the model's own order "
            f"with {flags}"
        )


def other_order(
    found: np.ndarray, true: np.ndarray, level: Granularity, taxonomy: Taxonomy
) -> OtherOrder | None:
    """Another order of the classes that fits several times better, and not badly, if there is one.

    Args:
        found: int `[n]`, labels at `level`.
        true: int `[n]`, the true ones.
        level: the level.
        taxonomy: the label spaces.
    """
    right = float((found == true).mean())
    least = max(SEVERAL_TIMES * right, LEAST_AGREEMENT)
    shifted = {by: shifted_agreement(found, true, by, level, taxonomy) for by in (-1, 1)}
    by = max(shifted, key=lambda by: shifted[by])
    if shifted[by] >= least:
        return OtherOrder(right, shifted[by], by)
    permuted = permuted_agreement(found, true, taxonomy.num_labels(level))
    return OtherOrder(right, permuted, 0) if permuted >= least else None


def shifted_agreement(
    found: np.ndarray, true: np.ndarray, by: int, level: Granularity, taxonomy: Taxonomy
) -> float:
    """The share of found labels that are the true ones after a step in the order of the classes."""
    if level is Granularity.SPECIES:
        # The order of category ids, which includes categories without a box.
        every = sorted(taxonomy.categories, key=lambda category: category.id)
        label_of = taxonomy.label_of_category(level)
        ladder = np.array([label_of.get(category.id, NO_LABEL) for category in every])
    else:
        ladder = np.arange(1, taxonomy.num_labels(level) + 1)
    step = np.zeros(taxonomy.num_labels(level) + 1, np.int64)
    if by > 0:
        step[ladder[:-1]] = ladder[1:]
    else:
        step[ladder[1:]] = ladder[:-1]
    step[NO_LABEL] = NO_LABEL
    return float((step[found] == true).mean())


def permuted_agreement(found: np.ndarray, true: np.ndarray, num_labels: int) -> float:
    """The share of found labels that are the true ones after the best renaming of each.

    The renaming is learned on every other match and tested on the rest, and vice versa, so that few
    matches per class do not agree by chance. It gives no two classes the same name: otherwise
    naming all after the most frequent class would agree well.
    """
    shares = []
    for half in (0, 1):
        learned = found[half::2].astype(np.int64) * (num_labels + 1) + true[half::2]
        pairs, counts = np.unique(learned[found[half::2] != NO_LABEL], return_counts=True)
        renamed = np.zeros(num_labels + 1, np.int64)
        given = np.zeros(num_labels + 1, bool)
        for pair in pairs[np.argsort(-counts, kind="stable")].tolist():
            label, name = divmod(pair, num_labels + 1)
            if not renamed[label] and not given[name]:
                renamed[label], given[name] = name, True
        shares.append(float((renamed[found[1 - half :: 2]] == true[1 - half :: 2]).mean()))
    return sum(shares) / 2


def share_in_order(found: np.ndarray, true: np.ndarray, every: np.ndarray) -> float:
    """The share of true boxes whose class is evidently in the right place.

    It is if the detections of that class lie on true boxes of the class more often than on those of
    any other. With classes in the right order, that holds even of a model that is often wrong.

    Args:
        found: int `[n]`, the labels of detections that lie on a true box.
        true: int `[n]`, the labels of those boxes.
        every: int `[boxes]`, the labels of all true boxes.
    """
    if not len(every):
        return 0.0
    pairs, counts = np.unique(np.column_stack([found, true]), axis=0, return_counts=True)
    by_count = np.lexsort((pairs[:, 0] == pairs[:, 1], counts))  # the most frequent comes last
    most_frequent = dict(pairs[by_count].tolist())
    in_order = [label for label, name in most_frequent.items() if label == name]
    return float(np.isin(every, in_order).mean())
