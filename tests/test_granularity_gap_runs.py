"""The study from pictures to the table, with networks too small to learn anything."""

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import numpy as np
import PIL.Image
import pytest
import yaml

from benchmarks.granularity_gap.study import FILE
from inatdet.locks import only_writer
from tests.records import CATEGORIES, COLORS
from tests.settings import SMALL


def write_dataset(folder, images=12):
    """Bright rectangles of three colors on noise, one in each picture, in iNat2017's layout."""
    rng = np.random.default_rng(0)
    listed = [{"id": c.id, "name": c.name, "supercategory": c.supercategory} for c in CATEGORIES]
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        content = {"images": [], "annotations": [], "categories": listed}
        for n in range(images):
            pixels = rng.integers(60, 120, (96, 128, 3)).astype(np.uint8)
            x, y, w, h = 10 + 2 * n, 8, 60, 50 + n
            pixels[y : y + h, x : x + w] = COLORS[n % 3]
            name = f"{split}/{n}.jpg"
            PIL.Image.fromarray(pixels).save(folder / name, quality=92)
            content["images"].append({"id": n, "file_name": name, "width": 128, "height": 96})
            content["annotations"].append(
                {"id": n, "image_id": n, "category_id": CATEGORIES[n % 3].id, "bbox": [x, y, w, h]}
            )
        (folder / f"{split}_2017_bboxes.json").write_text(json.dumps(content))


def write_study(path):
    """Two models of six steps, and what can be read of them."""
    with open(FILE) as file:
        content = yaml.safe_load(file)
    settings = dict(setting.split("=") for setting in SMALL.split(","))
    del settings["task.seed"]
    settings |= {"task.model.backbone.weights": "''", "trainer.train_steps": "6"}
    values = {name: yaml.safe_load(value) for name, value in settings.items()}
    content["coarse"] = ["generic"]
    content["variants"] = {name: content["variants"][name] for name in ("nms", "marginal")}
    content["presets"] = {
        "tiny": {
            "seeds": [1, 2],
            "pipeline": "pipelines/mini_{level}.yaml",
            "settings": values,
            "proposals": {"task.model.rpn.max_proposals": 30},
        }
    }
    path.write_text(yaml.safe_dump(content))


def run(tmp_path, *flags, until=""):
    """The exit code and what was said; with `until`, the study is ended after a line like that."""
    command = [
        *(sys.executable, "-m", "benchmarks.granularity_gap", "--preset=tiny"),
        f"--study={tmp_path}/study.yaml",
        f"--data_dir={tmp_path}/data",
        f"--work_dir={tmp_path}/work",
        "--resamples=10",
        *flags,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr:
            lines.append(line.rstrip())
            if until and re.match(until, line):
                process.send_signal(signal.SIGTERM)
                until = ""
        return process.wait(), lines


@pytest.mark.slow
def test_the_study_goes_on_and_does_nothing_twice_even_in_two_processes(tmp_path):
    write_dataset(tmp_path / "data")
    write_study(tmp_path / "study.yaml")
    code, lines = run(tmp_path, "--estimate")
    assert (code, lines[-1].partition(": has no records yet")[1]) == (2, ": has no records yet")
    every = [
        tmp_path / "work" / f"seed{n}" / model for n in (1, 2) for model in ("species", "generic")
    ]
    with contextlib.ExitStack() as stack:
        for folder in every:
            stack.enter_context(only_writer(folder))
        code, lines = run(tmp_path)
    assert code == 0, lines
    assert lines[-1].startswith("4 of 4 trainings are made by other processes")
    assert run(tmp_path, "--table")[0] == 2
    code, lines = run(tmp_path, until="seed1/generic: train")
    assert code == 130
    assert lines[-1] == "interrupted; the same command goes on"
    said = next(line for line in lines if "trainings" in line)
    assert said.startswith("4 trainings, 12 programs, 0 of which are done; about ")
    assert said.endswith(" and 8 passes of detection, of which none was made yet, are left")
    log = (tmp_path / "work" / "seed1" / "species" / "log.txt").read_text()
    assert log.count("inatdet train") == 1

    code, lines = run(tmp_path, "--estimate")
    assert code == 0
    assert "3 of which are done" in lines[-1]

    with only_writer(tmp_path / "work" / "seed2" / "generic"), ThreadPool(2) as pool:
        ended = pool.map(lambda _: run(tmp_path), range(2))
    for code, lines in ended:
        assert code == 0, lines
        assert lines[-1].endswith("made by other processes, which add them to the table")
    assert not (tmp_path / "work" / "seed2" / "generic" / "done").exists()
    code, lines = run(tmp_path)
    assert code == 0, lines
    assert "9 of which are done" in lines[0]
    assert (tmp_path / "work" / "seed1" / "species" / "log.txt").read_text() == log
    for model in ("species", "generic"):
        log = (tmp_path / "work" / "seed2" / model / "log.txt").read_text()
        assert log.count("inatdet train") == 1
    with open(tmp_path / "work" / "gap.csv", newline="") as file:
        rows = {(row["level"], row["variant"]): row for row in csv.DictReader(file)}
    assert rows["generic", "gap"]["runs"] == rows["super", "marginal"]["runs"] == "2"
    assert {"gap.md", "gap.png", "proposals.csv"} <= set(os.listdir(tmp_path / "work"))

    code, lines = run(tmp_path)
    assert code == 0
    assert "12 of which are done" in lines[0]
    assert not any("seed" in line for line in lines)
    (tmp_path / "work" / "gap.csv").unlink()
    assert run(tmp_path, "--table")[0] == 0
    assert (tmp_path / "work" / "gap.csv").exists()
