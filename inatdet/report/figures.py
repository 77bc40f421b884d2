"""What all figures of the report share: how they are described, how lines differ, names as text."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from inatdet.evaluation.resampling import Estimate
from inatdet.files import atomic_path
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_FONT = "DejaVu Sans"  # comes with Matplotlib

# Okabe and Ito's colors, which color-blind readers can tell apart, with line styles for print.
BLACK = "#000000"
COLORS = (BLACK, "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
STYLES = ("-", "--", "-.", ":")

_DASHES = {"-": "", "--": "8 4", "-.": "8 3 2 3", ":": "2 3"}
_MARKER_SIZE = 4.5  # on the page


S = TypeVar("S")
"""What a report is about: `Results`, or the statistics of a dataset."""


@dataclass(frozen=True)
class Figure(Generic[S]):
    """A figure that follows a section's table.

    Attributes:
        name: what the page's links call it.
        heading: the heading.
        link: the text of the link in the page's navigation; empty: its section's link leads there.
        note: what it shows.
        alt: what stands in for the image where it cannot be seen.
        image_file: the image.
        exists: whether there is anything to draw.
        draw: draws it with Matplotlib.
        on_page: what `page_part` shows, as plain values.
        page_part: the template among the assets that shows it on the page.
        table_file: the numbers behind it, as CSV; empty where the section's table has them.
        table: makes that table; None where there is none.
    """

    name: str
    heading: str
    link: str
    note: str
    alt: str
    image_file: str
    exists: Callable[[S], bool]
    draw: Callable[[S], matplotlib.figure.Figure]
    on_page: Callable[[S], Mapping[str, Any]]
    page_part: str
    table_file: str = ""
    table: Callable[[S], Table[Any]] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it consists of."""
        return tuple(name for name in (self.table_file, self.image_file) if name)

    def save(self, subject: S, path: str | os.PathLike[str]) -> None:
        """Draws it and writes it as PNG."""
        save_png(self.draw(subject), path)


def blank(width: float, height: float) -> matplotlib.figure.Figure:
    """A Matplotlib figure that belongs to no window, so no screen is needed.

    Args:
        width: in inches.
        height: in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend_beside(
    axes: Axes | matplotlib.figure.Figure,
    lines: Sequence[Artist],
    names: Sequence[str],
    title: str,
    **placed: Any,
) -> None:
    """Draws a legend to the right of the axes, with names as they are.

    Args:
        axes: of the figure; or the figure, for several axes.
        lines: what is drawn; without any, there is no legend.
        names: of the lines.
        title: of the legend.
        placed: where it stands, and how long its lines are, as `Axes.legend` takes it.
    """
    if not lines:
        return
    # The names come later: Matplotlib leaves out labels that begin with an underscore.
    legend = axes.legend(
        lines,
        [str(index) for index, _ in enumerate(lines)],
        title=title,
        fontsize=9,
        frameon=False,
        **placed,
    )
    write_texts(legend.get_texts(), names)


def save_png(figure: matplotlib.figure.Figure, path: str | os.PathLike[str]) -> None:
    """Writes a drawing as PNG."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def page_color(color: str) -> str:
    """A color on the page, where black is white on a dark page."""
    return "currentColor" if color == BLACK else color


def page_dashes(style: str) -> str:
    """A line style of Matplotlib as SVG's dashes."""
    return _DASHES[style]


def page_marker(kind: str, x: float, y: float) -> str:
    """One of Matplotlib's markers around a point, as a path of SVG."""
    size = _MARKER_SIZE
    if kind == "o":
        return (
            f"M{x - size} {y}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0Z"
        )
    return (
        "M" + "L".join(f"{x + size * dx:.1f} {y + size * dy:.1f}" for dx, dy in _shape(kind)) + "Z"
    )


def _shape(kind: str) -> Iterator[tuple[float, float]]:
    """The corners of a marker, around 0, in its size."""
    plus = ((-.4, -1), (.4, -1), (.4, -.4), (1, -.4), (1, .4), (.4, .4), (.4, 1), (-.4, 1),
            (-.4, .4), (-1, .4), (-1, -.4), (-.4, -.4))  # fmt: skip
    shapes: dict[str, Sequence[tuple[float, float]]] = {
        "s": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "^": ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
        "v": ((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
        "D": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
        "P": plus,
        "X": [((a - b) * 0.8, (a + b) * 0.8) for a, b in plus],
    }
    yield from shapes[kind]


def page_bars(x: float, value: float, y: Callable[[float], float]) -> str:
    """The 95% interval of a number as a path of SVG; empty without one.

    Args:
        x: where it stands.
        value: the number.
        y: where a number stands.
    """
    if not margin(value):
        return ""
    low, high = y(value - margin(value)), y(value + margin(value))
    return f"M{x} {low}V{high}M{x - 3} {low}h6M{x - 3} {high}h6"


def margin(value: float) -> float:
    """Half the width of a number's 95% interval; 0 where it is not known."""
    if isinstance(value, Estimate) and not math.isnan(value.margin):
        return value.margin
    return 0.0


def write_texts(places: Sequence[Text], texts: Sequence[str]) -> None:
    """Writes texts as they are, in fonts that have their characters where there are any."""
    from matplotlib import font_manager

    def characters_of(path: str) -> set[int]:
        return set(font_manager.get_font(path).get_charmap())

    missing = set(map(ord, "".join(texts)))
    missing -= characters_of(font_manager.findfont(_FONT))
    families = [_FONT]
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: font.name):
        if not missing:
            break
        with contextlib.suppress(OSError, RuntimeError):  # fonts may be removed or damaged
            if found := missing & characters_of(font.fname):
                missing -= found
                families.append(font.name)
    unknown = dict.fromkeys(missing, "\N{REPLACEMENT CHARACTER}")
    for place, text in zip(places, texts):
        place.set_parse_math(False)
        place.set_fontfamily(families)
        place.set_text(text.translate(unknown))
