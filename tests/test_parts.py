"""Work that is interrupted anywhere, in any way, gives what it gives undisturbed."""

import contextlib
import errno
import os
import signal

import numpy as np
import pytest

from inatdet import interruptions, parts
from inatdet.parts import Parts, joined, sha256_of_arrays

MADE_WITH = {"checkpoint": "abc", "flags": {"k": 3}}
STEPS = 23


class Killed(BaseException):
    """Ends a process without a word, as SIGKILL does."""


def step(number):
    """What a step gives: some rows, none in some steps, in two tables."""
    rng = np.random.default_rng(number)
    rows = int(rng.integers(0, 4))
    return {
        "species": [rng.integers(0, 9, rows), rng.random((rows, 4))],
        "super": [rng.integers(0, 9, 2 * rows).astype(np.int32)],
    }


def work(path, made_with=MADE_WITH, end=None, at=STEPS, notify=lambda message: None):
    """Does the work, or is ended before a step by an error; the steps that were done here."""
    done_here = []
    with Parts([str(path)], made_with, "images", notify) as done:
        given = list(done.saved())
        for number in range(done.steps, STEPS):
            if end and number == at:
                raise end
            values = step(number)
            given.append(values)
            done.add(values, {"images": 2, "odd": number % 2})
            done_here.append(number)
        assert done.steps == STEPS
        assert done.counts == {"images": 2 * STEPS, "odd": STEPS // 2}
        everything = joined(given)
        np.savez(
            str(path), **{f"{k}{i}": c for k, v in everything.items() for i, c in enumerate(v)}
        )
        os.replace(f"{path}.npz", path)
    return done_here


@pytest.fixture
def undisturbed(tmp_path):
    work(tmp_path / "expected")
    return arrays(tmp_path / "expected")


def arrays(path):
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def check(path, undisturbed):
    found = arrays(path)
    assert found.keys() == undisturbed.keys()
    for name, column in found.items():
        assert column.dtype == undisturbed[name].dtype
        np.testing.assert_array_equal(column, undisturbed[name])
    assert not os.path.exists(f"{path}.parts")


def files_of(path):
    return sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(f"{path}.parts")
        for name in names
        if name.endswith(".part")
    )


