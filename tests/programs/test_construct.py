import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from benchmarks.observations import invent, write_open_data
from inatdet.datasets import database
from inatdet.datasets.database import open_database
from inatdet.errors import InputError, RunError


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open_data")
    write_open_data(folder, invent(observations=700))
    return folder


@pytest.fixture
def construct(tmp_path, monkeypatch, archive):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code="from inatdet.__main__ import main; import sys; sys.exit(main())"):
        return subprocess.run(
            [sys.executable, "-c", code, "construct", f"--observations={archive}",
             "--output_dir=out", "--threads=1", "--memory_gib=0.5", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_a_dataset_from_the_command_line(construct):
    """Then another from the same Parquet files, which leaves nothing of the first one behind."""
    done = construct("--min_observers=10", "--test_images=30", "--seed=3")
    assert done.returncode == 0, done.stderr
    first, *table = done.stdout.splitlines()
    assert first.split() == ["taxa", "observers", "observations", "photographs"]
    assert [line.split()[0] for line in table[:8]] == [
        "given", "counted", "classes", "train", "val", "test_public", "test_private",
        "test_reserve",
    ]  # fmt: skip
    assert "left out because" in done.stdout
    summary = json.loads(pathlib.Path("out/summary.json").read_text("utf-8"))
    assert summary["rule"]["seed"] == 3
    assert "--min_observers=10" in summary["command"]
    assert re.search(r"given +38 +\d+ +700 ", done.stdout)
    assert os.path.exists("out/test_reserve.json")

    done = construct("--min_observers=10", "--private_share=0", "--nounseen")
    assert done.returncode == 0, done.stderr
    assert "has the tables of these observations already" in done.stderr
    assert "reading" not in done.stderr
    assert sorted(name for name in os.listdir("out") if not name.startswith(".")) == [
        "classes.csv", "observations", "summary.json", "test.json", "test_labels.json",
        "train.json", "val.json",
    ]  # fmt: skip


def test_what_cannot_be_constructed_is_said_in_a_sentence(construct):
    done = construct("--min_observers=1000")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "error: no taxon has at least 20 observations by at least 1000 observers"
    )
    assert not os.path.exists("out/train.json")
    done = construct("--test_share=40")
    assert done.returncode == 2
    assert done.stderr == "error: --test_share=40.0 must be from 0 to 1, as .4 for 40%\n"


def test_without_duckdb(construct):
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from inatdet.__main__ import main\nsys.exit(main())"
    )
    done = construct(code=code)
    assert done.returncode == 2
    assert done.stderr == (
        "error: construction needs DuckDB, which is not installed; run: pip install "
        "'inatdet[construction]'\n"
    )


def refusal(run):
    with pytest.raises(InputError) as error:
        run()
    return str(error.value)


def test_a_full_disk(tmp_path):
    """DuckDB's own words for it, and those for a limit of what it may write."""
    duckdb = database.duckdb_module()
    with open_database(0.1, 1, tmp_path) as opened:

        class Full:
            def execute(self, query):
                raise duckdb.IOException('Could not write file "x": No space left on device')

        connection, opened.connection = opened.connection, Full()
        words = refusal(lambda: opened.run("SELECT 1"))
        assert words.startswith(f"{opened.folder}: the disk is full")
        opened.connection = connection
        opened.run("SET max_temp_directory_size = '1MiB'")
        words = refusal(
            lambda: opened.run(
                "CREATE TEMP TABLE t AS SELECT range AS i FROM range(40000000) ORDER BY -i"
            )
        )
        assert "the disk is full" in words


def test_memory_that_is_not_enough(tmp_path):
    duckdb = database.duckdb_module()
    with open_database(0.1, 1, tmp_path) as opened:

        class Small:
            def execute(self, query):
                raise duckdb.OutOfMemoryException("failed to allocate")

        connection, opened.connection = opened.connection, Small()
        with pytest.raises(RunError, match="give more with --memory_gib"):
            opened.run("SELECT 1")
        opened.connection = connection


def test_an_interruption_is_none_of_duckdbs_errors(tmp_path):
    class Interrupted:
        def execute(self, query):
            raise RuntimeError("Query interrupted")

    class Other:
        def execute(self, query):
            raise RuntimeError("something else")

    with open_database(0.1, 1, tmp_path) as opened:
        connection, opened.connection = opened.connection, Interrupted()
        with pytest.raises(KeyboardInterrupt, match="run the same command again"):
            opened.run("SELECT 1")
        opened.connection = Other()
        with pytest.raises(RuntimeError, match="something else"):
            opened.run("SELECT 1")
        opened.connection = connection


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    words = refusal(lambda: open_database(temp_dir=tmp_path / "file" / "x").__enter__())
    assert "--temp_dir=" in words


def test_the_database_is_gone_in_the_end(tmp_path):
    with open_database(0.1, 1, tmp_path) as opened:
        opened.run("CREATE TABLE t AS SELECT 1 AS i")
        assert os.listdir(tmp_path)
    assert not os.listdir(tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path):
    """But not what another one is using."""
    with open_database(0.1, 1, tmp_path) as used:
        left = tmp_path / (os.path.basename(used.folder)[:-1] + "_left")
        left.mkdir()
        (left / "construction.duckdb").write_text("")
        with open_database(0.1, 1, tmp_path) as other:
            assert not left.exists()
            assert {used.folder, other.folder} == {str(path) for path in tmp_path.iterdir()}


def test_text_comes_out_as_it_went_in(tmp_path):
    with open_database(0.1, 1, tmp_path) as opened:
        opened.run("CREATE TABLE t AS SELECT range AS i FROM range(10000)")
        query = "SELECT concat(i, 'ü;') FROM t ORDER BY i"
        batches = list(opened.text_batches(query, 3000))
        assert sum(rows for rows, _ in batches) == 10_000
        text = b"".join(batch for _, batch in batches).decode()
        assert text == "".join(f"{i}ü;" for i in range(10_000))
        assert list(opened.text_batches("SELECT '' WHERE false")) == []
