import csv
import json
import subprocess
import sys

import pytest

from inatdet.programs import running
from tests.data.odd_jpegs import picture, turned, with_hole


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs the program on files of 60 x 40."""
    monkeypatch.chdir(tmp_path)

    def run(files, *arguments, annotations=()):
        images = []
        for i, (name, data) in enumerate(files.items(), 1):
            images.append({"id": i, "file_name": name, "width": 60, "height": 40})
            if data is not None:
                (tmp_path / "pictures").mkdir(exist_ok=True)
                (tmp_path / "pictures" / name).write_bytes(data)
        categories = [{"id": 1, "name": "Pica pica", "supercategory": "Aves"}]
        content = {"images": images, "categories": categories, "annotations": list(annotations)}
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        return subprocess.run(
            [sys.executable, "-m", "inatdet", "check", "--annotations=boxes.json",
             "--images_dir=pictures", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def listed(folder="checked"):
    with open(f"{folder}/problems.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_nothing_is_wrong(check):
    done = check({"1.jpg": picture(), "2.jpg": picture(seed=1)}, "--decode")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 images: 0 problems, 0 remarks\n"
    assert listed() == []


def test_problems_and_remarks(check):
    files = {
        "1.jpg": picture(),
        "2.jpg": None,
        "3.jpg": turned(3, seed=3),
        "4.jpg": with_hole(picture(seed=4)),
        "5.jpg": None,
    }
    boxes = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, width, 5]}
        for i, width in ((1, 0), (3, 5))
    ]
    done = check(files, "--decode", "--output_dir=out", annotations=boxes)
    assert done.returncode == 1, done.stderr
    rows = listed("out")
    assert [(row["image_id"], row["level"]) for row in rows] == [
        ("", "problem"), ("2", "problem"), ("3", "remark"), ("4", "problem"), ("5", "problem"),
    ]  # fmt: skip
    assert all(row["kind"] and row["what_is_wrong"] and row["what_to_do"] for row in rows)
    lines = done.stdout.splitlines()
    missing = (
        "problem image file is missing 2 2.jpg cannot be read (No such file or directory), 5.jpg"
    )
    assert " ".join(lines[1].split()) == missing
    assert [line.split()[0] for line in lines[1:5]] == ["problem"] * 3 + ["remark"]
    assert lines[-1] == "5 images: 4 problems, 1 remarks"
    assert "all of them are in out/problems.csv" in done.stderr


def test_remarks_alone_are_no_failure(check):
    done = check({"1.jpg": turned(3)})
    assert done.returncode == 0, done.stderr
    assert [row["level"] for row in listed()] == ["remark"]


@pytest.mark.parametrize(
    ("files", "arguments", "words"),
    [
        ({}, (), "boxes.json: lists no image"),
        ({"1.jpg": None}, ("--images_dir=nowhere",), "--images_dir=nowhere is not a folder"),
        ({"1.jpg": picture()}, ("--output_dir=boxes.json",), "boxes.json: cannot be written"),
        ({"1.jpg": picture()}, ("--annotations=no.json",), "no.json: cannot be read"),
    ],
)
def test_what_cannot_be_checked(check, tmp_path, files, arguments, words):
    (tmp_path / "pictures").mkdir(exist_ok=True)
    done = check(files, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {words}")
    assert not (tmp_path / "checked").exists()


def test_no_tensorflow_is_needed():
    code = (
        "import sys\n"
        "import inatdet.programs.check\n"
        "assert not {'tensorflow', 'matplotlib', 'pandas', 'hotcoco'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "check" in running.PROGRAMS
