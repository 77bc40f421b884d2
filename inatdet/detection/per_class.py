"""Detections that are limited by class over all images, instead of by image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from inatdet.data.best_of_classes import BestOfClasses, limits_at
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection.detector_config import DetectionsConfig, DetectorConfig
from inatdet.parts import Values

MOST_PER_IMAGE = 1000
"""How many detections an image may have by default where classes have a limit over all images."""

_CANDIDATES = 10  # times as many go into the suppression, as in the default settings


def lift_limits(config: DetectionsConfig, most_per_class: int, most_per_image: int) -> None:
    """Sets how many detections images may have.

    With a limit per class over all images, scores have no threshold and classes no limit within an
    image. An image has one all the same, because one with 300 proposals has 856,200 pairs of a
    proposal and a species.

    Args:
        config: the settings to change.
        most_per_class: detections of a species over all images; 0 for no such limit.
        most_per_image: detections of an image; 0 for what the settings say, and at least
            `MOST_PER_IMAGE` where classes have a limit.
    """
    if most_per_class:
        most_per_image = most_per_image or max(config.max_detections, MOST_PER_IMAGE)
        config.min_score = 0.0
        config.max_per_class = most_per_image
    if most_per_image:
        config.max_detections = most_per_image
        config.candidates = max(config.candidates, _CANDIDATES * most_per_image)


class ClassLimits:
    """Collects the detections at each level and writes the best of each class.

    Args:
        config: the detector's settings.
        taxonomy: the label spaces.
        levels: those of the detections, that of the model first.
        most_per_class: detections of a species over all images.
        images: how many images there are; None if that is not known.
    """

    def __init__(
        self,
        config: DetectorConfig,
        taxonomy: Taxonomy,
        levels: Sequence[Granularity],
        most_per_class: int,
        images: int | None,
    ):
        self._config, self._level = config, levels[0]
        self._limits = [limits_at(taxonomy, level, most_per_class) for level in levels]
        # Room for more than there can be would be asked for in vain.
        possible = np.iinfo(np.int64).max
        if images is not None:
            possible = max(1, images * config.detections.max_detections)
        self.best = [BestOfClasses(np.minimum(limits, possible)) for limits in self._limits]

    def still_possible(self, values: Values) -> Values:
        """Detections without those that can no longer be among the best of their classes.

        Args:
            values: columns by level, as `BestOfClasses.append` takes them.
        """
        return {
            level: [column[best.may_be_kept(*columns[1:3])] for column in columns]
            for best, (level, columns) in zip(self.best, values.items())
        }

    def write(self, writers: Sequence[DetectionsWriter]) -> None:
        """Writes what was kept, one file per level."""
        for best, writer in zip(self.best, writers):
            kept = best.columns()
            for columns in tqdm(kept, total=len(best.counts), unit=" classes", disable=None):
                writer.append(*columns)

    def shortfall(self, at_limit: int) -> str:
        """Which classes have fewer detections than they may and which setting gives more.

        Args:
            at_limit: how many images have as many detections as an image may have.

        Returns:
            A note; empty where all classes have enough, or no setting but more proposals helps.
        """
        short = self.best[0].counts < self._limits[0]
        settings, pairs = self._config.detections, self._config.rpn.max_proposals * len(short)
        if not short.any() or (not at_limit and settings.candidates >= pairs):
            return ""
        text = (
            f"note: {short.sum():,} of {len(short):,} {self._level} classes have fewer detections "
            f"than they may, half of these {int(np.median(self.best[0].counts[short])):,} or fewer"
        )
        if at_limit:
            return (
                f"{text}, and {at_limit:,} images have all {settings.max_detections:,} that an "
                "image may have; a higher --most_per_image gives more"
            )
        return (
            f"{text}, as {settings.candidates:,} candidates of an image go into the suppression; a "
            "higher task.model.detections.candidates gives more"
        )
