"""What a step costs with class-agnostic boxes, two factors, and losses at several levels.

    python -m benchmarks.switches --rounds=7

At 600x800, batch 1, 2,854 species, against the same step without. Each detector trains in a process
of its own on noise with two boxes, with random weights, and takes turns with the one without a
switch; medians are compared. The levels are the published super-classes. `--mode=detect` times
detection instead.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from absl import app, flags

from benchmarks.measuring import Target, print_table, print_targets
from benchmarks.peers.process import Peer, take_turns

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Steps timed per detector.", lower_bound=1)
_MODE = flags.DEFINE_enum("mode", "train", ["train", "detect"], "What is timed.")

_AGNOSTIC = "task.model.head.class_agnostic_boxes=true"
_FACTORS = "task.model.head.separate_objectness=true"
_LEVELS = "task.model.losses.level_weights={super: .5, generic: .5}"
_VARIANTS = {
    "class-agnostic boxes": _AGNOSTIC,
    "separate objectness": _FACTORS,
    "losses at three levels": _LEVELS,
    "all three": f"{_AGNOSTIC},{_FACTORS},{_LEVELS}",
}
_WITHOUT = "without"
_MOST = 1.05  # times a step without


def row(name: str, peer: Peer, ratio: float | None = None) -> tuple[str, ...]:
    """A line of the table."""
    return (
        name,
        f"{peer.parameters / 1e6:.1f} M",
        f"{4 * peer.parameters / 2**20:.0f} MiB",
        f"{peer.median:.2f} s",
        "" if ratio is None else f"{ratio:.2f}",
        f"{peer.peak_gib:.2f} GiB",
    )


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    module, mode = "benchmarks.peers.ours", f"--mode={_MODE.value}"
    rows, targets = [], []
    with Peer(module, mode) as without:
        for name, settings in _VARIANTS.items():
            with Peer(module, mode, f"--params_override={settings}") as peer:
                without.times.clear()
                take_turns({_WITHOUT: without, name: peer}, _ROUNDS.value)
            # Of two steps in a row, one with and one without, the machine was the same.
            ratio = statistics.median(
                mine / theirs for mine, theirs in zip(peer.times, without.times)
            )
            rows += [row(f"{_WITHOUT}, beside the next", without), row(name, peer, ratio)]
            targets.append(Target(f"{name}, of a step without", ratio, _MOST, at_most=True))
    print_table(("switch", "weights", "gradients", "a step", "of one without", "peak memory"), rows)
    print_targets(targets)


if __name__ == "__main__":
    app.run(main)
