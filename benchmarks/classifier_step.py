"""Time and memory of a classifier's training step, with Keras and torchvision.

    python -m benchmarks.classifier_step --rounds=5

Inception V3 at 299 pixels in batches of 32 with 5,089 labels, each in a process of its own on
noise; weights are random, which does not affect the time. The processes take turns; medians are
compared. Keras' `fit` is measured with the weight decay of its regularizers, as ours, and without;
it keeps no averages of the weights, nor does torchvision, and ours does. torchvision is left out
where PyTorch is not installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from benchmarks.peers.process import Peer, take_turns

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Steps timed per classifier.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per step.")
_SIDE = flags.DEFINE_integer("image_size", 299, "Height and width, in pixels.")
_LIMIT = flags.DEFINE_float("start_limit", 600.0, "Seconds allowed until the first step ends.")

_OURS = "inatdet"
_KERAS, _KERAS_PLAIN = "Keras' fit", "Keras' fit without weight decay"
_TORCHVISION = "torchvision"
_PEERS = {
    _KERAS: ("benchmarks.peers.keras_inception",),
    _KERAS_PLAIN: ("benchmarks.peers.keras_inception", "--noweight_decay"),
    _TORCHVISION: ("benchmarks.peers.torchvision_inception",),
}
_BOUNDS = {_KERAS: 1.0, _TORCHVISION: 1.2}


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    sizes = (f"--batch_size={_BATCH.value}", f"--image_size={_SIDE.value}")
    names = [name for name in _PEERS if name != _TORCHVISION or importlib.util.find_spec("torch")]
    rows, targets = [], []
    with Peer("benchmarks.peers.classifier", *sizes, limit=_LIMIT.value) as ours:
        for name in names:
            ours.times.clear()
            with Peer(*_PEERS[name], *sizes, limit=_LIMIT.value) as peer:
                take_turns({_OURS: ours, name: peer}, _ROUNDS.value)
            for label, one in ((f"{_OURS}, beside the next", ours), (name, peer)):
                start = f"{one.first_step:.1f} s"
                rows.append((label, f"{one.median:.2f} s", f"{one.peak_gib:.2f} GiB", start))
            if name in _BOUNDS:
                ratio = peer.median / ours.median
                targets.append(Target(f"step, faster than {name}", ratio, _BOUNDS[name]))
    measuring.print_table(("classifier", "step", "peak memory", "start to first step"), rows)
    measuring.print_targets(targets)
    if _TORCHVISION not in names:
        print("PyTorch is not installed, so torchvision was left out.")


if __name__ == "__main__":
    app.run(main)
