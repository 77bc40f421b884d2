"""Likely errors of the annotations as the report shows them: lists, and sentences above them."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from inatdet.evaluation.label_errors import MisplacedBox, MissingBox, WrongLabel
from inatdet.evaluation.results import Results
from inatdet.evaluation.rows import Cell
from inatdet.report.table import Table

SHOWN = 20
"""How many entries of each list are for reading; its file has the others."""

WRONG_LABELS = (
    "The most doubtful first. A detection on the box, at IoU .5 or more, gives it another label, "
    "named, and is confident: it has at least the mean score that the model gives that label on "
    "the boxes annotated with it (as in Northcutt et al., Confident Learning, 2021). No detection "
    "there that has the annotated label is as confident in this sense, or has a higher score. "
    "doubt is by how many percent the best score of the annotated label on the box, "
    "annotated_score, is less than the mean of that label: 100 where no detection has it. Scores "
    "and IoU are from 0 to 1. shared_level is the finest level at which both labels are one: "
    "within a genus, people and models err most easily. It may be the model that is wrong, so look "
    "at the image; and a model that was trained on these boxes has learned their errors."
)
MISPLACED_BOXES = (
    "The most doubtful first. A confident detection of the annotated label, one with at least the "
    "mean score of that label on its boxes, is beside the box, at an IoU from .1 up to .5, and on "
    "no other box; none is on the box, at IoU .5 or more. doubt is by how many percent the best "
    "score of the label on the box, score_here, is less than that mean."
)
MISSING_BOXES = (
    "The highest scores first. A confident detection, one with at least the mean score of its "
    "label on the boxes annotated with it, is near no true box: every IoU is below .1. That is a "
    "false alarm where an animal has no box on purpose. In iNat2017, at most ten animals of one "
    "super-class have a box in each image, and images without any, which count with --all_images, "
    "were not annotated."
)
"""What the sections say about their lists."""

_FOR_READING = (
    "image", "annotation", "annotated", "named", "doubt", "named_score", "annotated_score",
    "score", "score_here", "IoU", "shared_level",
)  # fmt: skip


def wrong_labels(results: Results) -> Table[WrongLabel]:
    """The boxes whose label is likely wrong."""
    return Table.of(WrongLabel, results.label_errors.labels if results.label_errors else ())


def misplaced_boxes(results: Results) -> Table[MisplacedBox]:
    """The boxes that are likely misplaced."""
    return Table.of(MisplacedBox, results.label_errors.places if results.label_errors else ())


def missing_boxes(results: Results) -> Table[MissingBox]:
    """The boxes that are likely missing."""
    return Table.of(MissingBox, results.label_errors.missing if results.label_errors else ())


def first_of(table: Table[Any]) -> Table[Any]:
    """The first entries of one of these lists, with what is for reading.

    Scores and IoUs, which are no percentages, have two decimals.
    """
    shown = [place for place, name in enumerate(table.columns) if name in _FOR_READING]
    names = tuple(table.columns[place] for place in shown)

    def cell(name: str, value: Cell) -> Cell:
        return f"{value:.2f}" if isinstance(value, float) and name != "doubt" else value

    rows = (tuple(map(cell, names, (row[i] for i in shown))) for row in table.rows[:SHOWN])
    return Table(names, tuple(rows))


def wrong_labels_in_words(results: Results) -> str:
    """How many labels which model contradicts."""
    if (errors := results.label_errors) is None:
        return ""
    says = f"gives {errors.found[0]:,} of {errors.boxes:,} boxes another label"
    return f"The {errors.level} model {says}.{_end(errors.labels, errors.found[0])}"


def misplaced_boxes_in_words(results: Results) -> str:
    """How many boxes which model sees elsewhere."""
    if (errors := results.label_errors) is None:
        return ""
    says = f"finds {errors.found[1]:,} of {errors.boxes:,} animals beside their boxes"
    return f"The {errors.level} model {says}.{_end(errors.places, errors.found[1])}"


def missing_boxes_in_words(results: Results) -> str:
    """How many animals without a box which model sees."""
    if (errors := results.label_errors) is None:
        return ""
    animals = f"{errors.found[2]:,} animal{'' if errors.found[2] == 1 else 's'}"
    says = f"finds {animals} where no box is near"
    return f"The {errors.level} model {says}.{_end(errors.missing, errors.found[2])}"


def _end(listed: Sized, found: int) -> str:
    """What is said where the list is not whole."""
    return f" The file lists the first {len(listed):,}." if len(listed) < found else ""
