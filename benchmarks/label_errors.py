"""How many errors made on purpose the report's lists of likely annotation errors find.

    python -m benchmarks.label_errors --annotations=val_2017_bboxes.json --taxonomy=taxonomy.json \
        --detections=species.parquet

In copies of the annotations, a share of the boxes is damaged at random: `swapped`, another label;
`swapped nearby`, another label that is the same at the next level at which there is one, such as
the genus; `moved`, by .4 to .75 of its width or height, so that the IoU with the old place is from
.43 down to .14; `dropped`, left out. Each list is then compared with what was damaged: how long it
is, how much of the damage is in it, how much is among its first n, where n boxes were damaged, and
among its first ten. The means over `--repeats` copies are printed.

Two other orders of all boxes are there for comparison: `self-confidence`, the lowest score of the
annotated label first, and `margin`, by how much the best other label scores more (Northcutt et al.,
2021). Errors that the annotations have already count as false alarms here, so these are lower
bounds; and random errors are easier to find than people's, which look plausible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.measuring import print_table
from inatdet.data.annotations import Annotations
from inatdet.data.boxes import RIGHT_IOU, iou
from inatdet.data.detections import Detections
from inatdet.data.formats.reading import read_annotations, read_detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import labels_of_boxes
from inatdet.evaluation.label_errors import LabelErrors, label_errors
from inatdet.evaluation.protocol import prepare

Damage = Callable[[np.random.Generator, Annotations, np.ndarray, Granularity], Annotations]
"""Makes annotations with some of their rows damaged; the labels are those of a level."""


def swapped(
    rng: np.random.Generator, truth: Annotations, rows: np.ndarray, level: Granularity
) -> Annotations:
    """Gives boxes the category of a box with another label."""
    return _relabelled(rng, truth, rows, level, nearby=False)


def swapped_nearby(
    rng: np.random.Generator, truth: Annotations, rows: np.ndarray, level: Granularity
) -> Annotations:
    """Likewise, of a label as close in the taxonomy as there is one."""
    return _relabelled(rng, truth, rows, level, nearby=True)


def _relabelled(
    rng: np.random.Generator,
    truth: Annotations,
    rows: np.ndarray,
    level: Granularity,
    nearby: bool,
) -> Annotations:
    taxonomy = truth.taxonomy
    known = taxonomy.label_of_category(level)
    category_of = {known[c]: c for c in truth.boxed_category_ids() if c in known}
    labels = np.array(list(category_of))
    category_ids = truth.category_ids.copy()
    for row in rows.tolist():
        own = known[int(category_ids[row])]
        others = labels[labels != own]
        for coarser in taxonomy.coarser_or_equal(level)[1:] if nearby else ():
            at = taxonomy.coarsen(others, level, coarser)
            close = others[at == taxonomy.coarsen(np.array([own]), level, coarser)]
            if len(close):
                others = close
                break
        category_ids[row] = category_of[int(rng.choice(others))]
    return replace(truth, category_ids=category_ids)


def moved(
    rng: np.random.Generator, truth: Annotations, rows: np.ndarray, level: Granularity
) -> Annotations:
    """Shifts boxes to the left, right, top or bottom."""
    del level
    boxes = truth.boxes.copy()
    along = rng.integers(2, size=len(rows))
    steps = rng.uniform(0.4, 0.75, len(rows)) * rng.choice([-1, 1], len(rows))
    boxes[rows, along] += steps * boxes[rows, 2 + along]
    return replace(truth, boxes=boxes)


def dropped(
    rng: np.random.Generator, truth: Annotations, rows: np.ndarray, level: Granularity
) -> Annotations:
    """Leaves boxes out; their images stay."""
    del rng, level
    left = np.setdiff1d(np.arange(len(truth.boxes)), rows)
    names = ("box_ids", "image_ids", "category_ids", "boxes", "areas", "is_crowd")
    return replace(truth, **{name: getattr(truth, name)[left] for name in names})


def lists_of(truth: Annotations, found: Detections) -> LabelErrors:
    """The lists in full."""
    level = found.trained_on
    prepared = prepare(truth, [found], all_images=True)
    labelled = prepared.labelled(level, prepared.encounters(found), found.labels[level])
    return label_errors(truth, truth.taxonomy, level, labelled, most=len(found))


def best_scores(truth: Annotations, found: Detections) -> np.ndarray:
    """The best score of each label on each box, float64 `[boxes, labels]`."""
    level = found.trained_on
    best = np.zeros((len(truth.boxes), truth.taxonomy.num_labels(level)))
    for box, image_id in enumerate(truth.image_ids.tolist()):
        rows = np.flatnonzero((found.image_ids == image_id) & (found.labels[level] > 0))
        rows = rows[iou(found.boxes[rows], truth.boxes[box]) >= RIGHT_IOU]
        np.maximum.at(best[box], found.labels[level][rows] - 1, found.scores[rows])
    return best


def hits_of(damage: Damage, truth: Annotations, rows: np.ndarray, lists: LabelErrors) -> list[bool]:
    """Which entries of the list for a kind of damage find damaged boxes, each box only once."""
    if damage is not dropped:
        damaged = set(truth.box_ids[rows].tolist())
        entries = lists.places if damage is moved else lists.labels
        return [entry.box_id in damaged for entry in entries]
    left = set(rows.tolist())
    hits = []
    for entry in lists.missing:
        found = [
            row
            for row in left
            if truth.image_ids[row] == entry.image.id
            and iou(np.array([entry.found]), truth.boxes[row])[0] >= RIGHT_IOU
        ]
        left -= set(found)
        hits.append(bool(found))
    return hits


def measured(
    truth: Annotations, found: Detections, damage: Damage, share: float, repeats: int
) -> list[tuple[str, str, str, str, str, str]]:
    """One row per order of the list."""
    level = found.trained_on
    labels = labels_of_boxes(truth.category_ids, level, truth.taxonomy)
    judged = np.flatnonzero((labels > 0) & ~truth.is_crowd)
    count = max(1, round(share * len(judged)))
    best = best_scores(truth, found) if damage in (swapped, swapped_nearby) else None
    results: dict[str, list[tuple[float, ...]]] = {}
    for repeat in tqdm(range(repeats), desc=damage.__name__, leave=False, disable=None):
        rng = np.random.default_rng(repeat)
        rows = rng.choice(judged, count, replace=False)
        damaged = damage(rng, truth, rows, level)
        orders = {"the report's": hits_of(damage, truth, rows, lists_of(damaged, found))}
        if best is not None:
            now = labels_of_boxes(damaged.category_ids, level, truth.taxonomy)[judged] - 1
            is_damaged = np.isin(judged, rows)
            own = best[judged, now]
            others = best[judged]
            others[np.arange(len(judged)), now] = -1
            for name, keys in (("self-confidence", own), ("margin", own - others.max(axis=1))):
                shuffled = rng.permutation(len(judged))  # the order of equal ones says nothing
                order = shuffled[np.argsort(keys[shuffled], kind="stable")]
                orders[name] = is_damaged[order].tolist()
        for name, hits in orders.items():
            results.setdefault(name, []).append(
                (
                    len(hits),
                    sum(hits) / count,
                    sum(hits[:count]) / count,
                    sum(hits[:10]) / max(1, len(hits[:10])),
                )
            )
    return [
        (
            damage.__name__.replace("_", " "),
            f"{count} of {len(judged)}",
            f"{name}, {means[0]:.0f}",
            *(f"{100 * mean:.0f}%" for mean in means[1:]),
        )
        for name, means in ((name, np.mean(values, axis=0)) for name, values in results.items())
    ]


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "The boxes to damage.", required=True)
    flags.DEFINE_string("taxonomy", None, "The model's label spaces.")
    flags.DEFINE_string("detections", None, "Parquet, of a model of any level.", required=True)
    flags.DEFINE_bool("all_images", False, "Also images with several boxes or none.")
    flags.DEFINE_float("share", 0.05, "How many of the boxes are damaged.", 0, 1)
    flags.DEFINE_integer("repeats", 100, "Copies of each kind.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    del argv
    values = flags.FLAGS
    truth = read_annotations(values.annotations, taxonomy=values.taxonomy)
    found = read_detections(values.detections, truth)
    prepared = prepare(truth, [found], all_images=values.all_images)
    header = (
        "damage", "boxes", "order, length", "found", "among the first n", "right of the first 10",
    )  # fmt: skip
    rows = [
        row
        for damage in (swapped, swapped_nearby, moved, dropped)
        for row in measured(
            prepared.kept, prepared.detections[0], damage, values.share, values.repeats
        )
    ]
    print_table(header, rows)


if __name__ == "__main__":
    _define_flags()
    app.run(main)
