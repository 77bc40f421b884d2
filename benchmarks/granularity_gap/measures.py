"""The numbers of one training: measured from its detections, kept as JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import inatdet
from benchmarks.granularity_gap.calibrating import calibrated
from benchmarks.granularity_gap.steps import OWN, PROPOSALS, Place
from benchmarks.granularity_gap.study import Reading, Study
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import result_columns
from inatdet.evaluation.calibration import score_counts
from inatdet.evaluation.counting import class_results
from inatdet.evaluation.granularities import Merge, merged
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.proposals import recalls
from inatdet.evaluation.protocol import PROTOCOL_VERSION, Prepared, prepare
from inatdet.evaluation.resampling import Halves
from inatdet.files import write_text

_VERSION = 1
_DIGITS = 5

AP, AP50, ECE = "AP", "AP50", "ECE"

Key = tuple[str, str, str, str]
"""A pass of detection, a reading, a level and a measure."""

ProposalKey = tuple[int, str, str]
"""How many proposals count, a size, and `AR50` or `AR`."""


@dataclass(frozen=True, eq=False)
class Measures:
    """The numbers of one training, each float64 `[1 + halves]`: on all images, then on each half.

    Attributes:
        about: what has to be the same for numbers to be compared: the annotations, the protocol,
            the images and the halves.
        passes: the passes of detection that were measured.
        numbers: in percent.
        proposals: recall of proposals, in percent; empty unless the model is a baseline.
    """

    about: Mapping[str, object]
    passes: Sequence[str]
    numbers: Mapping[Key, np.ndarray]
    proposals: Mapping[ProposalKey, np.ndarray]

    def save(self, path: str) -> None:
        """Writes them."""
        content = {
            "version": _VERSION,
            "about": self.about,
            "passes": list(self.passes),
            "numbers": _to_json(self.numbers),
            "proposals": _to_json(self.proposals),
        }
        write_text(path, json.dumps(content) + "\n")

    @classmethod
    def load(cls, path: str) -> Measures | None:
        """Reads them; None if there are none, or those of another version of this file's form.

        Raises:
            InputError: they cannot be read.
        """
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            if content["version"] != _VERSION:
                return None
            return cls(
                content["about"],
                content["passes"],
                _from_json(content["numbers"]),
                _from_json(content["proposals"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: cannot be read as measures ({error!r}); remove it to measure again"
            ) from error


def _to_json(numbers: Mapping[tuple, np.ndarray]) -> list[list[object]]:
    return [
        [*key, [None if np.isnan(v) else round(float(v), _DIGITS) for v in values]]
        for key, values in numbers.items()
    ]


def _from_json(content: Sequence[Sequence[object]]) -> dict[tuple, np.ndarray]:
    return {tuple(key): np.array(values, np.float64) for *key, values in content}


class Measuring:
    """Measures models, all on the same images and halves.

    Args:
        study: what is compared.
        place: where everything lies.
        resamples: how many halves of the images.
    """

    def __init__(self, study: Study, place: Place, resamples: int):
        self._study, self._place, self._resamples = study, place, resamples

    @functools.cached_property
    def _truth(self) -> inatdet.Annotations:
        return inatdet.read_annotations(self._place.annotations, taxonomy=self._place.taxonomy_file)

    @functools.cached_property
    def _prepared(self) -> Prepared:
        """The images that count, without any detections."""
        return prepare(self._truth, [])

    @functools.cached_property
    def _halves(self) -> Halves:
        kept = self._prepared.kept
        return Halves(np.array([image.id for image in kept.images]), self._resamples)

    @functools.cached_property
    def about(self) -> dict[str, object]:
        """See `Measures`."""
        return {
            "annotations": self._truth.sha256,
            "protocol": PROTOCOL_VERSION,
            "images": len(self._prepared.kept.images),
            "halves": self._resamples,
        }

    def passes_of(self, model: str) -> list[str]:
        """The passes of detection of a model."""
        return [OWN, *(self._study.detections if model == str(self._study.fine) else [])]

    def is_done(self, seed: int, model: str) -> bool:
        """Whether a training has been measured, in this way."""
        found = Measures.load(self._place.measures_file(seed, model))
        if found is None or dict(found.about) != self.about:
            return False
        return set(self.passes_of(model)) <= set(found.passes)

    def measure(self, seed: int, model: str) -> None:
        """Measures a training whose detections are there, and writes the result."""
        level, _ = self._study.models[model]
        numbers = {
            (name, str(reading), str(target), measure): values
            for name in self.passes_of(model)
            for reading, target, found in self._readings(seed, model, name, level)
            for measure, values in self._measured(found, target).items()
        }
        proposals = dict(self._recalls(seed, model)) if model == str(level) else {}
        path = self._place.measures_file(seed, model)
        Measures(self.about, self.passes_of(model), numbers, proposals).save(path)

    def _readings(
        self, seed: int, model: str, name: str, level: Granularity
    ) -> Iterator[tuple[Reading, Granularity, Detections]]:
        """The detections of a pass as they are read at the model's level and at coarser ones."""
        own = self._read(self._place.detections_file(seed, model, name), level)
        yield Reading.NONE, level, own
        for target in self._truth.taxonomy.coarser_or_equal(level)[1:]:
            yield Reading.NONE, target, merged(own, target, Merge.NONE)
            suppressed = merged(own, target, Merge.NMS)
            yield Reading.NMS, target, suppressed
            if model == str(self._study.fine):
                truth = self._prepared.truths[target]
                yield (
                    Reading.CALIBRATED,
                    target,
                    calibrated(suppressed, truth, target, self._halves),
                )
            path = self._place.detections_file(seed, model, name, summed_at=str(target))
            summed = self._read(path, target, summed_from=level)
            yield Reading.MARGINAL, target, summed

    def _read(
        self, path: str, level: Granularity, summed_from: Granularity | None = None
    ) -> Detections:
        """Detections in the images that count."""
        found = inatdet.read_detections(
            path, self._truth, granularity=level, summed_from=summed_from
        )
        return prepare(self._truth, [found]).detections[0]

    def _measured(self, found: Detections, level: Granularity) -> dict[str, np.ndarray]:
        truth = self._prepared.truths[level]
        labelled = Labelled.of(truth, result_columns(found, level))
        matches = labelled.matches()
        whole = 100.0 * class_results(labelled, matches).mean()
        on_halves = self._halves.by_class(labelled, matches).mean()
        values = {
            measure: np.array([whole[place], *on_halves[:, place]])
            for place, measure in enumerate((AP, AP50))
        }
        counts = score_counts(labelled, matches, None, self._halves)
        if counts is not None:
            detections, scores, right = counts.values.sum(axis=1)
            off = np.abs(scores - right).sum(axis=0)
            values[ECE] = 100.0 * off / np.maximum(detections.sum(axis=0), 1)
        return values

    def _recalls(self, seed: int, model: str) -> Iterator[tuple[ProposalKey, np.ndarray]]:
        found = self._read(self._place.detections_file(seed, model, PROPOSALS), Granularity.GENERIC)
        truth = self._prepared.truths[Granularity.GENERIC]
        labelled = Labelled.of(truth, result_columns(found, Granularity.GENERIC), most=None)
        for one in recalls(labelled, self._halves):
            for measure, values in zip(("AR50", "AR"), one.values):
                yield (one.most, one.size, measure), values
