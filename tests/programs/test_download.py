import csv
import json
import subprocess
import sys
import zipfile

import pytest

from tests.data.odd_jpegs import picture
from tests.datasets.test_photographs import content_of, entry
from tests.web_server import send_status

BOXES = json.dumps(
    content_of(
        [entry(1), entry(2)],
        annotations=[
            {"id": i, "image_id": i, "category_id": 0, "bbox": [0, 0, 5, 5]} for i in (1, 2)
        ],
    )
)


@pytest.fixture
def download(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "inatdet", "download", f"--base_url={server.base_url}",
             *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def archives(server, tmp_path):
    """Archives under the names of the published ones, whose sizes are known but roughly."""
    for split in ("train", "val"):
        path = tmp_path / f"{split}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{split}_2017_bboxes.json", BOXES)
        server.files[f"{split}_2017_bboxes.zip"] = path.read_bytes()


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_sizes_and_terms_come_first(download, server, tmp_path):
    done = download("--output_dir=inat")
    assert done.returncode == 2
    for words in ("train_val_images.tar.gz", "199 GB", "non-commercial research", "are free"):
        assert words in done.stdout
    assert done.stderr == (
        "error: nothing was downloaded; give the same command with --accept_terms if you agree to "
        "the terms above\n"
    )
    assert not server.requests
    assert not (tmp_path / "inat").exists()


def test_archives_are_unpacked_and_counted(download, server, archives, tmp_path):
    arguments = ("--output_dir=inat", "--parts=boxes", "--accept_terms")
    done = download(*arguments)
    # The files are whole, but they are not the published ones, and the program says so.
    assert done.returncode == 1, done.stderr
    assert sorted(path.name for path in (tmp_path / "inat").iterdir()) == [
        ".train_2017_bboxes.zip.unpacked.json", ".val_2017_bboxes.zip.unpacked.json", "counts.csv",
        "train_2017_bboxes.json", "val_2017_bboxes.json",
    ]  # fmt: skip
    assert (tmp_path / "inat" / "val_2017_bboxes.json").read_text() == BOXES
    rows = rows_of("inat/counts.csv")
    assert len(rows) == 2 * (2 + 9)
    (boxes,) = [r for r in rows if (r["file"], r["count"]) == ("val_2017_bboxes.json", "boxes")]
    assert boxes == {
        "file": "val_2017_bboxes.json", "count": "boxes", "published": "48736", "found": "2",
        "matches": "NO",
    }  # fmt: skip
    assert "16,867 of them, in validation images with several boxes, were never" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 of 22 counts match; they are in inat/counts.csv"
    # The second time neither terms are shown nor anything is asked for, whatever flags are given.
    server.requests.clear()
    again = download(*arguments[:2])
    assert again.returncode == 1
    assert "terms" not in again.stdout
    assert not server.requests


def test_what_cannot_be_downloaded(download, server, tmp_path):
    server.always = send_status(404)
    done = download("--output_dir=inat", "--parts=boxes", "--accept_terms")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {server.base_url}train_2017_bboxes.zip: cannot be down")
    assert "put train_2017_bboxes.zip into inat yourself" in done.stderr
    assert not (tmp_path / "inat").exists()


def test_photographs(download, server, tmp_path):
    images = [entry(i) for i in range(3)]
    images[2]["rights_holder"] = "=cmd()"
    (tmp_path / "built").mkdir()
    for name in ("train.json", "test.json"):
        (tmp_path / "built" / name).write_text(json.dumps(content_of(images)))
    for i in (0, 2):
        server.files[f"photos/{i}/medium.jpg"] = picture(seed=i)
    done = download(
        "--images=built/train.json,built/test.json", "--size=medium", "--output_dir=pictures"
    )
    # What is gone does not come back, so that scripts may go on.
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("pictures: 3 photographs to get, about 0 MB, 8 at a time; ")
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "pictures/train.json: 2 of 3 photographs are there, 0 of them from before; licenses are in "
        "pictures/train.attribution.csv"
    )
    assert lines[1] == (
        "missing: 1, 0 of which the same command may get; reasons are in pictures/train.missing.csv"
    )
    assert "2 of them from before" in lines[2]
    result = json.loads((tmp_path / "pictures" / "train.json").read_text())
    assert [(i["id"], i["width"], i["height"]) for i in result["images"]] == [
        (0, 60, 40), (2, 60, 40),
    ]  # fmt: skip
    assert rows_of("pictures/train.missing.csv") == [
        {
            "image_id": "1", "file_name": images[1]["file_name"],
            "url": f"{server.base_url}photos/1/medium.jpg", "reason": "404 Not Found",
            "try_again": "no",
        }
    ]  # fmt: skip
    first, second = rows_of("pictures/train.attribution.csv")
    assert first == {
        "image_id": "0", "file_name": images[0]["file_name"], "rights_holder": "observer 0",
        "license": "CC BY-NC 4.0", "license_url": "https://example.org/by-nc",
        "page": "https://www.inaturalist.org/photos/0",
    }  # fmt: skip
    assert second["rights_holder"] == "'=cmd()", "a spreadsheet would run it"
    assert rows_of("pictures/test.missing.csv")


def test_wrong_flags(download, server, tmp_path):
    for arguments, words in (
        (["--parts=image"], "there is no part 'image' of iNat2017; its parts are boxes, labels"),
        (["--images=none.json"], "none.json: cannot be read"),
    ):
        done = download("--output_dir=out", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert not server.requests
    assert not (tmp_path / "out").exists()
