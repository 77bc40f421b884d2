"""What asynchronous training changes: loss curves, the age of gradients, who takes which steps.

    python -m benchmarks.asynchronous --records=runs/mini/records --steps=400

The mini detector is trained with the same settings, the same number of steps and the same images
per step on one device, and asynchronously by 1, 2 and 4 workers. Loss is the mean over a loop of
steps; curves are of the median of --repeats runs with different seeds, and the range is that of the
runs. The age of a gradient is how many updates of other workers came between the reading of the
weights and its own update; with N workers that are equally fast it is N - 1.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from benchmarks import clusters, measuring

_RECORDS = flags.DEFINE_string("records", "runs/mini/records", "Folder of the mini TFRecords.")
_CONFIG = flags.DEFINE_string("config_file", "pipelines/mini_super.yaml", "What is trained.")
_WORKERS = flags.DEFINE_list("workers", ["1", "2", "4"], "Numbers of asynchronous workers.")
_STEPS = flags.DEFINE_integer("steps", 400, "Steps of each run.")
_LOOP = flags.DEFINE_integer("steps_per_loop", 50, "Steps between two values of a curve.")
_REPEATS = flags.DEFINE_integer("repeats", 1, "Runs of each kind, with other seeds.")
_OVERRIDES = flags.DEFINE_string("overrides", "", "More settings.")


def gradient_age(model_dir: Path) -> float:
    """The mean age over a run, without its first loop."""
    import tensorflow as tf

    ages = [
        float(tf.make_ndarray(value.tensor))
        for path in sorted((model_dir / "train").iterdir())
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "gradient_age"
    ]
    return statistics.mean(ages[1:] or ages or [0.0])


def main(argv: Sequence[str]) -> None:
    """Trains and prints."""
    del argv
    ways = {"one device": ("one_device", 1)} | {
        f"{count} asynchronous": ("parameter_server", int(count)) for count in _WORKERS.value
    }
    curves, rows = {}, []
    for name, (strategy, workers) in ways.items():
        runs, ages = [], []
        for seed in range(_REPEATS.value):
            settings = (
                f"task.seed={seed},trainer.train_steps={_STEPS.value},"
                f"trainer.steps_per_loop={_LOOP.value},trainer.summary_interval={_LOOP.value}"
            )
            settings += f",{_OVERRIDES.value}" if _OVERRIDES.value else ""
            with tempfile.TemporaryDirectory() as folder:
                model_dir = Path(folder) / "model"
                runs.append(
                    clusters.train(
                        model_dir, _RECORDS.value, _CONFIG.value, strategy, workers, settings
                    )
                )
                ages.append(gradient_age(model_dir))
        curves[name] = [run.losses for run in runs]
        rates = [run.images_per_second for run in runs]
        said = runs[-1].last if strategy == "parameter_server" else ""
        rows.append((name, f"{statistics.median(rates):.1f}", f"{statistics.mean(ages):.2f}", said))
        clusters.say(rows[-1], runs[-1])
    print(f"{os.cpu_count()} cores, which the processes share; {_CONFIG.value}\n")
    measuring.print_table(("training", "images/s", "age of gradients", "steps"), rows)
    steps = sorted(set.intersection(*(set(run) for runs in curves.values() for run in runs)))
    measuring.print_table(
        ("loss by step", *curves),
        (
            [step, *(_shown([run[step] for run in runs]) for runs in curves.values())]
            for step in steps
        ),
    )


def _shown(losses: list[float]) -> str:
    middle = f"{statistics.median(losses):.3f}"
    return middle if len(losses) < 2 else f"{middle} ({min(losses):.3f} to {max(losses):.3f})"


if __name__ == "__main__":
    app.run(main)
