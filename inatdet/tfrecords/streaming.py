"""The examples of a split in the order in which a model sees them, still serialized."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from inatdet.errors import InputError
from inatdet.tfrecords.copies import Copies, CopiesFile, expected_copies
from inatdet.tfrecords.left_out import Example, LeftOut
from inatdet.tfrecords.order import BUFFERS_PER_BLOCK, Number, Order, Pieces, Place
from inatdet.tfrecords.reading import find_files, read_files, untuned
from inatdet.tfrecords.sampling import PART, Copying
from inatdet.tfrecords.sizes import records_in

_FILES_AT_ONCE = 8  # how many files have their records mixed in training
_AHEAD = 4  # batches that are ready before they are wanted

Keep = Callable[[tf.Tensor], tf.Tensor]
"""From a serialized example to whether it is of use."""


def in_file_order(
    file_pattern: str,
    *,
    keep: Keep | None = None,
    cache: bool = False,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Serialized examples, each once.

    Args:
        file_pattern: the TFRecord files.
        keep: leaves out the examples that are of no use.
        cache: keeps the examples in memory.
        input_context: which part of the files is this worker's; with fewer files than workers,
            which part of the examples.

    Raises:
        InputError: if no file matches.
    """
    data = read_files(find_files(file_pattern), input_context)
    data = data.filter(keep) if keep else data
    return data.cache() if cache else data


