"""DuckDB within limits of memory: queries that show their progress, errors in one sentence."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from tqdm import tqdm

from inatdet.errors import InputError, RunError, reason_of
from inatdet.locks import only_writer

_PREFIX = "inatdet-database-"  # of folders
_POLLING_SECONDS = 0.5
_INTERRUPTED = "run the same command again; tables that are made already are not made again"
_QUICK_SECONDS = 3  # steps that take no longer show no bar


def duckdb_module() -> ModuleType:
    """DuckDB, imported when it is first needed.

    Raises:
        InputError: it is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise InputError(
            "construction needs DuckDB, which is not installed; run: pip install "
            "'inatdet[construction]'"
        ) from error
    return duckdb


class Database:
    """A database that lives while a program works.

    Attributes:
        connection: DuckDB's own.
        folder: where its data lie on disk.
    """

    def __init__(self, connection: Any, folder: str, notify: Callable[[str], object]) -> None:
        self.connection = connection
        self.folder = folder
        self._notify = notify

    def run(self, query: str, what: str = "", path: str = "the observations") -> None:
        """Runs a statement.

        Args:
            query: the SQL.
            what: what it does, for the person who waits; it is shown with the time left.
            path: what it reads, for messages.

        Raises:
            InputError: a file that it reads is not as it should be, or a disk is full.
            RunError: the memory is not enough.
        """
        with self._step(what), self._errors(path):
            self.connection.execute(query)

    def rows(self, query: str, what: str = "") -> list[tuple[Any, ...]]:
        """The rows of a query; errors as in `run`."""
        with self._step(what), self._errors():
            found: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
            return found

    def row(self, query: str, what: str = "") -> tuple[Any, ...]:
        """The only row of a query; errors as in `run`."""
        (found,) = self.rows(query, what)
        return found

    def text_batches(self, query: str, rows: int = 100_000) -> Iterator[tuple[int, memoryview]]:
        """The text of a query with one column, as many rows at a time, without copies.

        Args:
            query: its column is text without NULL.
            rows: how many at a time.

        Yields:
            The number of rows, and their text in UTF-8, one after the other.
        """
        with self._errors():
            result = self.connection.sql(query)
            # The name changed with 1.5.
            read = getattr(result, "to_arrow_reader", None) or result.fetch_arrow_reader
            for batch in read(rows):
                column = batch.column(0)
                if len(column):
                    yield len(column), _text_of(column)

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Shows how far a statement is, if somebody looks and it takes its time."""
        if not what:
            yield
            return
        self._notify(what)
        progress = getattr(self.connection, "query_progress", None)
        if progress is None:  # DuckDB 1.3
            yield
            return
        done = threading.Event()
        thread = threading.Thread(target=_show, args=(progress, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    @contextlib.contextmanager
    def _errors(self, path: str = "the observations") -> Iterator[None]:
        """Turns what DuckDB says into a sentence."""
        duckdb = duckdb_module()
        try:
            yield
        except (duckdb.Error, RuntimeError) as error:
            text = str(error)
            if text == "Query interrupted" or isinstance(error, duckdb.InterruptException):
                # What DuckDB makes of a KeyboardInterrupt.
                raise KeyboardInterrupt(_INTERRUPTED) from error
            if "No space left" in text or "max_temp_directory_size" in text:
                raise InputError(
                    f"{self.folder}: the disk is full, and what does not fit into memory goes "
                    "there; free space, name a folder on a larger disk with --temp_dir, or give "
                    "more memory with --memory_gib"
                ) from error
            if isinstance(error, duckdb.OutOfMemoryException):
                raise RunError(
                    "the memory is not enough for this many observations; give more with "
                    "--memory_gib, or fewer --threads, each of which needs some"
                ) from error
            of_input = (duckdb.IOException, duckdb.DataError, duckdb.InvalidInputException)
            if isinstance(error, of_input):
                raise InputError(
                    f"{path}: cannot be read ({reason_of(error)}); correct it, or fetch it again"
                ) from error
            raise


def _show(progress: Callable[[], float], done: threading.Event) -> None:
    with tqdm(
        total=100,
        delay=_QUICK_SECONDS,
        leave=False,
        disable=None,
        bar_format="{percentage:3.0f}%|{bar:40}| {elapsed}, about {remaining} left",
    ) as bar:
        while not done.wait(_POLLING_SECONDS):
            percent = progress()
            if percent > bar.n:
                bar.update(min(percent, 100) - bar.n)


def _text_of(column: Any) -> memoryview:
    """The bytes of an Arrow array of text, which lie side by side in memory."""
    _, _, data = column.buffers()
    if data is None:
        return memoryview(b"")
    width = 8 if str(column.type).startswith("large") else 4
    offsets = memoryview(column.buffers()[1]).cast("b").cast("q" if width == 8 else "i")
    first, last = offsets[column.offset], offsets[column.offset + len(column)]
    return memoryview(data)[first:last]


@contextlib.contextmanager
def open_database(
    memory_gib: float = 4.0,
    threads: int | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
    notify: Callable[[str], object] = lambda message: None,
) -> Iterator[Database]:
    """Opens an empty database, which is removed in the end.

    Args:
        memory_gib: the most memory that it takes, in GiB; what does not fit goes to disk.
        threads: how many to use; by default one per core.
        temp_dir: the folder for its data; by default the system's for temporary files.
        notify: called with the name of each step.

    Raises:
        InputError: DuckDB is not installed, or `temp_dir` cannot be written to.
    """
    duckdb = duckdb_module()
    try:
        if temp_dir is not None:
            os.makedirs(temp_dir, exist_ok=True)
        _remove_abandoned(temp_dir or tempfile.gettempdir())
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=temp_dir, ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(
            f"--temp_dir={temp_dir}: cannot be written ({error.strerror}); name another folder"
        ) from error
    with made as folder, only_writer(folder):
        # A database on disk keeps its tables compressed, one in memory does not.
        connection = duckdb.connect(
            os.path.join(folder, "construction.duckdb"),
            config={
                "memory_limit": f"{int(memory_gib * 1024)}MiB",
                "temp_directory": os.path.join(folder, "spilled"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                **({"threads": threads} if threads else {}),
            },
        )
        try:
            yield Database(connection, folder, notify)
        finally:
            connection.close()


def _remove_abandoned(temp_dir: str | os.PathLike[str]) -> None:
    """Removes the databases of processes that were killed; those of others are locked."""
    for folder in glob.glob(os.path.join(glob.escape(os.fspath(temp_dir)), f"{_PREFIX}*")):
        with contextlib.suppress(InputError, OSError), only_writer(folder):
            shutil.rmtree(folder, ignore_errors=True)


def literal(text: str | os.PathLike[str]) -> str:
    """A text as SQL has it."""
    return "'" + os.fspath(text).replace("'", "''") + "'"


def name(column: str) -> str:
    """The name of a column as SQL has it."""
    return '"' + column.replace('"', '""') + '"'
