"""What long work has given so far, kept beside its files until these are whole.

The work is a sequence of steps, each of which gives the same in every run. What some steps gave is
a part: one file, whole or absent, with its hash. However a run ended, the next one takes its parts
over and goes on behind them.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from inatdet import interruptions
from inatdet.files import atomic_path, write_text

FOLDER = ".parts"
"""What follows the name of a file of which only parts are there yet."""

SECONDS = 60.0
"""Of work that is lost at most when a process, or its machine, dies."""

_BYTES = 1 << 26  # of what waits to become a part
_MADE_WITH = "made_with.json"
_STEPS, _COUNTS = "steps", "counts/"  # the names of arrays that are no values
_DIGEST = hashlib.sha256().digest_size

Values = Mapping[str, Sequence[np.ndarray]]
"""Columns by name; those of steps are joined along their first axis."""

_Step = tuple[Values, Mapping[str, int]]


class Parts:
    """Keeps what is done of some work; a context, in which the work is done.

    When the block succeeds, the parts are removed, once the files are safe. When it is interrupted,
    the words of the interruption say whether anything is kept.

    The parts are in the folder `FILE.parts`, below a hash of all that the results depend on. So
    nothing is taken from a run with other settings, but what that run did is not lost either, as
    long as no other one has finished.

    Args:
        files: what the work gives; the folder is beside the first. Nobody else may write them.
        made_with: all that the results depend on, as JSON can hold it.
        unit: of what is counted, in `counts` and for messages: `images`.
        notify: is told what is taken over, or why nothing is.

    Attributes:
        folder: the folder of the parts.
        counts: the sums of the steps' counts.
    """

    def __init__(
        self,
        files: Sequence[str],
        made_with: Mapping[str, Any],
        unit: str,
        notify: Callable[[str], None] = lambda message: None,
    ):
        self._files, self._unit, self._notify = files, unit, notify
        self._made_with = json.dumps(made_with, sort_keys=True, indent=1, default=str)
        self.folder = files[0] + FOLDER
        name = hashlib.sha256(self._made_with.encode()).hexdigest()[:16]
        self._own = os.path.join(self.folder, name)
        self.counts: collections.Counter[str] = collections.Counter()
        # Together, so that no interruption comes between them: the first step that is not saved,
        # and what it and those after it gave.
        self._unsaved: tuple[int, list[_Step]] = (0, [])
        self._saved_at = time.monotonic()
        self._bytes = 0

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return self._unsaved[0] + len(self._unsaved[1])

    def saved(self) -> Iterator[Values]:
        """What the steps of earlier runs gave, in order, up to the first that is lost or damaged.

        To be read before the first step.
        """
        self._explain_others()
        while (part := _read(self._path_of(self.steps))) is not None:
            values, counts, steps = part
            self.counts.update(counts)
            self._unsaved = (self.steps + steps, [])
            yield values
        if self.steps:
            count = self.counts[self._unit]
            self._notify(f"going on behind {count:,} {self._unit}, from {self.folder}")
        self._saved_at = time.monotonic()

    def add(self, values: Values, counts: Mapping[str, int]) -> None:
        """Adds what the next step gave.

        Args:
            values: columns, of the same names and types in every step.
            counts: what to add to `counts`.

        Raises:
            KeyboardInterrupt: a signal came whose own exception got lost.
        """
        self._unsaved[1].append((values, counts))
        self.counts.update(counts)
        self._bytes += sum(column.nbytes for columns in values.values() for column in columns)
        if time.monotonic() - self._saved_at >= SECONDS or self._bytes >= _BYTES:
            self.save()
        interruptions.raise_lost()

    def save(self) -> None:
        """Writes what the steps gave that are in no part yet.

        Raises:
            OSError: it cannot be written; earlier parts stay.
        """
        first, waiting = self._unsaved
        if waiting:
            counts: collections.Counter[str] = collections.Counter()
            for _, more in waiting:
                counts.update(more)
            path = os.path.join(self._own, _MADE_WITH)
            if not os.path.exists(path):
                write_text(path, self._made_with + "\n")
            _write(self._path_of(first), joined([one for one, _ in waiting]), counts, len(waiting))
            self._unsaved = (first + len(waiting), [])
        self._saved_at, self._bytes = time.monotonic(), 0

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            for path in self._files:
                _flush_to_disk(path)
            shutil.rmtree(self.folder, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            with contextlib.suppress(OSError):
                self.save()
            raise KeyboardInterrupt(
                f"the same command goes on from {self.folder}"
                if os.path.exists(self._path_of(0))
                else "nothing was written, so the same command begins again"
            ) from error

    def _path_of(self, first: int) -> str:
        """The part that begins with a step."""
        return os.path.join(self._own, f"{first:08d}.part")

    def _explain_others(self) -> None:
        """Says why parts that are there are not taken over."""
        if not os.path.isdir(self.folder) or os.path.exists(self._path_of(0)):
            return
        own, other = json.loads(self._made_with), set()
        for name in sorted(os.listdir(self.folder)):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                with open(os.path.join(self.folder, name, _MADE_WITH), encoding="utf-8") as file:
                    theirs = json.load(file)
                other |= {key for key in own | theirs if own.get(key) != theirs.get(key)}
        if other:
            self._notify(
                f"note: {self.folder} is of a run with other {', '.join(sorted(other))}; nothing "
                "is taken from it, and it goes when this run is done"
            )


def joined(steps: Sequence[Values]) -> Values:
    """The values of several steps as those of one."""
    return {
        name: [np.concatenate(column) for column in zip(*(step[name] for step in steps))]
        for name in steps[0]
    }


def sha256_of_arrays(*arrays: np.ndarray) -> str:
    """A hash of the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _write(path: str, values: Values, counts: Mapping[str, int], steps: int) -> None:
    arrays: dict[str, Any] = {_STEPS: np.array(steps)}
    arrays |= {_COUNTS + name: np.array(count) for name, count in counts.items()}
    for name, columns in values.items():
        arrays |= {f"{name}/{i}": column for i, column in enumerate(columns)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getbuffer()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: str) -> tuple[Values, Mapping[str, int], int] | None:
    """A part: its values, their counts and its number of steps; None if it is not there whole."""
    try:
        with open(path, "rb") as file:
            digest, content = file.read(_DIGEST), file.read()
    except OSError:
        return None
    if hashlib.sha256(content).digest() != digest:
        return None
    values: dict[str, list[np.ndarray]] = {}
    counts = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        steps = int(arrays[_STEPS])
        for name in arrays.files:
            if name.startswith(_COUNTS):
                counts[name.removeprefix(_COUNTS)] = int(arrays[name])
            elif name != _STEPS:
                values.setdefault(name.rpartition("/")[0], []).append(arrays[name])
    return values, counts, steps


def _flush_to_disk(path: str) -> None:
    """Waits until a file and its name would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    with contextlib.suppress(OSError):  # not every system opens or flushes folders
        handle = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
