"""From archives of observations to records that pass every check, by the programs alone."""

import csv
import json
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from benchmarks.observations import invent, write_darwin_core, write_open_data
from tests.data.odd_jpegs import picture

ARCHIVES = {"open_data": write_open_data, "darwin_core": write_darwin_core}
RULE = ("--min_observations=10", "--min_observers=8", "--test_images=40", "--seed=2")
LISTS = ("train", "val", "test_public", "unseen")


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "inatdet", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def read(path):
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def world():
    return invent(seed=1, species=9, observers=30, observations=400)


@pytest.fixture
def lists(world, tmp_path, monkeypatch):
    """The lists of images of the Darwin Core archive, which the Open Data lead to as well."""
    monkeypatch.chdir(tmp_path)
    found = {}
    for archive, write in ARCHIVES.items():
        write(archive, world)
        run(
            "construct", f"--observations={archive}", f"--output_dir=built/{archive}",
            "--threads=1", "--memory_gib=0.5", *RULE,
        )  # fmt: skip
        found[archive] = {
            path.stem: read(path)
            for path in (tmp_path / "built" / archive).glob("*.json")
            if path.name != "summary.json"
        }
        for content in found[archive].values():
            del content["info"]  # which names the archive
            for image in content["images"]:  # only the Open Data know sizes
                known = {"width", "height"} & image.keys()
                assert len(known) == (2 if archive == "open_data" else 0)
                for key in known:
                    del image[key]
    assert found["open_data"] == found["darwin_core"]
    assert all(found["darwin_core"][name]["images"] for name in LISTS)
    return found["darwin_core"]


def add_boxes(path):
    """What comes from elsewhere: a box around what each picture shows."""
    content = read(path)
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for annotation in content["annotations"]:
        width, height = sizes[annotation["image_id"]]
        annotation["bbox"] = [1, 2, width - 3, height - 4]
    boxes = path.with_name(f"{path.stem}_bboxes.json")
    boxes.write_text(json.dumps(content))
    return boxes


def test_from_observations_to_records(lists, server, world, tmp_path):
    images = [image for name in LISTS for image in lists[name]["images"]]
    gone = images[0]["id"]
    for image in images[1:]:
        server.files[f"photos/{image['id']}/large.jpg"] = picture("jpeg", seed=image["id"])

    paths = ",".join(f"built/darwin_core/{name}.json" for name in LISTS)
    done = run("download", f"--images={paths}", f"--base_url={server.base_url}",
               "--size=large", "--output_dir=data")  # fmt: skip
    total = len(lists["train"]["images"])
    assert f"{total - 1} of {total} photographs are there" in done.stdout
    data = tmp_path / "data"
    there = {name: read(data / f"{name}.json") for name in LISTS}
    for name in LISTS:
        expected = [image for image in lists[name]["images"] if image["id"] != gone]
        assert there[name]["images"] == [image | {"width": 60, "height": 40} for image in expected]
        with open(data / f"{name}.attribution.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["image_id"]) for row in rows] == [image["id"] for image in expected]
        assert all(row["rights_holder"] and row["license"] for row in rows)

    written = 0
    for split, more in (("train", ()), ("val", ("--taxonomy=records/taxonomy.json",))):
        boxes = add_boxes(data / f"{split}.json")
        done = run("tfrecords", f"--annotations={boxes}", "--images_dir=data", "--num_shards=2",
                   "--output_dir=records", f"--split={split}", *more)  # fmt: skip
        assert "left out" not in done.stdout
        assert "warning" not in done.stderr
        written += len(there[split]["images"])
    done = run("check", "--records=records/train-*.tfrecord", "--records=records/val-*.tfrecord",
               "--decode", "--images_dir=data")  # fmt: skip
    assert done.stdout == f"4 shards with {written} records: 0 problems, 0 remarks\n"

    arguments = [
        f"--{split}_{what}=data/{split}.json"
        for split in ("train", "val")
        for what in ("labels", "observers")
    ]
    run("statistics", *arguments, "--train_annotations=data/train_bboxes.json",
        "--output_dir=statistics")  # fmt: skip
    results = read(tmp_path / "statistics" / "statistics.json")["results"]
    total_row = results["super_classes"][-1]
    assert total_row["train_images"] == total_row["train_boxes"] == total - 1
    assert total_row["val_images"] == len(there["val"]["images"])

    logins = defaultdict(set)
    for seen in world.observations:
        for photograph in seen.photographs:
            logins[photograph.id].add(seen.observer.login)
    labeled = there["train"]["images"] + there["val"]["images"]
    assert all(image["observer"] in logins[image["id"]] for image in labeled)
    counts = Counter(image["observer"] for image in labeled)
    (row,) = [row for row in results["observers"] if row["split"] == "Total"]
    found = [row[key] for key in ("images", "unknown", "observers", "most")]
    assert found == [written, 0, len(counts), max(counts.values())]
