"""Annotation files damaged at random: each is read or refused in one sentence, soon.

A share runs each time. `INATDET_MUTATIONS=10000 pytest -s -m slow tests/data/test_mutations.py`
runs that many and prints how long the slowest took and how much memory all of them.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.formats.annotations import Options, read_annotations
from inatdet.data.formats.coco import write_coco_annotations
from inatdet.data.formats.names import read_names, read_super_categories
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from tests.data.damage import damaged, most_memory, odd, with_odd_words
from tests.foreign import FOREIGN

SUPER_CATEGORIES = {
    "Corvus corax": "Aves",
    "Apis mellifera": "Insecta",
    "Pica pica": "Aves",
    "Quercus robur": "Plantae",
}
SIZES = {"a.jpg": (120, 90), "b.jpg": (64, 100), "c.jpg": (50, 50)}
LONGEST = 5.0  # seconds
MOST_MEMORY = 1 << 30  # bytes


@dataclasses.dataclass
class Format:
    """A format of files.

    Attributes:
        path: the file that is damaged.
        contents: good ones.
        read: what reads it.
    """

    path: Path
    contents: list[bytes]
    read: Callable[[Path, OnBad], object]


def coco() -> dict:
    """A small dataset, with what is optional."""
    return {
        "info": {"year": 2017, "description": 'a "small" one \\ é'},
        "images": [
            {"id": i, "file_name": f"{name}", "width": size[0], "height": size[1], "license": None}
            for i, (name, size) in enumerate(SIZES.items(), 3)
        ],
        "categories": [
            {"id": i, "name": name, "supercategory": above}
            for i, (name, above) in enumerate(SUPER_CATEGORIES.items())
        ],
        "annotations": [
            {
                "id": 10 + i,
                "image_id": 3 + i % 3,
                "category_id": i % 3,
                "bbox": [1.5, i, 20, 30.25],
                "area": 300 + i,
                "iscrowd": int(i == 4),
                "segmentation": [[1, 2, 3, 4, 5, 6]],
            }
            for i in range(6)
        ],
    }


def camera_traps() -> dict:
    """The same, with text ids and without what COCO Camera Traps does not have."""
    record = coco()
    for image in record["images"]:
        image["id"] = f"i{image['id']}"
        del image["width"], image["height"]
    for box in record["annotations"]:
        box["id"], box["image_id"] = f"b{box['id']}", f"i{box['image_id']}"
        del box["area"], box["iscrowd"]
    record["categories"].append({"id": 9, "name": "empty"})
    record["annotations"].append({"id": "e", "image_id": "i9", "category_id": 9})
    record["images"].append({"id": "i9", "file_name": "a.jpg"})
    return record


@pytest.fixture
def formats(tmp_path) -> list[Format]:
    (tmp_path / "images").mkdir()
    for name, size in SIZES.items():
        Picture.new("RGB", size).save(tmp_path / "images" / name)
    (tmp_path / "super.json").write_text(json.dumps(SUPER_CATEGORIES))
    options = Options(
        names_path=str(FOREIGN / "yolo_labels" / "data.yaml"),
        super_categories_path=str(tmp_path / "super.json"),
        images_dir=str(tmp_path / "images"),
        number_ids=True,
    )

    def annotations(of: Options, folder: bool = False) -> Callable[[Path, OnBad], object]:
        def read(path: Path, on_bad: OnBad) -> Annotations:
            found = read_annotations(
                path.parent if folder else path, dataclasses.replace(of, on_bad=on_bad)
            )
            check(found, path.parent.parent / "again.json")
            return found

        return read

    def add(folder: str, name: str, contents: list[bytes], read: Callable) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        all_formats.append(Format(tmp_path / folder / name, contents, read))

    all_formats: list[Format] = []
    plain = [json.dumps(coco(), indent=indent).encode() for indent in (None, 1)]
    add("coco", "val.json", plain, annotations(Options()))
    lvis = (FOREIGN / "lvis.json").read_bytes()
    add("lvis", "lvis.json", [lvis], annotations(dataclasses.replace(options, images_dir=None)))
    add("traps", "cct.json", [json.dumps(camera_traps()).encode()], annotations(options))
    for folder, kind in (("voc", "voc_annotations"), ("yolo", "yolo_labels/labels")):
        files = sorted((FOREIGN / kind).iterdir())
        add(folder, files[0].name, [f.read_bytes() for f in files], annotations(options, True))
    names = b"Corvus corax\nApis mellifera\r\n  Pica pica\t\n"
    add("names", "classes.txt", [names], lambda path, _: read_names(path))
    yaml = (FOREIGN / "yolo_labels" / "data.yaml").read_bytes()
    add("names", "data.yaml", [yaml], lambda path, _: read_names(path))
    supers = json.dumps(SUPER_CATEGORIES).encode()
    add("super", "super.json", [supers], lambda path, _: read_super_categories(path))
    (tmp_path / "coco" / "val.json").write_bytes(plain[0])
    read_annotations(tmp_path / "coco" / "val.json").taxonomy.save(tmp_path / "taxonomy.json")
    spaces = (tmp_path / "taxonomy.json").read_bytes()
    add("taxonomy", "taxonomy.json", [spaces], lambda path, _: Taxonomy.load(path))
    return all_formats


def check(found: Annotations, path: Path) -> None:
    """What was read keeps its promises, and can be written and read again."""
    size = {image.id: (image.width, image.height) for image in found.images}
    assert len(size) == len(found.images) and len(set(found.box_ids.tolist())) == len(found.boxes)
    sizes = np.array([size[i] for i in found.image_ids.tolist()], float).reshape(-1, 2)
    low, extent = found.boxes[:, :2], found.boxes[:, 2:]
    assert (low >= 0).all() and (extent > 0).all()
    assert (low + extent <= sizes * (1 + 1e-12)).all() and np.isfinite(found.areas).all()
    assert set(found.category_ids.tolist()) <= {category.id for category in found.categories}
    if not len(found.boxes):
        return
    json.dumps([c.name for c in found.categories], ensure_ascii=False).encode()
    write_coco_annotations(path, found, found.taxonomy)
    again = read_annotations(path)
    assert again.images == found.images and again.taxonomy == found.taxonomy
    np.testing.assert_array_equal(again.boxes, found.boxes)


def run(formats: list[Format], count: int, seed: int) -> tuple[dict[str, list[int]], float]:
    """Damages and reads files.

    Returns:
        How many were read and refused, by folder; and how long the slowest took, in seconds.
    """
    rng = np.random.default_rng(seed)
    results: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    slowest = 0.0
    for number in range(count):
        kind = formats[number % len(formats)]
        content = kind.contents[rng.integers(len(kind.contents))]
        # Whole files with odd values come further than broken ones.
        if rng.uniform() < 0.4:
            content = with_odd_words(rng, content)
        elif kind.path.suffix == ".json" and rng.uniform() < 0.8:
            content = json.dumps(odd(rng, json.loads(content))).encode()
        else:
            content = damaged(rng, content)
        kind.path.write_bytes(content)
        on_bad = list(OnBad)[rng.integers(2)]
        begin = time.perf_counter()
        try:
            kind.read(kind.path, on_bad)
            results[kind.path.parent.name][0] += 1
        except InputError as error:
            message = str(error)
            assert message.startswith(str(kind.path.parent.parent)) and message.isprintable(), (
                message
            )
            assert len(message) < 2500, message
            message.encode()
            results[kind.path.parent.name][1] += 1
        except BaseException:
            print(f"{kind.path.name} after {number}: {content[:3000]!r}")
            raise
        slowest = max(slowest, time.perf_counter() - begin)
    return results, slowest


def test_a_share_of_mutations(formats):
    results, _ = run(formats, 300, seed=0)
    assert all(read and refused for read, refused in results.values()), results


@pytest.mark.slow
def test_many_mutations(formats):
    before = most_memory()
    results, slowest = run(formats, int(os.environ.get("INATDET_MUTATIONS", "2000")), seed=1)
    peak = most_memory()
    print(f"{dict(results)}; slowest {slowest:.2f} s; {peak / 2**20:.0f} MiB")
    assert slowest < LONGEST and peak - before < MOST_MEMORY
