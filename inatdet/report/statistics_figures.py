"""The paper's Figures 2 and 4: training images per species, and relative sizes of boxes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inatdet.data.rows import TOTAL
from inatdet.datasets.statistics.boxes import EDGES, RelativeSizeRow
from inatdet.datasets.statistics.results import Statistics
from inatdet.datasets.statistics.splits import TRAIN
from inatdet.report import lines
from inatdet.report.figures import Figure
from inatdet.report.lines import Axis, Line, ticks_of_log, ticks_up_to
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure

_MOST_STEPS = 600  # of the line on the page, which is as many pixels wide
_BINS = list(itertools.pairwise(EDGES))
_MIDDLES = [(low + high) / 2 for low, high in _BINS]


def images_per_species(results: Statistics) -> np.ndarray:
    """The images of each species of the first split, int64 `[species]`, falling, above 0."""
    train = [row.train_images for row in results.species]
    images = [row.val_images for row in results.species] if None in train else train
    counts = np.sort(np.array([count or 0 for count in images], np.int64))[::-1]
    return counts[counts > 0]


def _species_lines(counts: np.ndarray) -> list[Line]:
    """One line, a step per species; of very many, as many as can be told apart."""
    starts = np.flatnonzero(np.diff(counts, prepend=-1))
    if len(starts) > _MOST_STEPS:
        starts = starts[np.linspace(0, len(starts) - 1, _MOST_STEPS).round().astype(int)]
    ends = [*starts[1:].tolist(), len(counts)]
    points: list[tuple[float, float]] = []
    for start, end in zip(starts.tolist(), ends):
        points += [(start, int(counts[start])), (end, int(counts[start]))]
    return [Line("all species", "", points)]


def _species_axes(counts: np.ndarray, split: str) -> tuple[Axis, Axis]:
    low, high = (int(counts[-1]), int(counts[0])) if len(counts) else (1, 10)
    return (
        Axis("Species, from the most to the least frequent", ticks_up_to(len(counts))),
        Axis(_images_of(split), ticks_of_log(low, high), is_log=True),
    )


def _images_of(split: str) -> str:
    return "Training images" if split == TRAIN else f"Images of {split}"


def draw_species(results: Statistics) -> matplotlib.figure.Figure:
    """Draws Figure 2."""
    counts, split = images_per_species(results), results.spread[0].split
    x, y = _species_axes(counts, split)
    return lines.draw(_species_lines(counts), x, y, f"{_images_of(split)} per species")


def _species_on_page(results: Statistics) -> dict[str, Any]:
    counts, split = images_per_species(results), results.spread[0].split
    x, y = _species_axes(counts, split)
    return lines.on_page(
        _species_lines(counts), x, y, f"{_images_of(split)} per species, on a logarithmic scale"
    )


def _size_lines(rows: Sequence[RelativeSizeRow]) -> list[Line]:
    return [
        Line(
            "all of them" if row.super_class == TOTAL else row.super_class,
            f"{row.median:.0f}",
            list(zip(_MIDDLES, row.histogram)),
            index,
        )
        for index, row in enumerate([*rows[-1:], *rows[:-1]])  # all of them in black
    ]


def _size_axes(rows: Sequence[RelativeSizeRow]) -> tuple[Axis, Axis]:
    highest = max((max(row.histogram) for row in rows), default=10.0)
    return (
        Axis("Relative size of the box in percent", (0, 20, 40, 60, 80, 100)),
        Axis("Boxes in percent", ticks_up_to(highest)),
    )


def draw_sizes(results: Statistics) -> matplotlib.figure.Figure:
    """Draws Figure 4."""
    x, y = _size_axes(results.relative_sizes)
    return lines.draw(
        _size_lines(results.relative_sizes),
        x,
        y,
        f"Relative sizes of the boxes of {results.relative_sizes_of}",
        "Super-class (median)",
    )


def _sizes_on_page(results: Statistics) -> dict[str, Any]:
    x, y = _size_axes(results.relative_sizes)
    return lines.on_page(
        _size_lines(results.relative_sizes),
        x,
        y,
        "Shares of boxes by relative size, one line per super-class",
    )


def histogram_table(rows: Sequence[RelativeSizeRow]) -> Table[Any]:
    """The shares of boxes in each bin of relative sizes."""
    return Table(
        ("super_class", "size_from", "size_to", "share"),
        tuple(
            (row.super_class, low, high, share)
            for row in rows
            for (low, high), share in zip(_BINS, row.histogram)
        ),
    )


SPECIES: Figure[Statistics] = Figure(
    name="images_per_species",
    heading="Figure 2: images per species",
    link="Figure 2",
    note=(
        "Species are sorted by their number of training images, or of validation images where "
        "training is not given; those without any are left out. The scale is logarithmic. "
        "species.csv has the numbers."
    ),
    alt="Images per species, from the most to the least frequent",
    image_file="images_per_species.png",
    exists=lambda results: bool(len(images_per_species(results))),
    draw=draw_species,
    on_page=_species_on_page,
    page_part=lines.PAGE_PART,
)

SIZES: Figure[Statistics] = Figure(
    name="relative_sizes_figure",
    heading="Figure 4: relative sizes, drawn",
    link="Figure 4",
    note=(
        "How many percent of a super-class's boxes are in each bin of relative sizes, which are 5 "
        "percent wide; in parentheses the median."
    ),
    alt="Shares of boxes by relative size, one line per super-class",
    image_file="relative_sizes.png",
    exists=lambda results: bool(results.relative_sizes),
    draw=draw_sizes,
    on_page=_sizes_on_page,
    page_part=lines.PAGE_PART,
    table_file="relative_sizes_histogram.csv",
    table=lambda results: histogram_table(results.relative_sizes),
)
