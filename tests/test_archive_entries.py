"""What lies in archives, ordinary and odd; `tests/datasets/test_extraction.py` has damaged ones."""

import random
import stat
import tarfile

from inatdet.archive_entries import iterate_entries
from tests.datasets.test_extraction import LINKS, header, tar, with_checksum, zip_entry, zipped


def test_the_entries_are_those_that_tarfile_finds(tmp_path):
    """On random archives of every form, skipped or read."""
    rng = random.Random(0)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        longest = 15 if form == tarfile.USTAR_FORMAT else 90
        names = {
            "/".join("äb ×c"[rng.randrange(5)] * rng.randint(1, longest) for _ in range(3)): None
            for _ in range(40)
        }
        path = tar(
            tmp_path / "a", [(name, rng.randbytes(rng.randrange(3000))) for name in names],
            format=form,
        )  # fmt: skip
        with tarfile.open(path) as archive:
            expected = [(i.name, archive.extractfile(i).read()) for i in archive.getmembers()]
        found = [(entry.name, b"".join(entry.pieces())) for entry in iterate_entries(path)]
        assert found == expected
        skipped = [(entry.name, entry.size) for entry in iterate_entries(path)]
        assert skipped == [(name, len(content)) for name, content in expected]


def test_odd_entries_are_told_and_passed_over(tmp_path):
    odd = [(entry, words.removeprefix("is ")) for entry, words in LINKS]
    after = [(f"{number}.jpg", b"x" * number) for number in range(len(odd))]
    path = tar(tmp_path / "a", [e for (entry, _), file in zip(odd, after) for e in (entry, file)])
    found = [
        (entry.name, entry.oddity, b"".join(entry.pieces())) for entry in iterate_entries(path)
    ]
    assert found[::2] == [(entry.name, words, b"") for entry, words in odd]
    assert found[1::2] == [(name, "", content) for name, content in after]


def test_content_behind_odd_headers_is_passed_over(tmp_path):
    """That of unknown types, and of files with more holes than a header has room for."""
    holes = bytearray(header("holes", 700, tarfile.GNUTYPE_SPARSE))
    holes[482] = 1
    more = bytearray(b"00000000000\0" * 42 + bytes(8))
    more[504] = 1
    content = b"y" * 700 + bytes(324)
    data = with_checksum(holes) + bytes(more) + bytes(512) + content
    data += header("what", 700, b"Q") + content + header("b.jpg", 3) + b"abc" + bytes(509 + 1024)
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert [entry.name for entry in iterate_entries(str(path))] == names
    assert names == ["holes", "what", "b.jpg"]
    *_, last = (b"".join(entry.pieces()) for entry in iterate_entries(str(path)))
    assert last == b"abc"


def test_odd_entries_of_zips(tmp_path):
    path = zipped(
        tmp_path / "a.zip",
        [(zip_entry("a", stat.S_IFLNK | 0o777), "/etc/passwd"), ("f/", b""), ("f/b", b"b")],
    )
    found = [(entry.name, entry.oddity, entry.is_folder) for entry in iterate_entries(path)]
    assert found == [("a", "a symbolic link", False), ("f/", "", True), ("f/b", "", False)]
