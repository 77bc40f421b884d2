import csv
import gzip
import io
import random

import pytest

from inatdet.datasets.database import open_database
from inatdet.datasets.delimited import count_records, open_delimited, read_checked
from inatdet.errors import InputError


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with open_database(0.2, 1, tmp_path_factory.mktemp("database")) as opened:
        yield opened


def rows_of(database, table):
    """The rows that DuckDB reads, their number checked."""
    read_checked(
        database, table, f"CREATE OR REPLACE TABLE t AS SELECT * FROM {table.source({})}",
        "SELECT count(*) FROM t",
    )  # fmt: skip
    return sorted(tuple(cell or "" for cell in row) for row in database.rows("SELECT * FROM t"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("seed", range(4))
def test_quoted_tables_are_read_as_by_the_csv_module(database, tmp_path, end, delimiter, seed):
    rng = random.Random(seed)
    parts = ["a", "é", '"', "\n", "\r\n", ",", "\t", ";", " ", "''", "\\", "7"]
    rows = [
        tuple("".join(rng.choices(parts, k=rng.randint(0, 6))) for _ in range(3)) + ("end",)
        for _ in range(40)
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([("one", "two", "three", "four"), *rows])
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    table = open_delimited(str(path), delimiter)
    assert table.columns == ("one", "two", "three", "four")
    assert count_records(table) == 40
    assert rows_of(database, table) == sorted(rows)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("a\tb\n", 0), ("a\tb", 0), ("a\tb\n1\t2", 1), ("a\tb\n1\t2\n\n\n3\t4\n", 2),
        ("a\tb\r\n1\t2\r\n\r\n", 1), ('a\tb\n"\t"\n\'\t"\n', 2), ("\ufeffa\tb\n\t2\n", 1),
    ],
)  # fmt: skip
def test_records_without_quoting(database, tmp_path, text, records):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    table = open_delimited(str(path), "\t", is_quoted=False)
    assert table.columns == ("a", "b")
    assert count_records(table) == records == len(rows_of(database, table))


def test_records_end_where_blocks_do(tmp_path, monkeypatch):
    text = 'a,b\r\n"x\n""y",2\r\n\r\n3,"4"\r\n'
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    for size in range(1, 30):
        monkeypatch.setattr("inatdet.datasets.delimited._BLOCK", size)
        assert count_records(open_delimited(str(path))) == 2


def test_rows_that_were_joined_are_noticed(database, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    table = open_delimited(str(path))
    query = f"CREATE OR REPLACE TABLE t AS SELECT * FROM {table.source({})} LIMIT 1"
    with pytest.raises(InputError, match="has 2 records, but 1 were read"):
        read_checked(database, table, query, "SELECT count(*) FROM t")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its first line does not name columns"),
        (b"\n1,2\n", "its first line does not name columns"),
        (b"a,b,a\n", "names a column twice"),
        (b"\xff\xfea\x00", "is not a table of text in UTF-8"),
        (b"PAR1\x00\x80\x93", "is not a table of text in UTF-8"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, words):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        open_delimited(str(path))
    with pytest.raises(InputError, match="cannot be read"):
        open_delimited(str(tmp_path / "none.csv"))