def test_twenty_ends_at_random_moments(tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS", 0)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # which takes its time, and no part here
    rng = np.random.default_rng(0)
    for case in range(20):
        path = tmp_path / f"{case}" / "found"
        ends = np.sort(rng.integers(0, STEPS, 4))
        for at in ends.tolist():
            end = [Killed(), KeyboardInterrupt(), ValueError()][rng.integers(3)]
            with pytest.raises(type(end)):
                work(path, end=end, at=at)
        assert work(path) == list(range(ends[-1], STEPS)), "nothing is done twice"
        check(path, undisturbed)


def test_what_waited_is_lost_with_the_process_alone(tmp_path, undisturbed):
    path = tmp_path / "found"
    with pytest.raises(KeyboardInterrupt, match=r"the same command goes on from .*found\.parts"):
        work(path, end=KeyboardInterrupt(), at=7)
    with pytest.raises(Killed):
        work(path, end=Killed(), at=11)
    told = []
    assert work(path, notify=told.append) == list(range(7, STEPS))
    assert told == [f"going on behind 14 images, from {path}.parts"]
    check(path, undisturbed)


def test_an_interruption_before_the_first_step(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="nothing was written, so the same command begins"):
        work(tmp_path / "found", end=KeyboardInterrupt(), at=0)
    assert os.listdir(tmp_path) == []


def test_an_interruption_that_got_lost_ends_the_work_after_the_step(tmp_path, undisturbed):
    path = tmp_path / "found"

    def work_on():
        with Parts([str(path)], MADE_WITH, "images") as done:
            for number in range(STEPS):
                if number == 7:
                    with contextlib.suppress(KeyboardInterrupt):
                        signal.raise_signal(signal.SIGTERM)
                done.add(step(number), {"images": 2, "odd": number % 2})

    with interruptions.heeded(), pytest.raises(KeyboardInterrupt, match="goes on from"):
        work_on()
    assert work(path) == list(range(8, STEPS))
    check(path, undisturbed)


def test_much_is_saved_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_BYTES", 200)
    path = tmp_path / "found"
    with pytest.raises(Killed):
        work(path, end=Killed(), at=20)
    assert 1 < len(files_of(path)) < 20


@pytest.mark.parametrize("damage", ["cut off", "empty", "zeros", "a bit", "gone"])
def test_a_damaged_part_and_those_behind_it_are_done_again(
    tmp_path, undisturbed, monkeypatch, damage
):
    monkeypatch.setattr(parts, "SECONDS", 0)
    path = tmp_path / "found"
    with pytest.raises(Killed):
        work(path, end=Killed(), at=9)
    victim = files_of(path)[4]
    with open(victim, "rb") as file:
        content = bytearray(file.read())
    if damage == "a bit":
        content[np.random.default_rng(1).integers(len(content))] ^= 4
    if damage == "gone":
        os.remove(victim)
    else:
        with open(victim, "wb") as file:
            size = {"cut off": len(content) // 2, "empty": 0}.get(damage, len(content))
            file.write(bytes(size) if damage == "zeros" else content[:size])
    assert work(path) == list(range(4, STEPS))
    check(path, undisturbed)


def test_nothing_is_taken_from_a_run_of_other_settings(tmp_path, undisturbed):
    path, told = tmp_path / "found", []
    other = {"checkpoint": "abd", "flags": {"k": 3}}
    with pytest.raises(KeyboardInterrupt):
        work(path, end=KeyboardInterrupt(), at=7)
    with pytest.raises(KeyboardInterrupt):
        work(path, other, end=KeyboardInterrupt(), at=5, notify=told.append)
    assert told == [
        f"note: {path}.parts is of a run with other checkpoint; nothing is taken from it, and it "
        "goes when this run is done"
    ]
    assert work(path) == list(range(7, STEPS)), "with its settings again, it goes on"
    check(path, undisturbed)
    with pytest.raises(KeyboardInterrupt):
        work(path, other, end=KeyboardInterrupt(), at=3)
    work(path)
    check(path, undisturbed)


def test_an_interruption_while_a_part_is_saved(tmp_path, undisturbed, monkeypatch):
    """The part has its name, but the process does not know it yet: it is saved once more."""
    monkeypatch.setattr(parts, "SECONDS", 0)
    path, write = tmp_path / "found", parts._write

    def interrupted(target, *rest):
        write(target, *rest)
        if "00000003" in target:
            monkeypatch.setattr(parts, "_write", write)
            raise KeyboardInterrupt

    monkeypatch.setattr(parts, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt, match="goes on from"):
        work(path)
    assert len(files_of(path)) == 4
    assert work(path) == list(range(4, STEPS))
    check(path, undisturbed)


def test_a_full_disk_keeps_earlier_parts(tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS", 0)
    path, write = tmp_path / "found", parts._write

    def full(target, *rest):
        if "00000005" in target:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(target, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            work(path)
    assert work(path) == list(range(5, STEPS))
    check(path, undisturbed)


def test_a_file_that_could_not_be_written_keeps_the_parts(tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS", 0)
    path = tmp_path / "found"
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_at(os.replace, str(path)))
        with pytest.raises(OSError, match="No space left"):
            work(path)
    assert work(path) == [], "all steps are kept"
    check(path, undisturbed)


def fail_at(replace, path):
    """A replacement of `os.replace` for which there is no room for one file."""

    def replaced(source, target):
        if str(target) == path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    return replaced


def test_hashes_of_arrays():
    rows = np.arange(6)
    same = sha256_of_arrays(rows)
    assert sha256_of_arrays(np.arange(12)[::2] // 2) == same
    for other in (rows.reshape(2, 3), rows.astype(np.int32), rows[::-1], rows[:5]):
        assert sha256_of_arrays(other) != same
    assert sha256_of_arrays(rows, rows) != same
