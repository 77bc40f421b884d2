"""Files of predictions damaged at random: each is read or refused in one sentence, soon.

A share runs each time. `INATDET_MUTATIONS=10000 pytest -s -m slow
tests/data/test_mutated_predictions.py` runs that many and prints how long the slowest took and how
much memory all of them.
"""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inatdet.data.formats.predictions import PredictionsWriter, read_predictions
from inatdet.data.formats.writing import write_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Ranked
from tests.data.damage import odd, with_odd_words
from tests.data.mutating import IMAGES, TAXONOMY, many, run, with_odd_metadata


def ours(folder):
    """Files as we write them, and in the other ways that Parquet has."""
    path = folder / "good.parquet"
    rng = np.random.default_rng(0)
    labels = np.stack([rng.permutation(3) + 1 for _ in range(120)])
    probabilities = -np.sort(-rng.dirichlet(np.ones(3), 120), axis=1)
    coarse = Ranked(np.tile([1, 2], (120, 1)), probabilities[:, :2])
    with PredictionsWriter(
        path, Granularity.SPECIES, TAXONOMY, levels=[Granularity.SUPER], rows_per_group=50
    ) as writer:
        own = Ranked(labels, probabilities)
        writer.append(np.arange(120), {Granularity.SPECIES: own, Granularity.SUPER: coarse})
    table = pq.read_table(path)
    contents = [path.read_bytes()]
    for rows, how in (
        (table, {"compression": "none", "use_dictionary": False}),
        (table, {"compression": "snappy", "data_page_size": 64, "store_schema": False}),
        (table[:0], {}),
        (table[:9], {"compression": "none", "data_page_version": "2.0"}),
    ):
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, **how)
        contents.append(buffer.getvalue())
    return contents


def with_odd_rows(rng, records):
    """A Parquet file made of records with odd values, if Arrow can make one."""
    buffer = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_pylist(odd(rng, records)), buffer)
    except (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError):
        return json.dumps(records).encode()
    return buffer.getvalue()


def archive(save, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def kinds(tmp_path):
    """By name: the file that is damaged, good contents, and what makes one with odd values."""
    own, path = ours(tmp_path), tmp_path / "p"
    ranks = b"id,predicted\n1,7 2\n2,1\r\n3,2 1 7\n"
    long = b"image_id,category_id,probability\n" + b"".join(
        b"%d,%d,%g\n" % (i, c, 1 / 3) for i in (1, 2, 3) for c in (1, 2, 7)
    )
    wide = b"image_id,1,2,7\nimg_1,.25,.5,.25\n7,1e-3,0,.9\nc.jpg,1,0,0\n"
    records = [
        {"image_id": i, "category_id": c, "score": 0.3} for i in (1, 2, 3) for c in (1, 2, 7)
    ]
    by_column = [{"image_id": name, "1": 0.5, "2": 0.25, "7": 0.125} for name in ("img_1", "c")]
    logits = np.random.default_rng(0).normal(size=(3, 3))
    arrays = {"image_ids": np.arange(3), "logits": logits, "category_ids": np.array([7, 1, 2])}
    packed = [archive(save, **arrays) for save in (np.savez, np.savez_compressed)]
    fortran = {"image_ids": np.array(["c", "a_7"]), "probabilities": np.eye(3)[:2].copy("F")}
    packed.append(archive(np.savez, **fortran))
    return {
        "ours": (path, own, lambda rng: with_odd_metadata(rng, own[0])),
        "ranks": (path, [ranks, ranks * 40], lambda rng: with_odd_words(rng, ranks)),
        "long": (path, [long], lambda rng: with_odd_words(rng, long)),
        "wide": (path, [wide], lambda rng: with_odd_words(rng, wide)),
        "parquet": (path, [with_odd_rows(np.random.default_rng(1), records)],
                    lambda rng: with_odd_rows(rng, (records, by_column)[rng.integers(2)])),
        "numpy": (path, packed, None),
    }  # fmt: skip


def read(kind, path):
    """Reads a file, and checks that what was read keeps its promises and can be written."""
    found = read_predictions(path, TAXONOMY, IMAGES)
    assert len(np.unique(found.image_ids)) == len(found) > 0
    assert found.own.k > 0
    for level, ranked in found.ranked.items():
        assert ranked.labels.shape == (len(found), ranked.k)
        assert ((ranked.labels >= 0) & (ranked.labels <= TAXONOMY.num_labels(level))).all()
        for row in ranked.labels.tolist():
            known = [label for label in row if label]
            assert len(set(known)) == len(known)
        if ranked.probabilities is not None:
            assert ranked.probabilities.shape == ranked.labels.shape
            assert ((ranked.probabilities >= 0) & (ranked.probabilities < 1.001)).all()
            assert (ranked.probabilities.sum(axis=1) < 1.02).all()
    json.dumps(found.settings)
    for note in found.notes:
        assert note.isprintable()
    write_predictions(found, path.parent / "again.parquet")
    again = read_predictions(path.parent / "again.parquet", TAXONOMY)
    np.testing.assert_array_equal(again.image_ids, found.image_ids)
    return found


def test_a_share_of_mutations(kinds):
    results, _ = run(kinds, read, str, 400, seed=0)
    assert all(read and refused for read, refused in results.values()), dict(results)


@pytest.mark.slow
def test_many_mutations(kinds):
    many(kinds, read, str)
