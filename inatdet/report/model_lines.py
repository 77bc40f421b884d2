"""The lines of figures that compare models, one per model and rule, and how they look."""

from __future__ import annotations

from dataclasses import dataclass

from inatdet.report.figures import COLORS, STYLES
from inatdet.report.text import shortened

LONGEST_NAME = 20
"""Characters of a model's or a level's name in a figure."""

_MARKERS = ("o", "s", "^", "D", "v", "X", "P")


@dataclass(frozen=True)
class ModelLine:
    """What a line is about, a model with one rule, and how it looks; see `look_of`.

    Attributes:
        model: the model's name.
        rule: such as how detections were merged; empty where there is but one.
        color: of the model.
        marker: of the model, as Matplotlib calls it.
        style: of the rule, as Matplotlib calls it.
    """

    model: str
    rule: str
    color: str
    marker: str
    style: str

    @property
    def name(self) -> str:
        """What the legend calls it."""
        model = shortened(self.model, LONGEST_NAME)
        return f"{model}, {self.rule}" if self.rule else model


def look_of(model: int, rule: int = 0) -> tuple[str, str, str]:
    """How a line looks: its color, its marker and its style, as Matplotlib calls them.

    Args:
        model: the place of its model among all models.
        rule: the place of its rule among all rules.
    """
    return (
        COLORS[model % len(COLORS)],
        # After as many models as there are colors, these come with other markers.
        _MARKERS[(model + model // len(COLORS)) % len(_MARKERS)],
        STYLES[rule],
    )
