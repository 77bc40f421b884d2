"""Which images of a stream share a batch: those of one size, else those of similar aspect ratio.

Images are taken from the stream in chunks. Those that do not fill a batch wait for the next chunk,
until a round of many chunks ends; then the widths of batches are bounded less tightly, and the few
images that are left over are not shown. So every round begins without waiting images, whatever came
before, and a run can go on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

# Images share a batch if their aspect ratios lie in the same step of the logarithm, which bounds
# the padding: a batch has at most exp(step) = 1.10 times the pixels of its images. With a third of
# the way from 1:1 to 4:3, the ratios 1:1, 4:3 and 16:9 are in the middle of a step and 3:2 is well
# inside one, so that a few pixels more or less do not separate such images.
ASPECT_STEP = math.log(4 / 3) / 3

BATCHES_PER_CHUNK = 32
"""Of so many batches, most have images of a single size, which need neither padding nor the copies
for it. They come in random order: images of one shape often show fewer kinds of scenes, and batches
of them in a row would pull the weights and the moving statistics of batch norm to and fro."""

CHUNKS_PER_ROUND = 64

BATCHES_READ_PER_ROUND = BATCHES_PER_CHUNK * CHUNKS_PER_ROUND
BATCHES_PER_ROUND = BATCHES_READ_PER_ROUND - 2
"""Less than three batches are left of the three kinds of shapes: wide, nearly square, high."""

_WAITING = tf.int64.max
_ALIKE, _SIMILAR, _OF_ONE_KIND = range(3)  # what the images of a batch have in common
_MANY = 1 << 20  # more than the pixels of a side, or the batches of a chunk


def aspect_group(size: tf.Tensor) -> tf.Tensor:
    """The step of the aspect ratio's logarithm, int64 `[...]`; 0 is nearly square.

    Args:
        size: height and width, `[..., 2]`.
    """
    height, width = tf.unstack(tf.cast(size, tf.float32), axis=-1)
    return tf.cast(tf.round(tf.math.log(width / height) / ASPECT_STEP), tf.int64)


def grouped(
    data: tf.data.Dataset,
    batch_size: int,
    size_of: Callable[[tf.Tensor], tf.Tensor],
    seed_of: Callable[[tf.Tensor], tf.Tensor],
    first_round: int = 0,
) -> tf.data.Dataset:
    """Serialized examples, without end, so ordered that every `batch_size` of them share a batch.

    Args:
        data: serialized examples, without end, from the beginning of a round on.
        batch_size: images per batch.
        size_of: from a serialized example to the image's height and width.
        seed_of: from the number of a chunk to an int64 `[]`.
        first_round: the number of the round that begins.
    """
    records = data.map(lambda one: (one, size_of(one)), num_parallel_calls=tf.data.AUTOTUNE)
    chunks = records.batch(batch_size * BATCHES_PER_CHUNK, drop_remainder=True)
    chunks = chunks.enumerate(first_round * CHUNKS_PER_ROUND)
    nothing = tf.zeros([0], tf.string), tf.zeros([0, 2], tf.int32), tf.constant(0, tf.int64)

    def step(
        state: tuple[tf.Tensor, ...], numbered: tuple[tf.Tensor, tuple[tf.Tensor, ...]]
    ) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        (waiting, sizes, done), (number, (record, size)) = state, numbered
        record, size = tf.concat([waiting, record], 0), tf.concat([sizes, size], 0)
        ends = (number + 1) % CHUNKS_PER_ROUND == 0
        order, whole = arranged(size, batch_size, seed_of(number), ends)
        batches = tf.where(ends, BATCHES_PER_ROUND - done, whole)
        shown, rest = order[: batches * batch_size], order[whole * batch_size :]
        rest = rest[: tf.where(ends, 0, tf.size(rest))]
        state = (
            tf.gather(record, rest),
            tf.gather(size, rest),
            tf.where(ends, tf.constant(0, tf.int64), done + batches),
        )
        return state, tf.gather(record, shown)

    # The next chunk is gathered while the images of this one are decoded.
    return chunks.scan(nothing, step).prefetch(1).unbatch()


def arranged(
    size: tf.Tensor, batch_size: int, seed: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """How to order images so that those of a batch follow one another.

    Args:
        size: heights and widths, int32 `[n, 2]`.
        batch_size: images per batch.
        seed: int64 `[]`, of the order of the batches.
        ends: whether images that do not fill a batch of similar aspect ratio are put together with
            others that are wide, nearly square, or high.

    Returns:
        int32 `[n]`, numbers of images, those that wait at the end, the first of them first; and the
        number of whole batches, int64 `[]`.
    """
    height, width = tf.unstack(tf.cast(size, tf.int64), axis=-1)
    exact, group = height * _MANY + width, aspect_group(size)
    batch = _key(_ALIKE, exact, _batches(exact, batch_size))
    left = tf.where(batch == _WAITING, group, _WAITING)
    batch = tf.minimum(batch, _key(_SIMILAR, group, _batches(left, batch_size)))
    batch = tf.where(ends, tf.minimum(batch, _last(batch, group, batch_size, seed)), batch)
    order = tf.argsort(batch, stable=True)
    whole = tf.math.count_nonzero(batch != _WAITING) // batch_size
    in_batches = tf.reshape(order[: whole * batch_size], [-1, batch_size])
    draws = tf.random.stateless_uniform(tf.shape(in_batches)[:1], [seed, 0], alg="philox")
    mixed = tf.gather(in_batches, tf.argsort(draws))
    return tf.concat([tf.reshape(mixed, [-1]), order[whole * batch_size :]], 0), whole


def _last(batch: tf.Tensor, group: tf.Tensor, batch_size: int, seed: tf.Tensor) -> tf.Tensor:
    """The batches of images that waited: wide, nearly square or high ones by aspect ratio."""
    kind = tf.where(batch == _WAITING, tf.sign(group), _WAITING)
    # Those that are left over are drawn, or the oddest shapes would never be shown.
    draws = tf.random.stateless_uniform(tf.shape(group), [seed, 1], alg="philox")
    mixed = tf.argsort(draws)
    is_taken = _scattered(_batches(tf.gather(kind, mixed), batch_size) >= 0, mixed)
    kind = tf.where(is_taken, kind, _WAITING)
    by_shape = tf.argsort(group, stable=True)
    number = _scattered(_batches(tf.gather(kind, by_shape), batch_size), by_shape)
    return _key(_OF_ONE_KIND, tf.sign(group), number)


def _key(stage: int, common: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """One number for a batch; `_WAITING` for images without a batch."""
    key = (stage * _MANY + _MANY // 2) * _MANY * _MANY + common * _MANY + number
    return tf.where(number >= 0, key, _WAITING)


def _batches(key: tf.Tensor, batch_size: int) -> tf.Tensor:
    """The number of each element's batch among those of its key, in the order in which they come.

    -1 for elements that do not fill a batch, and for the key `_WAITING`.
    """
    order = tf.argsort(key, stable=True)
    ordered = tf.gather(key, order)
    begins = tf.searchsorted(ordered, ordered, side="left")
    count = tf.searchsorted(ordered, ordered, side="right") - begins
    number = (tf.range(tf.size(key)) - begins) // batch_size
    number = tf.where((number < count // batch_size) & (ordered != _WAITING), number, -1)
    return tf.cast(_scattered(number, order), tf.int64)


def _scattered(values: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Values in the order of `tf.argsort` back at their places."""
    return tf.gather(values, tf.argsort(order))
