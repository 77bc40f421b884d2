"""What detections by summed probabilities cost beside the species detections.

    python -m benchmarks.marginals

The paper's detector with random weights, noise of 600x800 pixels, 2,854 species in the published
super-classes. Two ways take turns: species alone, and with super-classes and generic labels from
the same pass.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks.full_size import PUBLISHED
from benchmarks.measuring import Target, invented_batch, print_table, print_targets, seconds
from inatdet.detection import forms
from inatdet.detection.experiments import read_experiment
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.marginals import marginal

_ROUNDS = flags.DEFINE_integer("rounds", 15, "Detections timed of each.", lower_bound=1)
_MOST = 1.1  # times the species detections alone


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    counts = [count for count, _ in PUBLISHED.values()]
    groups = {
        "super": (np.repeat(np.arange(len(counts)), counts), len(counts)),
        "generic": (np.zeros(sum(counts), np.int64), 1),
    }
    rows, targets = [], []
    for proposals in (300, 32):
        override = f"task.model.rpn.max_proposals={proposals}"
        settings = read_experiment(["pipelines/species.yaml"], override).task.model
        model = forms.build(settings, sum(counts))
        batch = invented_batch(1, 600, 800, sum(counts))
        batch = {name: tf.constant(value) for name, value in batch.items()}

        def detect(coarser: Sequence[str], model: FasterRCNN = model, batch: dict = batch):
            fine = model.classify(batch, training=False)
            views = [fine, *(marginal(fine, *groups[name]) for name in coarser)]
            return [model.detections_of(view, batch["image_size"]).count for view in views]

        graphs = {
            "species alone": tf.function(lambda: detect(())),
            "with super and generic": tf.function(lambda: detect(tuple(groups))),
        }
        for graph in graphs.values():
            graph()
        times: dict[str, list[float]] = {name: [] for name in graphs}
        for _ in range(_ROUNDS.value):
            for name, graph in graphs.items():
                times[name].append(seconds(lambda: [x.numpy() for x in graph()]))  # noqa: B023
        alone, both = (statistics.median(values) for values in times.values())
        rows.append(
            (proposals, f"{alone:.3f} s", f"{both:.3f} s", f"{100 * (both / alone - 1):+.1f}%")
        )
        what = f"super and generic too, {proposals} proposals"
        targets.append(Target(what, both / alone, _MOST, at_most=True))
    print_table(("proposals", *graphs, "more"), rows)
    print_targets(targets)


if __name__ == "__main__":
    app.run(main)
