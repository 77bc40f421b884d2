"""How long a training run takes to go on where it was, compared with nothing but reading.

    python -m benchmarks.resuming --images=4000

Shards of 100 records with as many random bytes as iNat2017's photographs have (250 kB) are written,
and then read, by themselves (`tf.data.TFRecordDataset`, eight files mixed) and as training does
before it decodes, from the beginning and from places within an epoch. Going on reads again what
came before in the same block of the order, without decoding it: the worst place is the end of a
block, which has 16 times the shuffle buffer. `--shuffle_buffer` is smaller than the default of
2,048, so that there are several blocks. Prints Markdown tables.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from inatdet.tfrecords.order import BUFFERS_PER_BLOCK
from inatdet.tfrecords.streaming import TrainingStream

_IMAGES = flags.DEFINE_integer("images", 4000, "Records that are written.")
_BYTES = flags.DEFINE_integer("bytes", 250_000, "Bytes of a record.")
_BUFFER = flags.DEFINE_integer("shuffle_buffer", 64, "Records from which the next one is drawn.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each way is timed.")

_PER_SHARD = 100
_BUFFER_BY_DEFAULT = 2048


def write(folder: str) -> str:
    """Writes records of random bytes; returns the pattern of their files."""
    rng = np.random.default_rng(0)
    shards = -(-_IMAGES.value // _PER_SHARD)
    for shard in range(shards):
        path = os.path.join(folder, f"train-{shard:05}-of-{shards:05}.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(min(_PER_SHARD, _IMAGES.value - shard * _PER_SHARD)):
                writer.write(rng.bytes(_BYTES.value))
    return os.path.join(folder, "train-*")


def seconds_until(data: tf.data.Dataset, count: int) -> float:
    """Until so many elements have come."""
    begin = time.perf_counter()
    for _ in data.take(count):
        pass
    return time.perf_counter() - begin


def bare(pattern: str) -> tf.data.Dataset:
    """The records of eight files at once, and nothing else."""
    return tf.data.Dataset.list_files(pattern).interleave(
        tf.data.TFRecordDataset, cycle_length=8, num_parallel_calls=tf.data.AUTOTUNE
    )


def stream_of(pattern: str) -> TrainingStream:
    """The order of training, always the same."""
    return TrainingStream(pattern, seed=1, shuffle_buffer=_BUFFER.value)


def lengths_of_blocks(stream: TrainingStream) -> tuple[int, int]:
    """Records in the first and in the last block; shards of one length make all epochs alike."""
    pieces = stream.order.pieces(0)
    lengths = np.bincount(pieces.block, pieces.count).astype(int)
    return int(lengths[0]), int(lengths[-1])


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        pattern = write(folder)
        block, last_block = lengths_of_blocks(stream_of(pattern))
        places = {  # images before it, and how many of them are read again
            "the beginning": (0, 0),
            "the middle of a block": (block // 2, block // 2),
            "the end of a block": (block - 1, block - 1),
            "the end of the tenth epoch": (10 * _IMAGES.value - 1, last_block - 1),
        }
        found: dict[str, list[float]] = {name: [] for name in ("bare", "stream", *places)}
        for _ in range(_ROUNDS.value):
            stream = stream_of(pattern)
            found["bare"].append(_IMAGES.value / seconds_until(bare(pattern), _IMAGES.value))
            took = seconds_until(stream.after(0), _IMAGES.value)
            found["stream"].append(_IMAGES.value / took)
            for name, (images, _) in places.items():
                found[name].append(seconds_until(stream.after(images), 1))
    medians = {name: float(np.median(values)) for name, values in found.items()}
    measuring.print_table(
        ("going on from", "records read again", "seconds to the first record"),
        ((name, f"{again:,}", f"{medians[name]:.2f}") for name, (_, again) in places.items()),
    )
    again = (block - 1) / (medians["the end of a block"] - medians["the beginning"])
    at_most = BUFFERS_PER_BLOCK * _BUFFER_BY_DEFAULT
    measuring.print_table(
        ("records", "per second"),
        (
            ("read by themselves", f"{medians['bare']:,.0f}"),
            ("read in training's order", f"{medians['stream']:,.0f}"),
            ("read again", f"{again:,.0f}"),
        ),
    )
    print(
        f"With the default shuffle buffer of {_BUFFER_BY_DEFAULT:,}, at most about {at_most:,} "
        f"records are read again, however many there are: {at_most / again:.0f} s here."
    )
    measuring.print_targets(
        [
            Target(
                "training's order, of reading by itself", medians["stream"] / medians["bare"], 0.7
            ),
            Target("reading again, of reading by itself", again / medians["bare"], 0.7),
        ]
    )


if __name__ == "__main__":
    app.run(main)
