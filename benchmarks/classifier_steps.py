"""Time and memory of a training step of each network of Table 3, at 299 pixels and 5,089 labels.

    python -m benchmarks.classifier_steps --memory_gib=16

Each network is built in a process of its own and makes a first step, which builds the graph, and
--steps more on noise. The batch is the largest of 32, 16, 8, ... whose peak memory stays within
--memory_gib: a batch that needs more is ended and halved. Prints a Markdown table, line by line.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app, flags

from benchmarks.peers.process import Peer
from inatdet.networks.classifiers import TABLE_3

_MEMORY = flags.DEFINE_float("memory_gib", 16.0, "The most memory that a step may take.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "The largest batch that is tried.")
_SIDE = flags.DEFINE_integer("image_size", 299, "Height and width, in pixels.")
_STEPS = flags.DEFINE_integer("steps", 3, "Steps after the first; their median counts.")
_LIMIT = flags.DEFINE_float("start_limit", 1800.0, "Seconds allowed until the first step ends.")
_NETWORKS = flags.DEFINE_list("networks", list(TABLE_3), "Which networks.")


def measure(network: str, batch: int) -> Peer | None:
    """A network's steps with a batch, or None if they need more memory or end in an error."""
    flags_ = (
        f"--params_override=task.model.network={network}",
        f"--batch_size={batch}",
        f"--image_size={_SIDE.value}",
    )
    try:
        with Peer("benchmarks.peers.classifier", *flags_, limit=_LIMIT.value) as peer:
            for _ in range(_STEPS.value):
                if peer.peak_gib > _MEMORY.value:
                    return None
                peer.step()
    except RuntimeError:  # the process was ended for lack of memory
        return None
    return peer if peer.peak_gib <= _MEMORY.value else None


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    print("| network | batch | step | images/s | peak memory | start to first step |")
    print("|---|---|---|---|---|---|", flush=True)
    for network in _NETWORKS.value:
        batch = _BATCH.value
        while batch and (peer := measure(network, batch)) is None:
            batch //= 2
        if not batch:
            print(f"| {network} | none fits | | | | |", flush=True)
            continue
        print(
            f"| {network} | {batch} | {peer.median:.1f} s | {batch / peer.median:.2f} "
            f"| {peer.peak_gib:.1f} GiB | {peer.first_step:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
