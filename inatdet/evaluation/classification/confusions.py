"""Which labels are mistaken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class ConfusionRow(Row):
    """A label of which some images were taken for another one.

    Attributes:
        model: the model.
        level: the level of both labels.
        label: the true label.
        taken_for_label: the best label of those images.
        name: of the true label.
        super_class: the super-class that it lies in; empty at coarser levels.
        taken_for: the name of the other.
        taken_for_super_class: the super-class that it lies in; empty at coarser levels.
        images: how many images.
        share: the same in percent of the true label's images.
        shared_level: the finest level at which both have the same label.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "level", "name", "super_class", "taken_for", "taken_for_super_class", "images",
        "share", "shared_level",
    )  # fmt: skip

    model: str
    level: Granularity
    label: int
    taken_for_label: int
    name: str
    super_class: str
    taken_for: str
    taken_for_super_class: str
    images: int
    share: float
    shared_level: Granularity

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the numbers of both labels."""
        return self.model, str(self.label), str(self.taken_for_label)
