"""The architecture of Inception V3 as tables: stem, blocks of the trunk, blocks of the head stage.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, in the
form of Keras applications.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Union


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution, batch norm and ReLU.

    Attributes:
        filters: of Inception V3, before the width is applied.
        kernel: height and width.
        stride: in both directions.
        shrinks: whether it has VALID padding in the classification network.
    """

    filters: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    shrinks: bool = False


@dataclasses.dataclass(frozen=True)
class Pool:
    """A pooling of 3x3 cells.

    Attributes:
        stride: 1 for averages, with SAME padding; 2 for maxima, with VALID padding in the
            classification network.
    """

    stride: int


@dataclasses.dataclass(frozen=True)
class Fork:
    """Parallel convolutions of one input, their outputs concatenated."""

    ways: tuple[Conv, ...]


Step = Union[Conv, Pool, Fork]


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Parallel branches of steps on one input, their outputs concatenated."""

    name: str
    branches: tuple[tuple[Step, ...], ...]


def _mixed_35(name: str, pool_filters: int) -> Mixed:
    return Mixed(
        name,
        (
            (Conv(64),),
            (Conv(48), Conv(64, (5, 5))),
            (Conv(64), Conv(96, (3, 3)), Conv(96, (3, 3))),
            (Pool(1), Conv(pool_filters)),
        ),
    )


def _mixed_17(name: str, filters: int) -> Mixed:
    row, column = (1, 7), (7, 1)
    return Mixed(
        name,
        (
            (Conv(192),),
            (Conv(filters), Conv(filters, row), Conv(192, column)),
            (
                Conv(filters),
                Conv(filters, column),
                Conv(filters, row),
                Conv(filters, column),
                Conv(192, row),
            ),
            (Pool(1), Conv(192)),
        ),
    )


def _mixed_8(name: str) -> Mixed:
    fork = Fork((Conv(384, (1, 3)), Conv(384, (3, 1))))
    return Mixed(
        name,
        (
            (Conv(320),),
            (Conv(384), fork),
            (Conv(448), Conv(384, (3, 3)), fork),
            (Pool(1), Conv(192)),
        ),
    )


STEM: tuple[Step, ...] = (
    Conv(32, (3, 3), stride=2, shrinks=True),
    Conv(32, (3, 3), shrinks=True),
    Conv(64, (3, 3)),
    Pool(2),
    Conv(80, (1, 1), shrinks=True),
    Conv(192, (3, 3), shrinks=True),
    Pool(2),
)

TRUNK_BLOCKS = (
    _mixed_35("mixed0", pool_filters=32),
    _mixed_35("mixed1", pool_filters=64),
    _mixed_35("mixed2", pool_filters=64),
    Mixed(
        "mixed3",
        (
            (Conv(384, (3, 3), stride=2, shrinks=True),),
            (Conv(64), Conv(96, (3, 3)), Conv(96, (3, 3), stride=2, shrinks=True)),
            (Pool(2),),
        ),
    ),
    _mixed_17("mixed4", 128),
    _mixed_17("mixed5", 160),
    _mixed_17("mixed6", 160),
    _mixed_17("mixed7", 192),
)

HEAD_BLOCKS = (
    Mixed(
        "mixed8",
        (
            (Conv(192), Conv(320, (3, 3), stride=2, shrinks=True)),
            (
                Conv(192),
                Conv(192, (1, 7)),
                Conv(192, (7, 1)),
                Conv(192, (3, 3), stride=2, shrinks=True),
            ),
            (Pool(2),),
        ),
    ),
    _mixed_8("mixed9"),
    _mixed_8("mixed10"),
)

BLOCKS = tuple(block.name for block in (*TRUNK_BLOCKS, *HEAD_BLOCKS))
"""The names of all blocks, from the stem on."""

TRUNK_END = TRUNK_BLOCKS[-1].name


def is_frozen(block: str, frozen_until: str) -> bool:
    """Whether a block is not trained.

    Args:
        block: its name in Keras, one of `BLOCKS`.
        frozen_until: the last block that is not trained; '' if all are trained.
    """
    return bool(frozen_until) and BLOCKS.index(block) <= BLOCKS.index(frozen_until)


def _conv_count(steps: Sequence[Step]) -> int:
    return sum(
        len(step.ways) if isinstance(step, Fork) else isinstance(step, Conv) for step in steps
    )


def _block_conv_count(blocks: Sequence[Mixed]) -> int:
    return sum(_conv_count(branch) for block in blocks for branch in block.branches)


NUM_TRUNK_CONVS = _conv_count(STEM) + _block_conv_count(TRUNK_BLOCKS)
NUM_CONVS = NUM_TRUNK_CONVS + _block_conv_count(HEAD_BLOCKS)
