"""Time and memory of a training step at 600x800, batch 1, with torchvision and Model Garden.

    python -m benchmarks.training_step --rounds=5

Each detector trains in a process of its own on noise with two boxes; weights are random, which does
not affect the time. The processes take turns; medians are compared. `torchvision, 64 proposals`
has as many proposals in the loss as ours; torchvision's default is 512. Model Garden resizes the
same image onto its 1024x1024 canvas. Its model is built without the class-by-class suppression of
detections, which training does not use; how long the model takes to build with its defaults is
measured separately, with --start_limit as the limit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from benchmarks.peers.process import Peer, take_turns

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Steps timed per detector.")
_AGAINST = flags.DEFINE_multi_enum(
    "against",
    ["one class", "torchvision", "model garden", "start"],
    ["one class", "torchvision", "model garden", "start"],
    "Comparisons to make; `start` is Model Garden's first step with its defaults.",
)
_START_LIMIT = flags.DEFINE_float("start_limit", 1200.0, "Seconds allowed to `start`.")

_OURS = "inatdet, 2,854 species"
_TORCHVISION, _SAME_SAMPLE = "torchvision", "torchvision, 64 proposals"
_MODEL_GARDEN = "Model Garden, 1024x1024"
_PEERS = {
    "inatdet, 1 class": ("benchmarks.peers.ours", "--num_classes=1"),
    _TORCHVISION: ("benchmarks.peers.torchvision_fpn",),
    _SAME_SAMPLE: ("benchmarks.peers.torchvision_fpn", "--sampled=64"),
    _MODEL_GARDEN: ("benchmarks.peers.model_garden_fpn", "--nonms"),
}


def row(name: str, peer: Peer) -> tuple[str, ...]:
    """A line of the table of measurements."""
    start = f"{peer.first_step:.1f} s"
    return name, f"{peer.median:.2f} s", f"{peer.peak_gib:.2f} GiB", start


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    rows, targets = [], []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Peer("benchmarks.peers.ours"))
        targets.append(
            Target("process start to first step", ours.first_step, 90.0, at_most=True, unit="s")
        )

        def beside(name: str) -> tuple[float, Peer]:
            """A peer's time over ours, as they take turns; the peer ends before the next starts."""
            ours.times.clear()
            with Peer(*_PEERS[name]) as peer:
                take_turns({_OURS: ours, name: peer}, _ROUNDS.value)
                rows.append(row(f"{_OURS}, beside the next", ours))
                rows.append(row(name, peer))
                return peer.median / ours.median, peer

        if "one class" in _AGAINST.value:
            ratio, _ = beside("inatdet, 1 class")
            targets.append(Target("step, 2,854 species against 1 class", 1 / ratio, 1.15, True))
        if "torchvision" in _AGAINST.value:
            ratio, peer = beside(_TORCHVISION)
            targets.append(Target("step, faster than torchvision", ratio, 2.5))
            memory = ours.peak_gib / peer.peak_gib
            targets.append(Target("peak memory of a step, of torchvision's", memory, 1.0, True))
            ratio, _ = beside(_SAME_SAMPLE)
            targets.append(Target("step, faster than torchvision, 64 proposals", ratio, 2.5))
        if "model garden" in _AGAINST.value:
            ratio, _ = beside(_MODEL_GARDEN)
            targets.append(Target("step, faster than Model Garden", ratio, 4.0))
    measuring.print_table(("detector", "step", "peak memory", "start to first step"), rows)
    measuring.print_targets(targets)
    if "start" in _AGAINST.value:
        with Peer("benchmarks.peers.model_garden_fpn", limit=_START_LIMIT.value) as peer:
            took = f"{peer.first_step:.0f} s" if peer.first_step else f"> {_START_LIMIT.value:g} s"
            print(f"Model Garden's first step, with suppression as it comes: {took}")


if __name__ == "__main__":
    app.run(main)
