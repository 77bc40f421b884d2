"""Images per second of several processes here, and the time of a step on many GPUs on paper.

    python -m benchmarks.scaling --records=runs/mini/records
    python -m benchmarks.scaling --processes=0 --step_seconds=0.12 --gpus_per_machine=8

First, `inatdet launch` trains the mini detector with 1, 2 and 4 processes, synchronously and
asynchronously, on the same number of images, and the medians of the images per second that it
reports are compared with those of plain `inatdet train`. The processes share the cores of this
machine, so this shows what distribution costs, and not what it gains: where one process already
uses all cores, the best possible ratio is 1.

Then a model, whose assumptions are flags. By default it is computed for two times of a step: 0.9 s
is what two processor cores take (`benchmarks.training_step`), and 0.1 s is assumed of a GPU, which
makes communication and input matter more. A synchronous step takes the time of the gradients, and
what a ring all-reduce takes beyond the part of them that it can overlap with: each GPU sends and
receives 2 (n - 1) / n times the bytes of the gradients through the slowest link of the ring, which
is that between machines as soon as there are two, shared by nobody else, and 2 (n - 1) messages
wait for one another. An asynchronous worker computes, and moves all weights one way and all
gradients the other, through its share of its machine's link and through those of the servers, which
all workers share; several servers have equal shares of the weights here, although a variable stays
whole, and that of the box codes is two fifths of all. Input is decoded on the processor cores; how
many images a core gives is measured here.

The bytes are those of the trained weights of the detector with --num_classes labels, in float32.
What would remain if the gradients of the last layers were sent as the rows that are not zero is
given too: softmax makes the gradient of the class layer dense, but only the true classes of the
positive proposals have box codes in the loss.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import app, flags

from benchmarks import clusters, measuring
from inatdet.training import cluster

_RECORDS = flags.DEFINE_string("records", "runs/mini/records", "Folder of the mini TFRecords.")
_CONFIG = flags.DEFINE_string("config_file", "pipelines/mini_super.yaml", "What is trained here.")
_PROCESSES = flags.DEFINE_list("processes", ["1", "2", "4"], "How many; 0 measures none.")
_STEPS = flags.DEFINE_integer("steps", 160, "Steps of one process; N together take an N-th.")
_LOOPS = flags.DEFINE_integer("loops", 4, "Parts of a run that are timed; the first is left out.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels of the model on paper.")
_STEP = flags.DEFINE_list("step_seconds", ["0.9", "0.1"], "Gradients of one step on one GPU.")
_IMAGES = flags.DEFINE_integer("images_per_gpu", 1, "Images of one step on one GPU.")
_PER_MACHINE = flags.DEFINE_integer("gpus_per_machine", 8, "GPUs that share a fast link.")
_INSIDE = flags.DEFINE_float("gbit_inside", 400.0, "Gbit/s of a GPU's link within a machine.")
_BETWEEN = flags.DEFINE_float("gbit_between", 25.0, "Gbit/s of a machine's link to others.")
_LATENCY = flags.DEFINE_float("latency_us", 30.0, "Microseconds of a message between machines.")
_OVERLAP = flags.DEFINE_float(
    "overlap", 0.5, "Share of the gradients' time that sums overlap with."
)
_SERVERS = flags.DEFINE_integer("servers", 1, "Parameter servers, each on a machine of its own.")
_CORES = flags.DEFINE_integer("cores_per_machine", 64, "Processor cores of a machine of GPUs.")
_COUNTS = flags.DEFINE_list("gpus", ["1", "2", "4", "8", "9", "16", "32", "64"], "GPUs on paper.")


@dataclass(frozen=True)
class Model:
    """The trained weights of a detector.

    Attributes:
        total: all bytes of its gradients.
        classes: those of the layer that gives the logits.
        boxes: those of the layer that gives the box codes.
        boxes_row: those of one class in the latter.
        positives: the positive proposals of an image, at most.
    """

    total: int
    classes: int
    boxes: int
    boxes_row: int
    positives: int

    @classmethod
    def of(cls, num_classes: int) -> Model:
        """Builds the detector and counts."""
        from inatdet.detection import forms
        from inatdet.detection.experiments import read_experiment

        config = read_experiment(["pipelines/species.yaml"]).task.model
        model = forms.build(config, num_classes)
        sizes = {
            variable.name: variable.dtype.size * variable.shape.num_elements()
            for variable in model.trainable_variables
        }
        layers = {
            layer: sum(size for name, size in sizes.items() if f"{layer}/" in name)
            for layer in ("classes", "boxes")
        }
        return cls(
            sum(sizes.values()),
            layers["classes"],
            layers["boxes"],
            layers["boxes"] // num_classes,
            round(config.head.sample_size * config.head.positive_fraction),
        )

    @property
    def sparse(self) -> int:
        """All bytes, if of the box codes only the rows of an image's classes were sent."""
        return self.total - self.boxes + min(self.boxes, self.positives * self.boxes_row)


