"""Images out of archives, good and hostile ones."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import random
import tarfile
import zipfile

import pytest

from inatdet.data.annotations import Image
from inatdet.data.checking import OnBad
from inatdet.errors import InputError
from inatdet.tfrecords import archive
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import BOXLESS, IMAGES, examples, shards


def add(tar, name, data, **fields):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(data) if data else None)


def pictures(dataset):
    """Names and contents, in an order that is not that of the annotations."""
    found = {}
    for i in random.Random(0).sample(range(IMAGES), IMAGES):
        with open(os.path.join(dataset.images_dir, "pictures", f"{i}.jpg"), "rb") as file:
            found[f"pictures/{i}.jpg"] = file.read()
    return found


def packed(dataset, mode="w:gz", before=(), after=(), prefix="", form=tarfile.PAX_FORMAT):
    """The conversion from an archive of its images, with members before and after them."""
    path = os.path.join(os.path.dirname(dataset.output_dir), "images.tar.gz")
    with tarfile.open(path, mode, format=form) as tar:
        for name, data, fields in before:
            add(tar, name, data, **fields)
        for name, data in pictures(dataset).items():
            add(tar, prefix + name, data)
        for name, data, fields in after:
            add(tar, name, data, **fields)
    return dataclasses.replace(
        dataset, images_dir=None, images_tar=path, output_dir=f"{dataset.output_dir}-of-tar"
    )


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("w", tarfile.USTAR_FORMAT),
        ("w:gz", tarfile.PAX_FORMAT),
        ("w:bz2", tarfile.GNU_FORMAT),
        ("w:xz", tarfile.PAX_FORMAT),
    ],
)
def test_the_shards_are_those_of_the_folder(dataset, mode, form):
    convert(dataset)
    of_tar = packed(dataset, mode, prefix="./", form=form)
    summary = convert(of_tar)
    assert summary["images"] == 18
    assert shards(of_tar) == shards(dataset)
    assert not [name for name in os.listdir(of_tar.output_dir) if "unfinished" in name]


def test_sizes_that_fill_blocks(dataset):
    """Their next header begins where they end."""
    sizes = [0, 1, 511, 512, 513, 1024, 10240]
    others = [(f"other/{size}", b"x" * size, {}) for size in sizes]
    convert(dataset)
    of_tar = packed(dataset, before=others, after=others)
    path = os.path.join(dataset.images_dir, "pictures", "7.jpg")
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)
    with open(path, "ab") as file:
        file.write(b"\0" * (-os.path.getsize(path) % 512))
    convert(dataset)
    of_tar = packed(dataset)
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)


def test_of_a_zip(dataset):
    convert(dataset)
    of_tar = packed(dataset)
    with zipfile.ZipFile(of_tar.images_tar, "w") as zipped:
        for name, data in pictures(dataset).items():
            zipped.writestr(f"./{name}", data)
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)


def test_images_that_share_a_file(tmp_path):
    """In one shard or several, and longer than a piece."""
    content = random.Random(0).randbytes((2 << 20) + 5)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "a.jpg", content)
        add(tar, "b.jpg", b"b")
    images = [Image(i, f"{'aaba'[i]}.jpg", 1, 1) for i in range(4)]
    images_of = archive.ImagesArchive(str(tmp_path / "a.tar"), images, str(tmp_path))
    with contextlib.closing(images_of):
        assert images_of.fetch({"first": [0, 1, 2], "second": [3]}) == []
        kept = {
            i: os.pread(images_of._spools[found.spool].fileno(), found.size, found.start)
            for i, found in images_of._found.items()
        }
    assert kept == {0: content, 1: content, 2: b"b", 3: content}


def test_long_names(dataset):
    name = "/".join(["n" * 60] * 5)
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        of_tar = packed(dataset, before=[(name, b"x", {})], form=form)
        assert convert(of_tar)["images"] == 18


def test_hostile_members_are_passed_over(dataset, tmp_path):
    kinds = {
        "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        "link": {"type": tarfile.LNKTYPE, "linkname": "pictures/3.jpg"},
        "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        "pipe": {"type": tarfile.FIFOTYPE},
        "folder": {"type": tarfile.DIRTYPE},
    }
    hostile = [(name, b"", fields) for name, fields in kinds.items()]
    hostile += [("pictures/1.jpg", b"", fields) for fields in kinds.values()]
    outside = ["../escaped", "/tmp/inatdet-escaped", "a/../../escaped", "pictures/../../x.jpg"]
    hostile += [(name, b"evil", {}) for name in outside]
    convert(dataset)
    before = {path for path in tmp_path.rglob("*") if "-of-tar" not in str(path)}
    of_tar = packed(dataset, before=hostile, after=hostile)
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)
    now = {path for path in tmp_path.rglob("*") if "-of-tar" not in str(path)}
    assert now - before == {tmp_path / "images.tar.gz"}
    assert not os.path.exists("/tmp/inatdet-escaped")


def test_the_last_of_several_of_a_name_counts_as_when_unpacking(dataset):
    convert(dataset)
    first = [("pictures/3.jpg", b"an older one", {})]
    of_tar = packed(dataset, before=first)
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)


def test_a_header_that_would_fill_the_memory(dataset):
    of_tar = packed(dataset, before=[("x", b"y" * (2 << 20), {"type": tarfile.XHDTYPE})])
    with pytest.raises(InputError, match="a header has 2,097,"):
        convert(of_tar)


def test_files_larger_than_a_record(dataset, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_FILE", 2000)
    big = [("pictures/3.jpg", b"z" * 3000, {})]
    of_tar = dataclasses.replace(packed(dataset, after=big), on_bad=OnBad.SKIP)
    assert convert(of_tar)["left_out"]["image file cannot be read"] >= 1
    with pytest.raises(InputError, match="no record can hold more"):
        convert(dataclasses.replace(of_tar, on_bad=OnBad.ERROR))


def test_images_that_the_archive_lacks(dataset):
    for i in (3, 6):
        name = os.path.join(dataset.images_dir, "pictures", f"{i}.jpg")
        os.rename(name, f"{name}.away")
    of_tar = archived(dataset, pictures_left(dataset))
    with pytest.raises(
        InputError, match=r"2 of 18 images are not in .*images\.tar, such as pictures"
    ):
        convert(of_tar)
    skipping = dataclasses.replace(of_tar, on_bad=OnBad.SKIP)
    assert convert(skipping)["left_out"]["image file is missing"] == 2
    assert len(examples(skipping)) == 16


def pictures_left(dataset):
    folder = os.path.join(dataset.images_dir, "pictures")
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            found[f"pictures/{name}"] = file.read()
    return found


def archived(dataset, members):
    path = os.path.join(os.path.dirname(dataset.output_dir), "images.tar")
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            add(tar, name, data)
    return dataclasses.replace(
        dataset, images_dir=None, images_tar=path, output_dir=f"{dataset.output_dir}-of-tar"
    )


def test_an_archive_of_something_else(dataset):
    of_tar = archived(dataset, {"readme": b"x"})
    for on_bad in OnBad:
        with pytest.raises(InputError, match="18 of 18 images are not in"):
            convert(dataclasses.replace(of_tar, on_bad=on_bad))


@pytest.mark.parametrize(
    ("mode", "keep"),
    [("w", 0), ("w", 600), ("w", 0.7), ("w:gz", 5), ("w:gz", 0.3), ("w:bz2", 0.7), ("w:xz", 0.7)],
)
def test_archives_that_were_not_fetched_completely(dataset, mode, keep):
    of_tar = packed(dataset, mode)
    size = os.path.getsize(of_tar.images_tar)
    with open(of_tar.images_tar, "r+b") as file:
        file.truncate(int(keep * size) if isinstance(keep, float) else keep)
    with pytest.raises(InputError, match=r"is damaged, or no archive|images are not in"):
        convert(of_tar)
    assert not shards(of_tar)


@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"<html>no</html>" * 100, os.urandom(5000)])
def test_what_is_no_archive(dataset, data):
    of_tar = packed(dataset)
    with open(of_tar.images_tar, "wb") as file:
        file.write(data)
    with pytest.raises(InputError, match=r"is damaged, or no archive|images are not in"):
        convert(of_tar)


def test_only_what_is_not_finished_is_kept_from_the_archive(dataset, monkeypatch):
    convert(dataset)
    of_tar = packed(dataset)
    convert(dataclasses.replace(of_tar, shards="0-1"))
    kept = []
    keep = archive.ImagesArchive._keep

    def record(self, content, size, places):
        kept.extend(places)
        keep(self, content, size, places)

    monkeypatch.setattr(archive.ImagesArchive, "_keep", record)
    convert(of_tar)
    assert len(kept) == 8 and shards(of_tar) == shards(dataset)
    kept.clear()
    convert(of_tar)
    assert kept == []
    os.utime(of_tar.images_tar, (1, 1))
    assert "images of 4 shards changed" in convert(of_tar)["notes"][0]
    assert len(kept) == IMAGES - len(BOXLESS)


@pytest.mark.parametrize("spools", [1, 3])
def test_few_spools_for_many_shards(dataset, monkeypatch, spools):
    monkeypatch.setattr(archive, "_MOST_SPOOLS", spools)
    convert(dataset)
    of_tar = packed(dataset)
    convert(of_tar)
    assert shards(of_tar) == shards(dataset)


def test_either_a_folder_or_an_archive(dataset):
    of_tar = packed(dataset)
    for changes in ({"images_dir": dataset.images_dir}, {"images_tar": None}):
        with pytest.raises(InputError, match="give either --images_dir or --images_tar"):
            convert(dataclasses.replace(of_tar, **changes))
    with pytest.raises(InputError, match="--images_tar=/nowhere is not a file"):
        convert(dataclasses.replace(of_tar, images_tar="/nowhere"))
