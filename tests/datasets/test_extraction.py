"""Archives that are unpacked, and those that are hostile, damaged or in the way of something."""

import errno
import gzip
import io
import os
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from inatdet.datasets.extraction import Limits, unpack
from inatdet.errors import InputError

LIMITS = Limits(size=1 << 20, entries=100)


def tar(path, entries, mode="w:gz", **options):
    """Writes an archive of (name, content) and of TarInfo objects."""
    with tarfile.open(path, mode, **options) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            name, content = entry
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return str(path)


def special(name, kind, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def folder(name):
    return special(name, tarfile.DIRTYPE, mode=0o755)


def zipped(path, entries):
    """Writes an archive of (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return str(path)


def zip_entry(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


FILES = {
    "train_val_images/Aves/Pica pica/1.jpg": b"1" * 700,
    "train_val_images/Aves/Pica pica/2.jpg": b"",
    f"train_val_images/Insecta/Apis mellifera × {'x' * 90}/3.jpg": bytes(range(256)) * 8,
    "boxes.json": b"{}",
}


@pytest.fixture(params=["gnu", "pax", "ustar", "zip", "plain", "bz2", "xz"])
def archive(request, tmp_path):
    """The same files in archives of every kind."""
    path = tmp_path / "archive"
    if request.param == "zip":
        return zipped(path, [("train_val_images/", ""), *FILES.items()])
    form = getattr(tarfile, f"{request.param.upper()}_FORMAT", tarfile.DEFAULT_FORMAT)
    mode = {"plain": "w", "bz2": "w:bz2", "xz": "w:xz"}.get(request.param, "w:gz")
    return tar(path, [folder("train_val_images"), *FILES.items()], mode, format=form)


def test_files_and_folders_are_unpacked(archive, tmp_path):
    moves = []
    unpacked = unpack(archive, str(tmp_path / "new" / "out"), LIMITS, moves.append)
    assert tree(tmp_path / "new" / "out") == FILES
    assert (unpacked.files, unpacked.size, unpacked.kept) == (4, 2750, 0)
    assert 0 < sum(moves) <= os.path.getsize(archive)


def test_a_second_run_writes_nothing(archive, tmp_path):
    unpack(archive, str(tmp_path / "out"), LIMITS)
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*")}
    (tmp_path / "out" / "boxes.json").unlink()
    assert unpack(archive, str(tmp_path / "out"), LIMITS).kept == 3
    assert tree(tmp_path / "out") == FILES
    for path, inode in before.items():
        assert path.name == "boxes.json" or path.stat().st_ino == inode


def test_an_interrupted_run_leaves_whole_files(archive, tmp_path, monkeypatch):
    """The disk is full in the middle of the third file."""
    real, calls = os.replace, []

    def until_full(*names):
        calls.append(names)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", until_full)
        with pytest.raises(OSError, match="No space left") as error:
            unpack(archive, str(tmp_path / "out"), LIMITS)
    assert error.value.filename.endswith("3.jpg")
    left = tree(tmp_path / "out")
    assert len(left) == 2
    assert left.items() <= FILES.items()
    assert unpack(archive, str(tmp_path / "out"), LIMITS).kept == 2
    assert tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["./a/b.json", "a/./b.json", "a//b.json"])
def test_dots_and_doubled_slashes(tmp_path, name):
    path = tar(tmp_path / "a", [folder("./"), (name, b"x")])
    if name.startswith("./"):
        unpack(path, str(tmp_path / "out"), LIMITS)
        assert tree(tmp_path / "out") == {"a/b.json": b"x"}
    else:
        with pytest.raises(InputError, match="has an empty part or a dot in its name"):
            unpack(path, str(tmp_path / "out"), LIMITS)


LINKS = [
    (special("a/link", tarfile.SYMTYPE, linkname="/etc/passwd"), "is a symbolic link"),
    (special("a/link", tarfile.LNKTYPE, linkname="../x"), "is a hard link"),
    (special("a/null", tarfile.CHRTYPE, devmajor=1, devminor=3), "is a device"),
    (special("a/disk", tarfile.BLKTYPE), "is a device"),
    (special("a/pipe", tarfile.FIFOTYPE), "is a pipe"),
    (special("a/holes", tarfile.GNUTYPE_SPARSE), "is a file with holes"),
    (special("a/what", b"Q"), "is of the unknown type b'Q'"),
    (special("a", tarfile.REGTYPE, pax_headers={"GNU.sparse.major": "1"}), "is a file with holes"),
]
NAMES = [
    ("../evil", "leads out of the folder"),
    ("a/../../evil", "leads out of the folder"),
    ("./../evil", "leads out of the folder"),
    ("/etc/evil", "is an absolute path"),
    ("C:/evil", "is an absolute path"),
    ("a\\..\\evil", "has backslashes"),
    ("a/e\x1bvil", "has characters that cannot be printed"),
    ("a/" + "x" * 300, "is longer than file systems allow"),
]


def test_no_links_devices_and_pipes(tmp_path):
    for number, (entry, why) in enumerate(LINKS):
        path = tar(tmp_path / f"{number}.tar.gz", [("a/1.jpg", b"1"), entry])
        with pytest.raises(InputError) as error:
            unpack(path, str(tmp_path / "out"), LIMITS)
        assert str(error.value).startswith(f"{path}: has the entry '{entry.name}', which {why}")
        assert "\n" not in str(error.value)
        assert not tree(tmp_path / "out").keys() - {"a/1.jpg"}


@pytest.mark.parametrize(
    ("kind", "why"),
    [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "a pipe"), (stat.S_IFBLK, "a device")],
)
def test_no_links_in_zips(tmp_path, kind, why):
    path = zipped(tmp_path / "a.zip", [(zip_entry("a", kind | 0o777), "/etc/passwd")])
    with pytest.raises(InputError, match=f"the entry 'a', which is {why}"):
        unpack(path, str(tmp_path / "out"), LIMITS)
    assert not tree(tmp_path / "out")


@pytest.mark.parametrize("make", [tar, zipped])
def test_no_names_that_lead_away(tmp_path, make):
    for number, (name, why) in enumerate(NAMES):
        path = make(tmp_path / str(number), [(name, b"evil")])
        with pytest.raises(InputError, match=f"which {why}"):
            unpack(path, str(tmp_path / "out"), LIMITS)
    for number, name in enumerate(("../", "/tmp/", "a/../../b/")):
        path = make(tmp_path / str(number), [folder(name) if make is tar else (name, "")])
        with pytest.raises(InputError, match=r"which (leads out of the|is an absolute)"):
            unpack(path, str(tmp_path / "out"), LIMITS)
    assert not list(tmp_path.rglob("evil"))
    assert not list((tmp_path / "out").iterdir())


def test_a_zip_name_that_ends_early(tmp_path):
    """Python shows the name only up to the zero byte."""
    content = zipped(tmp_path / "a.zip", [("a.json_.exe", b"x")])
    data = (tmp_path / "a.zip").read_bytes().replace(b"json_", b"json\0")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="has characters that cannot be printed"):
        unpack(content, str(tmp_path / "out"), LIMITS)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("a.jpg", b"1"), ("a.jpg", b"2")], "is there twice"),
        ([("a.jpg", b"1"), ("A.jpg", b"2")], "differs from 'a.jpg' in upper and lower case"),
        ([("ä.jpg", b"1"), ("a\u0308.jpg", b"2")], "differs from 'ä.jpg' in upper and lower"),
        ([("a/1.jpg", b"1"), ("A/2.jpg", b"2")], "lies in a folder that differs from 'a' in"),
        ([("a", b"1"), ("a/1.jpg", b"2")], "needs a folder where the archive has a file"),
        ([("a/1.jpg", b"1"), ("A", b"2")], "is a file and a folder"),
    ],
)
@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_two_files_of_one_name(tmp_path, make, entries, why):
    path = make(tmp_path / "archive", entries)
    with pytest.raises(InputError, match=f"which {why}"):
        unpack(path, str(tmp_path / "out"), LIMITS)
    assert b"2" not in tree(tmp_path / "out").values()


def test_a_link_on_the_way_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    path = tar(tmp_path / "archive", [("a/1.jpg", b"1")])
    with pytest.raises(InputError, match=r"is a link or a file where .* nothing is unpacked"):
        unpack(path, str(tmp_path / "out"), LIMITS)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_target_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    unpack(tar(tmp_path / "archive", [("a/1.jpg", b"1")]), str(tmp_path / "out"), LIMITS)
    assert tree(tmp_path / "disk") == {"a/1.jpg": b"1"}


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("there", ["my own", "my own content", "link", "folder"])
def test_nothing_is_overwritten(tmp_path, make, there):
    place = tmp_path / "out" / "a.json"
    place.parent.mkdir()
    if there.startswith("my own"):
        place.write_text(there)
    elif there == "link":
        place.symlink_to(tmp_path / "mine")
    else:
        place.mkdir()
    with pytest.raises(InputError, match=r"a\.json: is in the way") as error:
        unpack(make(tmp_path / "archive", [("a.json", b"theirs")]), str(tmp_path / "out"), LIMITS)
    assert str(error.value).startswith(str(place))
    assert not (tmp_path / "mine").exists()
    if there.startswith("my own"):
        assert place.read_text() == there


@pytest.mark.parametrize("make", [tar, zipped])
def test_no_more_bytes_than_announced(tmp_path, make):
    bomb = make(tmp_path / "bomb", [("a", b"0" * 900), ("b", b"0" * 101)])
    unpack(bomb, str(tmp_path / "fits"), Limits(1001, 2))
    with pytest.raises(InputError, match="'b', which brings it above the 1,000 bytes that were"):
        unpack(bomb, str(tmp_path / "out"), Limits(1000, 2))
    assert tree(tmp_path / "out") == {"a": b"0" * 900}


@pytest.mark.parametrize("make", [tar, zipped])
def test_no_more_entries_than_announced(tmp_path, make):
    path = make(tmp_path / "bomb", [("f/a", b""), ("f/b", b""), ("f/c", b"")])
    unpack(path, str(tmp_path / "fits"), Limits(1000, 4))
    with pytest.raises(InputError, match="one more than the 3 files and folders that were"):
        unpack(path, str(tmp_path / "out"), Limits(1000, 3))
    assert len(tree(tmp_path / "out")) == 2


def test_a_zip_that_holds_more_than_its_headers_say(tmp_path):
    zipped(tmp_path / "a.zip", [("a", b"0" * 5000)])
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="is damaged"):
        unpack(str(tmp_path / "a.zip"), str(tmp_path / "out"), LIMITS)
    assert not tree(tmp_path / "out")


def header(name="a", size=0, kind=tarfile.REGTYPE):
    info = special(name, kind)
    data = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if 0 <= size < 8**11:
        data[124:136] = f"{size:011o}\0".encode()
    else:  # GNU's binary numbers, which have the highest bit set, and the next for a sign
        data[124:136] = (size + (2**96 if size < 0 else 2**95)).to_bytes(12, "big")
    return with_checksum(data)


def with_checksum(data):
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data):06o}\0 ".encode()
    return bytes(data)


END = bytes(10240)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "its end is missing"),
        (header("a", 600) + bytes(512), "its end is missing"),
        (header("a", 3), "its end is missing"),
        (header() + header("b"), "its end is missing"),
        (header() + b"garbage!" * 64 + END, "bad checksum|header"),
        (header() + header("b")[:300], "its end is missing"),
        (header("a", -512) + END, "negative size|header|bytes"),
        (header("x", 1 << 40, tarfile.XHDTYPE) + END, "a header has 1,099,511,627,776 bytes"),
        (header("x", 1 << 30, tarfile.GNUTYPE_LONGNAME) + END, "a header has"),
        (header("x", 4, tarfile.XHDTYPE) + b"9 a=" + bytes(508) + END, "header is malformed"),
        (header("x", 4, tarfile.XHDTYPE) + b"x a=" + bytes(508) + END, "header is malformed"),
        (header("x", 6, tarfile.XHDTYPE) + b"6 a=b\n" + bytes(506) + END, "behind the name"),
        (
            header("x", 10, tarfile.XHDTYPE) + b"10 size=x\n" + bytes(502) + header() + END,
            "size of an entry is no number",
        ),
        ((header("x", 0, tarfile.XGLTYPE)) * 20 + END, "a header does not end"),
        (header() + bytes(1 << 21), "it goes on behind its end"),
    ],
)
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_damaged_archives(tmp_path, data, why, packed):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed(data))
    with pytest.raises(InputError, match=why) as error:
        unpack(str(path), str(tmp_path / "out"), LIMITS)
    assert str(error.value).startswith(f"{path}: is damaged, or no archive (")
    assert str(error.value).endswith("); delete it and fetch it again")


def test_damaged_compression(tmp_path):
    """Cut anywhere, or with any bit changed, an archive is never taken for a whole one."""
    rng = random.Random(1)
    files = [(f"{i}.jpg", rng.randbytes(2000)) for i in range(3)]
    whole = (tmp_path / "whole").read_bytes() if tar(tmp_path / "whole", files) else b""
    for number in range(60):
        data = bytearray(whole)
        if number % 2:
            at = rng.randrange(10, len(data))  # the first bytes hold a date and the system
            data[at] ^= 1 << rng.randrange(8)
        else:
            del data[rng.randrange(1, len(data)) :]
        path = tmp_path / f"{number}.tar.gz"
        path.write_bytes(data)
        with pytest.raises(InputError):
            unpack(str(path), str(tmp_path / f"out{number}"), LIMITS)
        for name, content in tree(tmp_path / f"out{number}").items():
            # Changed bits show only in the checksum at the end, but no file is half there.
            assert len(content) == 2000, name


@pytest.mark.parametrize("damage", ["cut", "content", "page", "missing"])
def test_damaged_zips(tmp_path, damage):
    path = tmp_path / "a.zip"
    zipped(path, [("a.json", b"the content of a file " * 20)])
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-30])
    elif damage == "content":
        path.write_bytes(data[:45] + b"x" + data[46:])
    elif damage == "page":
        path.write_bytes(b"<html>sign in</html>")
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"a\.zip: (is damaged|cannot be read)"):
        unpack(str(path), str(tmp_path / "out"), LIMITS)
    assert not tree(tmp_path / "out")


def test_locked_zips(tmp_path):
    path = tmp_path / "a.zip"
    zipped(path, [("a.json", b"the content")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="is locked with a password"):
        unpack(str(path), str(tmp_path / "out"), LIMITS)


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("seed", range(2))
def test_random_damage_ends_in_one_sentence(tmp_path, make, seed):
    """Whatever is changed, nothing but an `InputError` comes, and nothing is written elsewhere."""
    rng = random.Random(seed)
    files = [(f"f/{i}ä.json", rng.randbytes(300) + bytes(300)) for i in range(3)]
    options = {"mode": "w"} if make is tar else {}
    whole = Path(make(tmp_path / "archive", files, **options)).read_bytes()
    messages = []
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 5])):
            data[rng.randrange(min(len(data), 6000))] = rng.randrange(256)
        (tmp_path / "archive").write_bytes(data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        try:
            unpack(str(tmp_path / "archive"), str(tmp_path / "out"), LIMITS)
        except InputError as error:
            messages.append(str(error))
        assert {path.name for path in tmp_path.iterdir()} <= {"archive", "out"}
    assert len(messages) > 10
    assert all(message.isprintable() for message in messages)
