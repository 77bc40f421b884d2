"""Damages files as disks, networks and attackers do."""

import numpy as np

HOSTILE = (
    b"\xff\xff\xff\xff\x0f",  # the largest 32-bit number as Parquet's footer writes it
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # and a 63-bit one
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\x7f",
    b"1e999",
    b"-1",
    b"NaN",
    b"null",
    b'"x"',
    b"[[[[[[[[",
    b"{}",
    b"99999999999999999999",
    b"\xed\xa0\x80",  # a surrogate, which UTF-8 does not have
    b"\n",
    b"<a>",
    b"&a;",
)


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """A copy of the bytes of a file with one to three kinds of damage."""
    for _ in range(rng.integers(1, 4)):
        at = _place(rng, len(data))
        length = int(rng.integers(1, 40))
        match rng.integers(7):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + data[at : at + length] + data[at:]
            case 3:
                data = data[:at] + rng.bytes(length) + data[at + length :]
            case 4:
                word = HOSTILE[rng.integers(len(HOSTILE))]
                data = data[:at] + word + data[at + len(word) :]
            case 5:
                word = HOSTILE[rng.integers(len(HOSTILE))]
                data = data[:at] + word + data[at + length :]
            case _:
                bits = bytearray(data)
                for _ in range(rng.integers(1, 5)):
                    if bits:
                        bits[_place(rng, len(bits))] ^= 1 << int(rng.integers(8))
                data = bytes(bits)
    return data


def _place(rng: np.random.Generator, size: int) -> int:
    """Anywhere, but half the time near the end, where Parquet has its footer."""
    near = rng.uniform() < 0.5
    low = max(0, size - 700) if near else 0
    return int(rng.integers(low, size)) if size > low else 0
