"""Several shards at the same time, each in a process or in threads."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from inatdet.data.reading_ahead import map_ahead
from inatdet.tfrecords.journal import Shard
from inatdet.tfrecords.processes import CAN_FORK, in_processes

_SHARDS_IN_THREADS = 4  # more do not help: their threads share one lock of Python
_AHEAD = 2  # images per thread that are read before they are written

Map = Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]
"""A `map`, perhaps in threads."""

Write = Callable[[str, Map, Callable[[], object]], Shard]
"""Writes a shard of a name, whose images it maps to records, and calls a function after each."""


class _StoppedError(Exception):
    """Another shard failed, so this one is given up."""


def write_side_by_side(
    write: Write,
    names: Sequence[str],
    threads: int,
    processes: int,
    advance: Callable[[int], object],
    finished: Callable[[str], object],
) -> list[Shard]:
    """Writes shards, some at the same time.

    Args:
        write: writes one.
        names: of the shards.
        threads: how many images to read at the same time.
        processes: to how many processes to give the shards; with one, this process writes them all.
        advance: called with numbers of images that were written.
        finished: called with the name of each shard that is written.

    Raises:
        Exception: what `write` raised; the other shards were given up.
    """
    if processes == 1 or not CAN_FORK:
        return _in_threads(write, names, threads, advance, finished)
    at_once = min(processes, threads, len(names))

    def write_alone(name: str, advance: Callable[[], object]) -> Shard:
        if at_once == threads:
            return write(name, map, advance)
        each = -(-threads // at_once)
        with concurrent.futures.ThreadPoolExecutor(each) as readers:
            return write(name, _map_in(readers, _AHEAD * each), advance)

    return in_processes(write_alone, names, at_once, advance, finished)


def _in_threads(
    write: Write,
    names: Sequence[str],
    threads: int,
    advance: Callable[[int], object],
    finished: Callable[[str], object],
) -> list[Shard]:
    at_once = min(_SHARDS_IN_THREADS, threads, len(names))
    stop = threading.Event()
    counting = threading.Lock()

    def count() -> None:
        with counting:
            advance(1)
        if stop.is_set():
            raise _StoppedError

    def write_unless_stopped(name: str) -> Shard:
        if stop.is_set():
            raise _StoppedError
        try:
            shard = write(name, _map_in(readers, max(2, _AHEAD * threads // at_once)), count)
        except BaseException:
            stop.set()
            raise
        with counting:
            finished(name)
        return shard

    with (
        concurrent.futures.ThreadPoolExecutor(threads) as readers,
        concurrent.futures.ThreadPoolExecutor(at_once) as writers,
    ):
        waiting = [writers.submit(write_unless_stopped, name) for name in names]
        try:
            concurrent.futures.wait(waiting)
        except BaseException:
            stop.set()
            raise
    failures = [failed for future in waiting if (failed := future.exception())]
    for failed in failures:
        if not isinstance(failed, _StoppedError):
            raise failed
    return [future.result() for future in waiting]


def _map_in(readers: concurrent.futures.Executor, limit: int) -> Map:
    return functools.partial(map_ahead, readers, limit=limit)
