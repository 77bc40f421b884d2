import fcntl
import os
import subprocess
import sys
import threading

import pytest

from inatdet.errors import InputError
from inatdet.locks import only_writer, only_writer_in_turn, only_writer_of, writer_in

HOLD = (
    "import sys\n"
    "from inatdet.locks import only_writer\n"
    "with only_writer(sys.argv[1]):\n"
    "    print('locked', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture
def other_writer(tmp_path):
    """Another process that writes to the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_is_the_first(other_writer, tmp_path):
    words = f"process {other_writer.pid} on .* is writing there; "
    with pytest.raises(InputError, match=words), only_writer(tmp_path):
        pass
    other_writer.communicate("")
    with only_writer(tmp_path):
        pass


def test_a_reader_can_ask_who_writes(other_writer, tmp_path):
    assert writer_in(tmp_path).startswith(f"process {other_writer.pid} on ")
    other_writer.kill()
    other_writer.wait()
    assert writer_in(tmp_path) is None, "what is left of the lock is no writer"
    assert writer_in(tmp_path / "missing") is None


def test_a_killed_writer_leaves_no_lock(other_writer, tmp_path):
    other_writer.kill()
    other_writer.wait()
    assert list(tmp_path.iterdir()), "the file stays, and locks nothing"
    with only_writer(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_is_held_in_the_block_and_leaves_nothing(tmp_path):
    folder = tmp_path / "new" / "folder"
    words = "is writing there"
    for _ in range(2):
        with only_writer(folder), pytest.raises(InputError, match=words), only_writer(folder):
            pass
        assert not folder.exists()
    with only_writer(folder):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_an_error_ends_the_lock(tmp_path):
    with pytest.raises(KeyError), only_writer(tmp_path):
        raise KeyError
    with only_writer(tmp_path):
        pass


def test_a_file_removed_by_the_last_writer_is_no_lock(tmp_path, monkeypatch):
    """The last writer removes the file after it was opened and before it is locked."""
    flock, removed = fcntl.flock, []

    def late(handle, operation):
        if not removed:
            removed.extend(os.listdir(tmp_path))
            os.remove(tmp_path / removed[0])
        return flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_writer(tmp_path):
        assert os.listdir(tmp_path) == removed
        with pytest.raises(InputError), only_writer(tmp_path):
            pass


def test_without_locks_in_the_file_system_work_goes_on(tmp_path, monkeypatch):
    def unsupported(handle, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with only_writer(tmp_path), only_writer(tmp_path):
        pass


def test_files_of_one_folder_have_a_lock_each(tmp_path):
    with (
        only_writer_of(tmp_path / "x"),
        only_writer_of(tmp_path / "y"),
        pytest.raises(InputError, match=r"/x: process .* is writing there"),
    ):
        only_writer_of(tmp_path / "x").__enter__()
    with only_writer_of(tmp_path / ("x" * 255)):
        pass
    assert not list(tmp_path.iterdir())


def test_a_second_writer_may_wait(tmp_path):
    """Threads stand for processes: the lock belongs to the open file, not to the process."""
    path, order, started = tmp_path / "weights.h5", [], threading.Event()

    def second():
        started.set()
        with only_writer_of(path, wait=True):
            order.append("second")

    thread = threading.Thread(target=second)
    with only_writer_of(path):
        thread.start()
        started.wait()
        with pytest.raises(InputError, match="is writing there"), only_writer_of(path):
            pass
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert not list(tmp_path.iterdir())


def test_whoever_waits_its_turn_says_so_and_nobody_else(tmp_path):
    path, order, waits = tmp_path / "features", [], threading.Event()

    def second():
        with only_writer_in_turn(path, waits.set):
            order.append("second")

    second()
    assert not waits.is_set()
    thread = threading.Thread(target=second)
    with only_writer_of(path):
        thread.start()
        assert waits.wait(60)
        order.append("first")
    thread.join()
    assert order == ["second", "first", "second"]
    with (
        pytest.raises(InputError, match="an error of the block"),
        only_writer_in_turn(path, lambda: order.append("waited")),
    ):
        raise InputError("an error of the block")
    assert "waited" not in order
    assert not list(tmp_path.iterdir())
