"""Tests of the program that converts between other formats and this project's."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import inatdet
from inatdet.data.formats.coco import read_coco_annotations, write_coco_annotations
from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import average_precision, granularities
from tests.evaluation import scenes
from tests.foreign import FOREIGN

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def scene():
    """Random annotations, their taxonomy, and species detections in them."""
    rng = np.random.default_rng(4)
    annotations = scenes.random_annotations(rng, images=20, boxes=40)
    taxonomy = annotations.taxonomy
    return annotations, taxonomy, scenes.random_detections(rng, annotations, taxonomy)


def by_pycocotools(truth, results):
    evaluation = COCOeval(COCO(str(truth)), COCO(str(truth)).loadRes(str(results)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("level", ALWAYS)
def test_any_coco_evaluator_can_use_what_is_written(scene, tmp_path, level):
    """pycocotools on the two files written says what we say, at each granularity."""
    annotations, taxonomy, detections = scene
    truth, results = str(tmp_path / "truth.json"), str(tmp_path / "results.json")
    inatdet.write_annotations(annotations, truth, level)
    inatdet.write_detections(detections, results, level, taxonomy=taxonomy)
    stats = by_pycocotools(truth, results)
    left = granularities.merged(detections, level, granularities.Merge.NONE)
    ground_truth = average_precision.ground_truth_at(annotations, taxonomy, level)
    evaluation = average_precision.counted(
        ground_truth, average_precision.result_columns(left, level)
    )
    ours = average_precision.class_results(evaluation).mean()
    np.testing.assert_allclose(ours, stats[[0, 1, 2, 6, 7]], atol=1e-9)
    assert 0.05 < ours[0] < 0.95


@pytest.mark.parametrize("level", ALWAYS)
def test_parquet_and_json_hold_the_same(scene, tmp_path, level):
    _, taxonomy, detections = scene
    counts = [
        inatdet.write_detections(detections, tmp_path / name, level, taxonomy=taxonomy)
        for name in ("d.parquet", "d.json")
    ]
    read = [read_detections(tmp_path / n, level, taxonomy) for n in ("d.parquet", "d.json")]
    without = int((detections.labels[level] == 0).sum())
    assert len(read[0]) == len(read[1]) == len(detections) - without
    assert counts == [len(read[0])] * 2
    np.testing.assert_array_equal(read[0].image_ids, read[1].image_ids)
    for target in taxonomy.coarser_or_equal(level):
        np.testing.assert_array_equal(read[0].labels[target], read[1].labels[target])
    # Parquet's numbers have 32 bits.
    np.testing.assert_allclose(read[0].boxes, read[1].boxes, rtol=1e-6)


def test_impossible_conversions_are_refused(scene, tmp_path):
    annotations, taxonomy, detections = scene
    with pytest.raises(InputError, match=r"must end in \.parquet or \.json"):
        inatdet.write_detections(detections, "d.csv", taxonomy=taxonomy)
    with pytest.raises(InputError, match=r"must end in \.json"):
        inatdet.write_annotations(annotations, "d.parquet")
    path = str(tmp_path / "d.json")
    inatdet.write_detections(detections, path, Granularity.GENERIC, taxonomy=taxonomy)
    coarse = read_detections(path, Granularity.GENERIC, taxonomy)
    with pytest.raises(InputError, match="cannot be made finer; give --granularity=generic"):
        inatdet.write_detections(coarse, path, Granularity.SUPER, taxonomy=taxonomy)


def test_label_spaces_must_be_known(scene, tmp_path):
    _, _, detections = scene
    with pytest.raises(ValueError, match="do not carry their label spaces"):
        inatdet.write_detections(detections, tmp_path / "d.json")


def test_a_taxonomy_of_another_dataset(scene, tmp_path):
    annotations, _, _ = scene
    path = tmp_path / "truth.json"
    wrong = Taxonomy.from_categories(annotations.categories, [3], ["Insecta"])
    with pytest.raises(InputError, match="category 7 has no super label in the taxonomy"):
        write_coco_annotations(path, annotations, wrong, Granularity.SUPER)
    assert list(tmp_path.iterdir()) == []


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", "convert", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_program(tmp_path):
    names = {"Corvus corax": "Aves", "Apis mellifera": "Insecta", "Pica pica": "Aves"}
    (tmp_path / "super.json").write_text(json.dumps(names))
    truth, found = tmp_path / "truth.json", tmp_path / "found.parquet"
    result = run(
        f"--annotations={FOREIGN / 'voc_annotations'}",
        f"--super_categories={tmp_path / 'super.json'}",
        f"--output={truth}",
    )
    assert result.returncode == 0, result.stderr
    assert ": 3 images and 3 boxes" in result.stderr
    result = run(
        f"--annotations={truth}",
        f"--detections=species={FOREIGN / 'yolo_results' / 'labels'}",
        f"--names={FOREIGN / 'yolo_labels' / 'data.yaml'}",
        "--granularity=super",
        f"--output={found}",
    )
    assert result.returncode == 0, result.stderr
    assert ": 4 super detections" in result.stderr
    taxonomy = read_coco_annotations(truth).taxonomy
    labels = read_detections(found, Granularity.SUPER, taxonomy).labels[Granularity.SUPER]
    assert labels.tolist() == [2, 2, 2, 1]
    # Without its box, a species has no label.
    content = json.loads(truth.read_text())
    (apis,) = (c["id"] for c in content["categories"] if c["name"] == "Apis mellifera")
    content["annotations"] = [b for b in content["annotations"] if b["category_id"] != apis]
    truth.write_text(json.dumps(content))
    result = run(
        f"--annotations={truth}",
        f"--detections=species={FOREIGN / 'yolo_results' / 'labels'}",
        f"--names={FOREIGN / 'yolo_labels' / 'data.yaml'}",
        f"--output={found}",
    )
    assert result.returncode == 0, result.stderr
    assert ": 3 species detections; 1 without a label were left out" in result.stderr
    result = run(f"--annotations={truth}", "--detections=kind=x", f"--output={found}")
    assert result.returncode == 2
    assert "error: x: is given as kind, but there is no level kind" in result.stderr


def test_what_there_is_to_say_about_the_reading_is_printed(tmp_path):
    truth = {
        "images": [{"id": 5, "file_name": "a/img_1.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": "raven", "supercategory": "Aves"}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 1, "bbox": [1, 1, 5, 5]}],
    }
    result = {"image_id": "img_1", "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}
    (tmp_path / "val.json").write_text(json.dumps(truth))
    (tmp_path / "d.json").write_text(json.dumps([result]))
    done = run(
        f"--annotations={tmp_path}/val.json",
        f"--detections=species={tmp_path}/d.json",
        f"--output={tmp_path}/out.json",
    )
    assert done.returncode == 0, done.stderr
    assert "note: " in done.stderr and "1 images were matched by name" in done.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == [result | {"image_id": 5}]
