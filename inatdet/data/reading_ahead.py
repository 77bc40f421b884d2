"""Work on many files in threads, in order, with a bounded number of results in memory."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def map_ahead(
    readers: concurrent.futures.Executor,
    work: Callable[[_T], _R],
    items: Iterable[_T],
    limit: int,
) -> Iterator[_R]:
    """`map` in threads, in order, that never holds more than `limit` results.

    Args:
        readers: the threads.
        work: what to do with each item.
        items: what to do it with.
        limit: the most results that are computed but not yet taken.
    """
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    try:
        for item in items:
            waiting.append(readers.submit(work, item))
            if len(waiting) >= limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
