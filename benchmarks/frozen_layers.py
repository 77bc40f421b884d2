"""Training with frozen layers, and from cached features, against training everything.

    python -m benchmarks.frozen_layers --rounds=9

The detector of a pipeline trains on a batch of noise with two boxes in each image: all of it, with
the trunk frozen, and from the trunk's features. Each is in a process of its own, and they take
turns, a step at a time; medians are compared. Weights are random, which does not affect the time.
The batch is ready in memory; from cached features, training also decodes no image, which is not
counted here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from benchmarks.peers.process import Peer, take_turns

_ROUNDS = flags.DEFINE_integer("rounds", 9, "Steps timed of each.")
_CONFIG = flags.DEFINE_string("config_file", "pipelines/finetune_species.yaml", "The settings.")
_OVERRIDE = flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f.")
_IMAGES = flags.DEFINE_integer("images", 4, "Images per step.")
_HEIGHT = flags.DEFINE_integer("height", 320, "Of the images, in pixels.")
_WIDTH = flags.DEFINE_integer("width", 427, "Of the images, in pixels.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 25, "Labels without the background.")

_ALL, _FROZEN, _CACHED = "everything trained", "trunk frozen", "cached features"
_BLOCK = "task.model.backbone.frozen_until"
_VARIANTS = {
    _ALL: (f"{_BLOCK}=''", False),
    _FROZEN: (f"{_BLOCK}=mixed7", False),
    _CACHED: (f"{_BLOCK}=mixed7", True),
}


def peer_of(override: str, cached: bool) -> Peer:
    """A process that trains one of the variants."""
    settings = ["task.feature_cache=''", override, _OVERRIDE.value]
    return Peer(
        "benchmarks.peers.ours",
        f"--config_file={_CONFIG.value}",
        f"--params_override={','.join(filter(None, settings))}",
        f"--images={_IMAGES.value}",
        f"--height={_HEIGHT.value}",
        f"--width={_WIDTH.value}",
        f"--num_classes={_NUM_CLASSES.value}",
        f"--cached={str(cached).lower()}",
    )


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    with contextlib.ExitStack() as stack:
        peers = {
            name: stack.enter_context(peer_of(*variant)) for name, variant in _VARIANTS.items()
        }
        take_turns(peers, _ROUNDS.value)
    measuring.print_table(
        ("training", "step", "images/s", "peak memory"),
        (
            (name, f"{p.median:.2f} s", f"{_IMAGES.value / p.median:.2f}", f"{p.peak_gib:.2f} GiB")
            for name, p in peers.items()
        ),
    )
    everything = peers[_ALL].median
    measuring.print_targets(
        [
            Target(f"{_FROZEN}, faster", everything / peers[_FROZEN].median, 2.0),
            Target(f"{_CACHED}, faster", everything / peers[_CACHED].median, 2.0),
            Target(
                f"{_CACHED}, faster than {_FROZEN}",
                peers[_FROZEN].median / peers[_CACHED].median,
                1.0,
            ),
        ]
    )


if __name__ == "__main__":
    app.run(main)
