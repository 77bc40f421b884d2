"""What tests of damaged files of detections and of predictions have in common."""

import collections
import io
import json
import os
import time

import numpy as np
import pyarrow.parquet as pq

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from tests.data.damage import damaged, most_memory, odd

TAXONOMY = Taxonomy.from_categories(
    [
        Category(1, "Corvus corax", "Aves"),
        Category(2, "Apis mellifera", "Insecta"),
        Category(7, "Pica pica", "Aves"),
    ],
    {1, 2, 7},
)
IMAGES = [Image(1, "a/img_1.jpg", 120, 90), Image(2, "a/7.jpg", 64, 100), Image(3, "c.jpg", 9, 9)]
LONGEST = 5.0  # seconds
MOST_MEMORY = 1 << 30  # bytes


def with_odd_metadata(rng, content):
    """A Parquet file whose own description of itself has odd values."""
    table = pq.read_table(io.BytesIO(content))
    said = json.loads(table.schema.metadata[b"inatdet"])
    said.pop("label_space_sha256") if rng.uniform() < 0.5 else None
    said["version"] = int(rng.integers(1, 3))
    buffer = io.BytesIO()
    metadata = {b"inatdet": json.dumps(odd(rng, said)).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def run(kinds, read, named, count, seed):
    """Damages and reads files.

    Args:
        kinds: by name, the file that is damaged, good contents, and what makes one with odd values.
        read: reads a file, given its kind and path.
        named: from the path, what a refusal begins with.
        count: how many files.
        seed: of the damage.

    Returns:
        How many were read and refused, by kind; and how long the slowest took, in seconds.
    """
    rng = np.random.default_rng(seed)
    results = collections.defaultdict(lambda: [0, 0])
    slowest = 0.0
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        path, contents, make_odd = kinds[kind]
        # Whole files with odd values come further than broken ones.
        if make_odd is not None and rng.uniform() < 0.5:
            content = make_odd(rng)
        else:
            content = damaged(rng, contents[rng.integers(len(contents))])
        path.write_bytes(content)
        begin = time.perf_counter()
        try:
            read(kind, path)
            results[kind][0] += 1
        except InputError as error:
            message = str(error)
            assert message.startswith(str(named(path))), message
            assert message.isprintable() and len(message) < 1500, message
            message.encode()
            results[kind][1] += 1
        except BaseException:
            print(f"{kind} after {number}: {content[:3000]!r}")
            raise
        slowest = max(slowest, time.perf_counter() - begin)
    return results, slowest


def many(kinds, read, named):
    """Damages and reads as many files as `INATDET_MUTATIONS` says, in bounded time and memory."""
    before = most_memory()  # with TensorFlow, which other tests may have loaded
    count = int(os.environ.get("INATDET_MUTATIONS", "2000"))
    results, slowest = run(kinds, read, named, count, seed=1)
    peak = most_memory()
    print(f"{dict(results)}; slowest {slowest:.2f} s; {peak / 2**20:.0f} MiB")
    assert slowest < LONGEST and peak - before < MOST_MEMORY
