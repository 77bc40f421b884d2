import dataclasses
import os

import numpy as np
import pytest

from inatdet.data.annotations import Annotations, Image
from inatdet.data.findings import Level
from inatdet.datasets.inspection import inspect
from tests.data.odd_jpegs import picture, turned, with_hole


def dataset(folder, files, skipped=None):
    """Annotations of the files, all 60 x 40; ids are 1, 2, ... and files without bytes missing."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)
    none = np.zeros(0)
    return Annotations(
        path="boxes.json",
        images=tuple(Image(i, name, 60, 40) for i, name in enumerate(files, 1)),
        categories=(),
        box_ids=none,
        image_ids=none,
        category_ids=none,
        boxes=none.reshape(0, 4),
        areas=none,
        is_crowd=none.astype(bool),
        skipped=skipped or {},
    )


def found_in(folder, files, **options):
    """The findings as (image, kind), and all of what was found."""
    found = inspect(dataset(folder, files), str(folder), **options)
    return [(finding.image_id, finding.kind) for finding in found.findings], found


def test_good_files_have_no_findings(tmp_path):
    files = {f"a/{i}.jpg": picture(seed=i) for i in range(40)}
    for threads in (1, 3):
        findings, found = found_in(tmp_path, files, decode=True, threads=threads)
        assert findings == []
        assert (found.images, found.unlisted) == (40, 0)


@pytest.mark.parametrize(
    ("data", "kind", "level"),
    [
        (None, "image file is missing", Level.PROBLEM),
        (b"", "image file is not a JPEG", Level.PROBLEM),
        (picture("png"), "image file is not a JPEG", Level.PROBLEM),
        (picture()[:-99], "image file is damaged", Level.PROBLEM),
        (picture(size=(40, 60)), "image file has another size", Level.PROBLEM),
        (turned(size=(40, 60)), "image file has another size", Level.PROBLEM),
        (turned(3), "EXIF orientation is ignored", Level.REMARK),
        (picture(mode="L"), "image is gray", Level.REMARK),
        (picture(mode="CMYK"), "image is CMYK", Level.REMARK),
    ],
)
def test_what_is_found(tmp_path, data, kind, level):
    files = {"good.jpg": picture(seed=1), "odd.jpg": data}
    findings, found = found_in(tmp_path, files)
    assert findings == [(2, kind)]
    (finding,) = found.findings
    assert (finding.file_name, finding.level) == ("odd.jpg", level)
    assert finding.what and finding.remedy
    assert found.count(level) == 1 and sum(map(found.count, Level)) == 1


def test_a_hole_is_found_by_decoding_alone(tmp_path):
    files = {"good.jpg": picture(seed=1), "hole.jpg": with_hole(picture())}
    assert found_in(tmp_path, files)[0] == []
    findings, _ = found_in(tmp_path, files, decode=True)
    assert findings == [(2, "image file has damaged data")]


def test_one_file_may_have_several_findings(tmp_path):
    data = with_hole(picture(size=(120, 80), mode="L"))
    findings, _ = found_in(tmp_path, {"a.jpg": data}, decode=True)
    assert [kind for _, kind in findings] == [
        "image file has another size", "image file has damaged data", "image is gray",
    ]  # fmt: skip


def test_repeats(tmp_path):
    files = {"a.jpg": picture(), "b.jpg": picture(seed=1), "c.jpg": picture()}
    findings, found = found_in(tmp_path, files)
    assert findings == [(3, "same content as another file")]
    assert found.findings[0].what == "has the same content as a.jpg"
    annotations = dataset(tmp_path, {"a.jpg": picture(), "b.jpg": picture(seed=1)})
    twice = (*annotations.images, Image(7, "b.jpg", 60, 40))
    object.__setattr__(annotations, "images", twice)
    (finding,) = inspect(annotations, str(tmp_path)).findings
    assert (finding.image_id, finding.kind) == (7, "file is listed by several images")


def test_a_missing_file_of_almost_the_same_name(tmp_path):
    (tmp_path / "X.JPG").write_bytes(picture())
    (finding,) = found_in(tmp_path, {"x.jpg": None})[1].findings
    assert finding.what == "is not there, but X.JPG is (in other upper and lower case)"
    assert "rename" in finding.remedy


def test_files_that_no_image_lists_are_counted(tmp_path):
    for name in ("b.JPG", "deep/c.png", "notes.txt"):
        os.makedirs((tmp_path / name).parent, exist_ok=True)
        (tmp_path / name).touch()
    assert found_in(tmp_path, {"a.jpg": picture()})[1].unlisted == 2
    assert found_in(tmp_path, {"./a.jpg": picture()})[1].unlisted == 2


def test_what_the_reader_skipped_is_listed_first(tmp_path):
    annotations = dataset(tmp_path, {"a.jpg": None}, {"box has an invalid size": 4, "nothing": 0})
    first, second = inspect(annotations, str(tmp_path)).findings
    assert (first.image_id, first.kind, first.what, first.count) == (
        None, "box has an invalid size", "4 in boxes.json", 4,
    )  # fmt: skip
    assert second.image_id == 1


def test_progress_is_told_for_each_image(tmp_path):
    told = []
    files = {f"{i}.jpg": None for i in range(30)}
    found_in(tmp_path, files, threads=2, advance=lambda: told.append(1))
    assert len(told) == 30


def test_images_that_the_reader_left_out_are_looked_at(tmp_path):
    annotations = dataset(tmp_path, {"a.jpg": picture(), "b.jpg": b"", "../c.jpg": None})
    *kept, unsafe = annotations.images
    annotations = dataclasses.replace(annotations, images=(), left_out=(*kept, unsafe))
    found = inspect(annotations, str(tmp_path))
    assert [(finding.image_id, finding.kind) for finding in found.findings] == [
        (2, "image file is not a JPEG"),
        (3, "image file has an unsafe name"),
    ]
    assert found.images == 3