class TrainingStream:
    """Serialized examples, shuffled and repeated for ever, from any place on.

    The order is a function of the seed, and each pipeline has its own part: the same in each epoch,
    as long as the others' to within one record, whatever the number and the lengths of the files.

    Args:
        file_pattern: the TFRecord files.
        seed: of the order and of all that is drawn.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the examples in memory.
        keep: leaves out the examples that are of no use.
        resampler: shows some examples more or less often than once per epoch.
        copies_file: keeps how often these two let each example be shown; None to count it anew.
        left_out: leaves damaged examples out and knows which; without it they are errors.
        input_context: how many pipelines there are, and which of them this is, maybe as a tensor.

    Attributes:
        order: of the records.
        pipelines: how many there are.

    Raises:
        InputError: if no file matches, or there are fewer records than pipelines.
    """

    def __init__(
        self,
        file_pattern: str,
        *,
        seed: int,
        shuffle_buffer: int = 2048,
        cache: bool = False,
        keep: Keep | None = None,
        resampler: Copying | None = None,
        copies_file: CopiesFile | None = None,
        left_out: LeftOut | None = None,
        input_context: tf.distribute.InputContext | None = None,
    ):
        self._pattern, self._files = file_pattern, find_files(file_pattern)
        self.pipelines, pipeline = 1, 0
        if input_context:
            self.pipelines = input_context.num_input_pipelines
            pipeline = input_context.input_pipeline_id
        sizes = records_in(self._files)
        if sum(sizes) < self.pipelines:
            raise InputError(
                f"{file_pattern}: has {sum(sizes)} images, too few for {self.pipelines} workers, "
                "each of which reads a part of them; use fewer workers"
            )
        self.order = Order(
            tuple(sizes),
            seed,
            BUFFERS_PER_BLOCK * shuffle_buffer if not cache else sum(sizes),
            self.pipelines,
            pipeline,
            shuffles_files=not cache,
        )
        self._shuffle_buffer, self._cache = shuffle_buffer, cache
        self._keep, self._resampler, self._copies_file = keep, resampler, copies_file
        self._left_out = left_out
        if left_out:
            left_out.begin(self._files, most=sum(sizes) // (2 * self.pipelines))

    def after(self, images: int) -> tf.data.Dataset:
        """The examples that follow on so many of this pipeline.

        Returns:
            Serialized examples; where the resampler divides them, each with the number of a part.
        """
        if self._is_empty():
            nothing = self._read(self.order.pieces(0)).take(0)
            if self._resampler:
                nothing = self._resampler.repeated(nothing, lambda _: tf.constant(0.0))
            return nothing.map(_shown)
        start = self._place_after(images)
        cached = self._read(self.order.pieces(0)).cache() if self._cache else None

        def block_of(epoch: tf.Tensor, block: tf.Tensor, pieces: Pieces) -> tf.data.Dataset:
            data = self._read(pieces, block) if cached is None else cached
            if self._resampler:
                data = self._resampler.repeated(
                    data, lambda one: self.order.copy_draws(epoch, one["file"])[one["number"]]
                )
            tf.random.set_seed(1)  # of this function, or else that of the process would count, too
            data = data.shuffle(self._shuffle_buffer, self.order.shuffle_seed(epoch, block))
            is_first = (epoch == start.epoch) & (block == start.block)
            return data.skip(tf.where(is_first, start.images, 0))

        def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
            pieces = self.order.pieces(epoch)
            first = tf.where(epoch == start.epoch, start.block, 0)
            blocks = tf.data.Dataset.range(first, tf.reduce_max(pieces.block) + 1)
            return blocks.flat_map(lambda block: block_of(epoch, block, pieces))

        data = tf.data.Dataset.counter(start.epoch).flat_map(epoch_of)
        if self._left_out:
            data = self._left_out.without_bad_images(data)
        return data.map(_shown)

    def _read(self, pieces: Pieces, block: Number | None = None) -> tf.data.Dataset:
        """The examples that are of use, of a block or of all, those of several files mixed."""
        files, keep = tf.constant(self._files), self._keep

        def piece(
            file: tf.Tensor, first: tf.Tensor, count: tf.Tensor, _: tf.Tensor
        ) -> tf.data.Dataset:
            records = tf.data.TFRecordDataset(files[file])
            if self._left_out:
                records = records.ignore_errors()
            records = records.skip(first).take(count)
            data = tf.data.Dataset.zip(records, tf.data.Dataset.range(first, first + count))
            data = data.map(lambda r, number: {"record": r, "file": file, "number": number})
            if self._left_out:
                data = self._left_out.up_to_damage(data, file, first, first + count)
            if keep:
                data = data.filter(lambda example: keep(example["record"]))
            return data

        data = tf.data.Dataset.from_tensor_slices(tuple(pieces))
        data = data if block is None else data.filter(lambda *columns: columns[-1] == block)
        return data.interleave(
            piece,
            cycle_length=_FILES_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _place_after(self, images: int) -> Place:
        """For this pipeline, even if its number is a tensor."""
        copies = None
        if images and (self._keep or self._resampler):
            with tf.init_scope():
                copies = self._counted_copies()
        places = [order.place_after(images, copies) for order in self._orders()]
        which = self.order.pipeline if len(places) > 1 else 0
        return Place(*tf.unstack(tf.constant(places, tf.int64)[which]))

    def _counted_copies(self) -> Copies:
        """How often an epoch shows each record, in expectation."""
        files, sizes = self._files, self.order.sizes

        def count() -> Copies:
            return expected_copies(
                files, sizes, self._keep, self._resampler, ignore_errors=bool(self._left_out)
            )

        return self._copies_file.read_or(files, sizes, count) if self._copies_file else count()

    def _is_empty(self) -> bool:
        """Whether there is no example of use, and pipelines would look for one for ever."""
        if not self._keep and not self._resampler:
            return False

        def is_shown(example: Example) -> tf.Tensor:
            if not self._resampler:
                return tf.constant(True)
            return self._resampler.expected(example["record"]) > 0

        with tf.init_scope():
            found = [
                any(True for _ in self._read(order.pieces(0)).filter(is_shown).take(1))
                for order in self._orders()
            ]
        if self.pipelines > 1 and not all(found):
            raise InputError(
                f"{self._pattern}: one of {self.pipelines} workers has no image to train on in its "
                "part of the records; use fewer workers"
            )
        return not all(found)

    def _orders(self) -> list[Order]:
        """The order of this pipeline; those of all, in turn, if its number is a tensor."""
        if isinstance(self.order.pipeline, int):
            return [self.order]
        return [dataclasses.replace(self.order, pipeline=i) for i in range(self.pipelines)]


def _shown(example: Example) -> Any:
    record = example["record"]
    return (record, example[PART]) if PART in example else record


def map_with_seeds(
    data: tf.data.Dataset,
    function: Callable[[Any, tf.Tensor], Any],
    seed_of: Callable[[tf.Tensor], tf.Tensor],
    first: int = 0,
) -> tf.data.Dataset:
    """Maps elements in parallel, each with a seed of its own.

    A seed for each element rather than stateful random operations, whose draws would depend on
    which of the parallel calls comes first, and on how many came before.

    Args:
        data: the elements.
        function: from an element and an int64 `[]` to what takes the element's place.
        seed_of: from the number of an element to its seed.
        first: the number of the first element.
    """
    return data.enumerate(first).map(
        lambda number, element: function(element, seed_of(number)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def made_ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Batches that are ready before they are wanted, in a dataset that is `untuned`."""
    return untuned(batches.prefetch(_AHEAD))
