"""Time of detecting in one image of 600x800, 2,854 species, against torchvision.

    python -m benchmarks.detection --rounds=7

Each detector runs in a process of its own, on the same noise with random weights; the processes
take turns and medians are compared, with 300 proposals and detections and with 32. torchvision
drops scores below .05 before suppression, with random weights all of them, so the time compared
does not include its suppression. With `threshold 0`, torchvision gives what ours gives, the best
detections whatever their score.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from benchmarks.peers.process import Peer, take_turns

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Detections timed per detector.")
_AT_LEAST = {300: 1.4, 32: 2.5}  # times faster


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    rows, targets = [], []
    for proposals, at_least in _AT_LEAST.items():
        settings = f"task.model.rpn.max_proposals={proposals}"
        settings += f",task.model.detections.max_detections={proposals}"
        torchvision = ("benchmarks.peers.torchvision_fpn", "--mode=detect")
        torchvision += (f"--proposals={proposals}",)
        commands = {
            "inatdet": ("benchmarks.peers.ours", "--mode=detect", f"--params_override={settings}"),
            "torchvision": torchvision,
            "torchvision, threshold 0": (*torchvision, "--score_threshold=0"),
        }
        with contextlib.ExitStack() as stack:
            peers = {
                name: stack.enter_context(Peer(*command)) for name, command in commands.items()
            }
            take_turns(peers, _ROUNDS.value)
        for name, peer in peers.items():
            rows.append((name, proposals, f"{peer.median:.3f} s", f"{peer.peak_gib:.2f} GiB"))
        for name in ("torchvision", "torchvision, threshold 0"):
            ratio = peers[name].median / peers["inatdet"].median
            what = f"detection, {proposals} proposals, faster than {name}"
            targets.append(Target(what, ratio, at_least))
    measuring.print_table(("detector", "proposals", "one image", "peak memory"), rows)
    measuring.print_targets(targets)


if __name__ == "__main__":
    app.run(main)