def sums_seconds(gpus: int, size: float, step: float) -> float:
    """What summing the gradients adds to a synchronous step of so many seconds."""
    if gpus == 1:
        return 0.0
    machines = -(-gpus // _PER_MACHINE.value)
    gbit = _INSIDE.value if machines == 1 else _BETWEEN.value
    moved = 2 * (gpus - 1) / gpus * size * 8 / (gbit * 1e9)
    moved += 2 * (gpus - 1) * _LATENCY.value * 1e-6 * (machines > 1)
    return max(0.0, moved - _OVERLAP.value * step)


def servers_rate(size: float) -> float:
    """Steps per second that the servers could take; each direction has the whole link."""
    return _SERVERS.value * _BETWEEN.value * 1e9 / 8 / size


def asynchronous_rate(workers: int, size: float, step: float) -> float:
    """Steps per second of all workers."""
    machines = -(-workers // _PER_MACHINE.value)
    of_worker = _BETWEEN.value * 1e9 / 8 * machines / workers  # its share of its machine's link
    return min(workers / (step + 2 * size / of_worker), servers_rate(size))


def images_per_core() -> float:
    """Images of 800 pixels that one core decodes and resizes in a second, flips included."""
    from benchmarks import photographs
    from inatdet.detection import inputs

    with tempfile.TemporaryDirectory() as folder:
        pattern = photographs.write_records(Path(folder), photographs.draw(120))
        data = inputs.make_dataset(
            pattern,
            photographs.lookup(),
            batch_size=1,
            short_edge=600,
            long_edge=1024,
            is_training=True,
            shuffle_buffer=120,
        )
        batches = iter(data)
        next(batches)
        start = measuring.processor_seconds()
        for _ in range(240):
            next(batches)
        return 240 / (measuring.processor_seconds() - start)


def measure_here() -> None:
    """Trains with several processes on this machine."""
    ways = [("one_device", 1)]
    for strategy in cluster.STRATEGIES:
        ways += [(strategy, int(count)) for count in _PROCESSES.value]
    rates: dict[tuple[str, int], float] = {}
    rows = []
    for strategy, workers in ways:
        together = workers if strategy == cluster.SYNCHRONOUS else 1
        steps = -(-_STEPS.value // (_LOOPS.value * together)) * _LOOPS.value
        loop = steps // _LOOPS.value
        settings = (
            f"trainer.train_steps={steps},trainer.steps_per_loop={loop},"
            f"trainer.summary_interval={loop},trainer.checkpoint_interval={steps}"
        )
        with tempfile.TemporaryDirectory() as folder:
            model_dir = Path(folder) / "model"
            try:
                run = clusters.train(
                    model_dir, _RECORDS.value, _CONFIG.value, strategy, workers, settings
                )
            except RuntimeError as error:  # the other rows are worth having all the same
                print(error, file=sys.stderr)
                rows.append((strategy, workers, "failed", "", "", ""))
                continue
        rate = rates[strategy, workers] = run.images_per_second
        plain, one = (rates.get((kind, 1), float("nan")) for kind in ("one_device", strategy))
        said = run.last if strategy == cluster.ASYNCHRONOUS else ""
        rows.append(
            (strategy, workers, f"{rate:.1f}", f"{rate / plain:.2f}", f"{rate / one:.2f}", said)
        )
        clusters.say(rows[-1], run)
    print(f"{os.cpu_count()} cores, which the processes share; {_CONFIG.value}\n")
    measuring.print_table(
        ("strategy", "workers", "images/s", "of plain", "of its one worker", "steps"), rows
    )


def print_on_paper(step: float, model: Model, per_core: float) -> None:
    """Prints what the model gives where one GPU takes so many seconds for a step."""
    rows = []
    for gpus in map(int, _COUNTS.value):
        cells: list[object] = [gpus]
        for size in (model.total, model.sparse):
            whole = step + sums_seconds(gpus, size, step)
            cells += [f"{whole:.3f} s", f"{100 * step / whole:.0f}%"]
        for size in (model.total, model.sparse):
            rate = asynchronous_rate(gpus, size, step)
            cells.append(f"{100 * rate * step / gpus:.0f}%")
        need = gpus * _IMAGES.value / step
        cores = _CORES.value * -(-gpus // _PER_MACHINE.value)
        cells += [f"{need:.1f}", f"{need / cores:.2f}"]
        rows.append(cells)
    print(f"One GPU takes {step:g} s for a step of {_IMAGES.value}.\n")
    measuring.print_table(
        (
            *("GPUs", "synchronous step", "efficiency", "sparse", "efficiency"),
            *("asynchronous efficiency", "sparse", "images/s needed", "per core"),
        ),
        rows,
    )
    print(first_to_break(int(_COUNTS.value[-1]), step, model, per_core), end="\n\n")


def first_to_break(gpus: int, step: float, model: Model, per_core: float) -> str:
    """Which part limits the largest number of GPUs first, in a sentence."""
    machines = -(-gpus // _PER_MACHINE.value)
    input_limit = per_core * _CORES.value * machines / _IMAGES.value
    limits = {
        "the servers' links (asynchronous)": servers_rate(model.total) * step / gpus,
        "the sums of gradients (synchronous)": step
        / (step + sums_seconds(gpus, model.total, step)),
        "decoding images": input_limit * step / gpus,
    }
    parts = ", ".join(f"{name} {100 * min(share, 1):.0f}%" for name, share in limits.items())
    worst = min(limits, key=lambda name: limits[name])
    begin = f"With {gpus} GPUs, of their speed remain by each part alone: {parts}."
    if limits[worst] >= 1:
        return f"{begin} None limits them."
    verb = "is" if worst == "decoding images" else "are"
    return f"{begin} {worst[0].upper()}{worst[1:]} {verb} the first to limit them."


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    if _PROCESSES.value != ["0"]:
        measure_here()
    model, per_core = Model.of(_NUM_CLASSES.value), images_per_core()
    mb = 1e6
    measuring.print_table(
        (f"gradients with {_NUM_CLASSES.value} classes", "MB"),
        [
            ("all", f"{model.total / mb:.1f}"),
            ("of these, class layer", f"{model.classes / mb:.1f}"),
            ("of these, box layer", f"{model.boxes / mb:.1f}"),
            (f"all, box layer as {model.positives} rows an image", f"{model.sparse / mb:.1f}"),
        ],
    )
    print(f"One core gives {per_core:.1f} images/s.\n")
    for step in map(float, _STEP.value):
        print_on_paper(step, model, per_core)


if __name__ == "__main__":
    app.run(main)
