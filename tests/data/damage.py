"""Damages files as disks, networks and attackers do."""

import copy
import re
import resource
import sys

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


ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53 + 1, -(2**63), 2**63, 10**40, 10**400),
    *(0.0, -0.0, 0.5, 1.0, 1e-320, 1e18, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "7", "07", "-1", "1.0", "NaN", "é", "\ud800", "\x00", "\n", "\u202e", "a/../b"),
    *("/etc/passwd", "..\\x", "empty", "x" * 5000, "[" * 50, "9" * 5000),
    *([], [[]], [0], [1, 2, 3, 4], [0, 0, 1, 1], ["1", "2", "3", "4"], [None] * 4, {}, {"id": 1}),
)
"""What programs, people and attackers write where something else belongs."""


def odd(rng: np.random.Generator, value):
    """A copy of what a JSON file holds with one to three values changed, moved or removed."""
    value = copy.deepcopy(value)
    for _ in range(rng.integers(1, 4)):
        holders = list(_holders(value))
        if not holders:
            return value
        holder = holders[rng.integers(len(holders))]
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = keys[rng.integers(len(keys))]
        match rng.integers(6):
            case 0:
                del holder[key]
            case 1:  # what stands elsewhere
                other = holders[rng.integers(len(holders))]
                if isinstance(other, list) and other:
                    holder[key] = copy.deepcopy(other[rng.integers(len(other))])
            case 2 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case 3 if type(holder[key]) in (int, float):
                holder[key] = (str, float, lambda number: -number)[rng.integers(3)](holder[key])
            case _:
                holder[key] = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return value


def with_odd_words(rng: np.random.Generator, text: bytes) -> bytes:
    """A copy of a text with one to three of its numbers and words replaced."""
    for _ in range(rng.integers(1, 4)):
        words = list(re.finditer(rb"[\w.]+", text))
        if not words:
            return text
        word = words[rng.integers(len(words))]
        other = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        new = words[rng.integers(len(words))][0]
        if isinstance(other, (int, float, str)) and rng.uniform() < 0.7:
            new = str(other).encode(errors="replace")
        text = text[: word.start()] + new + text[word.end() :]
    return text


def _holders(value):
    """All lists and objects in a value that are not empty."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def most_memory() -> int:
    """The most memory that this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes, but bytes on macOS
