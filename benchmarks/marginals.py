"""What detections by summed probabilities cost beside the species detections.

    python -m benchmarks.marginals
    python -m benchmarks.marginals --model_dir=MODEL --input='RECORDS/val-*.tfrecord'

Species alone, with super-classes and generic labels from the same pass, and with genera and
families as well take turns, each turn in another order. Each turn gives a ratio; medians are
printed. Without a model: the paper's detector with random weights, noise of 600x800 pixels, 2,854
species in the published super-classes, of invented genera and families. With one: the first batches
of some records, at all levels that its label spaces have. With `--boxes=mean`, coarse labels have
the mean of their classes' boxes. Processor time is that of all threads: on a busy machine it says
more than seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks.full_size import PUBLISHED
from benchmarks.measuring import Target, both_seconds, invented_batch, print_table, print_targets
from inatdet.data.granularity import Granularity
from inatdet.detection import forms
from inatdet.detection.detector_config import MarginalBoxes
from inatdet.detection.experiments import read_experiment, read_saved
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.marginals import marginals
from inatdet.detection.task import DetectionTask
from inatdet.networks import checkpoints
from inatdet.training import experiment

_ROUNDS = flags.DEFINE_integer("rounds", 15, "Detections timed of each.", lower_bound=1)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "A trained species model.")
_INPUT = flags.DEFINE_string("input", None, "With --model_dir, a pattern of TFRecord files.")
_PROPOSALS = flags.DEFINE_list("proposals", ["300", "32"], "Without it, how many per image.")
_BOXES = flags.DEFINE_enum_class(
    "boxes", MarginalBoxes.MOST_PROBABLE, MarginalBoxes, "Of coarse labels."
)
_BATCHES = 4  # of the records, one after the other
_MOST = 1.1  # times the species detections alone
_GENERA, _FAMILIES = 1900, 500

Batch = Mapping[str, tf.Tensor]
Groups = Mapping[str, tuple[np.ndarray, int]]
"""By level, the group of each class and how many groups there are, for `marginals`."""


class Case(NamedTuple):
    """A detector, its levels and what it detects in."""

    name: str
    model: FasterRCNN
    groups: Groups
    batches: Sequence[Batch]
    signature: Mapping[str, tf.TensorSpec]


def _invented(proposals: int) -> Case:
    counts = [count for count, _ in PUBLISHED.values()]
    species = sum(counts)
    groups = {
        "genus": (np.arange(species) * _GENERA // species, _GENERA),
        "family": (np.arange(species) * _FAMILIES // species, _FAMILIES),
        "super": (np.repeat(np.arange(len(counts)), counts), len(counts)),
        "generic": (np.zeros(species, np.int64), 1),
    }
    override = f"task.model.rpn.max_proposals={proposals}"
    settings = read_experiment(["pipelines/species.yaml"], override).task.model
    batch = invented_batch(1, 600, 800, species)
    batch = {name: tf.constant(value) for name, value in batch.items()}
    signature = {name: tf.TensorSpec.from_tensor(value) for name, value in batch.items()}
    model = forms.build(settings, species)
    return Case(f"{proposals} proposals", model, groups, [batch], signature)


def _trained(model_dir: str, pattern: str) -> Case:
    params = read_saved(model_dir, "")
    params.task.validation_data.override({"input_path": pattern, "is_training": False})
    taxonomy = experiment.label_spaces(params, model_dir)
    task = DetectionTask(params.task, logging_dir=model_dir)
    model = task.build_model()
    checkpoints.restore(model, checkpoints.newest(model_dir))
    own = Granularity(params.task.granularity)
    labels = np.arange(1, taxonomy.num_labels(own) + 1)
    groups = {
        str(level): (taxonomy.coarsen(labels, own, level) - 1, taxonomy.num_labels(level))
        for level in taxonomy.coarser_or_equal(own)[1:]
    }
    batches = task.build_inputs(params.task.validation_data)
    return Case(model_dir, model, groups, list(batches.take(_BATCHES)), batches.element_spec)


Ways = Mapping[str, Callable[[Batch], list[tf.Tensor]]]
"""The graphs that take turns, by what they detect."""


def _ways(case: Case) -> Ways:
    boxes = _BOXES.value

    def graph(coarser: Sequence[str]) -> Callable[[Batch], list[tf.Tensor]]:
        @tf.function(input_signature=[case.signature])
        def detect(batch: Batch) -> list[tf.Tensor]:
            fine = case.model.classify(batch, training=False)
            groupings = [case.groups[level] for level in coarser]
            views = [fine, *marginals(fine, groupings, boxes)]
            found = [case.model.detections_of(view, batch["image_size"]) for view in views]
            return [part for view in found for part in (view.boxes, view.scores, view.labels)]

        return detect

    few = [level for level in case.groups if level in ("super", "generic")]
    ways = {"species alone": graph(()), "with super and generic": graph(few)}
    if len(case.groups) > len(few):
        ways[f"with {', '.join(case.groups)}"] = graph(tuple(case.groups))
    return ways


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    if _MODEL_DIR.value:
        cases = iter([_trained(_MODEL_DIR.value, _INPUT.value)])
    else:
        cases = (_invented(int(proposals)) for proposals in _PROPOSALS.value)
    rows, targets = [], []
    for case in cases:
        ways = _ways(case)
        times = _take_turns(case, ways)
        alone, *others = ways
        for name in ways:
            ratios = np.median(times[name] / times[alone], axis=0)
            more = [f"{100 * (ratio - 1):+.1f}%" if name in others else "" for ratio in ratios]
            took, used = (f"{1000 * value:.0f} ms" for value in np.median(times[name], axis=0))
            rows.append((case.name, name, took, more[0], used, more[1]))
            if name in others:
                for unit, ratio in zip(("time", "processor time"), ratios):
                    what = f"{case.name}, {name}, {unit}"
                    targets.append(Target(what, float(ratio), _MOST, at_most=True))
    print_table(("what", "detections", "a batch", "more", "processor time", "more"), rows)
    print_targets(targets)


def _take_turns(case: Case, ways: Ways) -> dict[str, np.ndarray]:
    """Seconds and seconds of processor time, float64 `[rounds, 2]`, of each way."""
    for batch, way in itertools.product(case.batches, ways.values()):
        way(batch)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(_ROUNDS.value):
        batch = case.batches[turn % len(case.batches)]
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            way = ways[name]
            times[name].append(both_seconds(lambda: [x.numpy() for x in way(batch)]))  # noqa: B023
    return {name: np.array(values) for name, values in times.items()}


if __name__ == "__main__":
    app.run(main)
