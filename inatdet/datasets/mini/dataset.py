"""The mini dataset: drawn animals in the layout of iNat2017, with genera besides.

It has nine super-classes with three or four invented species each, in two genera, a long tail,
images with several animals, with none, and of super-classes without boxes. The same seed gives the
same files, with the same versions of NumPy and Pillow. Numbers measured on it show that the code
works, but say nothing about photographs.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from inatdet.datasets.mini.scenes import Box, scene
from inatdet.datasets.mini.species import SPECIES, UNBOXED, Species
from inatdet.errors import InputError
from inatdet.files import atomic_folder

MARK_FILE = "mini.json"
"""Marks a folder as a mini dataset, and says which one."""

_KIND = "inatdet mini dataset"
_VERSION = 2  # genera of species that look alike
_IMAGES = "train_val_images"

# Width and height, with the aspect ratios of photographs.
_SIZES = ((256, 192), (256, 192), (192, 256), (288, 192), (240, 240))

_MOST_TRAIN, _TAIL = 64, 0.93  # images of the most common species; each rarer one has .93 as many
_VAL_EACH = 6  # images with one animal, per species
_SEVERAL_SHARE = 0.15  # of the training images; they show two or three animals
_VAL_SEVERAL = 18  # validation images with two or three animals; the protocol excludes them
_BOXLESS = {"train": 12, "val": 4}  # images of a habitat without an animal
_UNBOXED_EACH = {"train": 4, "val": 1}  # images per species whose super-class has no boxes


@dataclass(frozen=True)
class _Plan:
    """An image to draw: the species, the number of animals, whether they have boxes, the seed."""

    split: str
    species: Species
    animals: int
    boxed: bool
    seed: tuple[int, ...]


@dataclass(frozen=True)
class _Drawn:
    """An image that was drawn, and the boxes of the animals in it."""

    jpeg: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


def make(output_dir: str, seed: int = 0) -> bool:
    """Draws the dataset. The folder appears under its name only when it is complete.

    Args:
        output_dir: the folder to create; a mini dataset with another seed is replaced.
        seed: determines every image.

    Returns:
        False if the same dataset is already there.

    Raises:
        InputError: the folder exists and is not a mini dataset.
    """
    output_dir = os.path.abspath(output_dir)
    mark = {_KIND: _VERSION, "seed": seed}
    if os.path.isdir(output_dir) and os.listdir(output_dir):
        found = _read_mark(output_dir)
        if found == mark:
            return False
        if found is None:
            raise InputError(
                f"{output_dir}: exists and is not a mini dataset; name a folder that does not exist"
            )
    with atomic_folder(output_dir) as temporary:
        _write(temporary, seed)
        with open(os.path.join(temporary, MARK_FILE), "w", encoding="utf-8") as file:
            json.dump(mark, file)
        shutil.rmtree(output_dir, ignore_errors=True)
    return True


def _read_mark(folder: str) -> dict[str, Any] | None:
    """What a folder says about the mini dataset in it; None if there is none."""
    try:
        with open(os.path.join(folder, MARK_FILE), encoding="utf-8") as file:
            mark = json.load(file)
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) and _KIND in mark else None


def _plans(seed: int) -> Iterator[_Plan]:
    """All images of a dataset, in order."""
    rng = np.random.default_rng(seed)
    number = 0

    def plan(split: str, species: Species, animals: int, boxed: bool = True) -> _Plan:
        nonlocal number
        number += 1
        return _Plan(split, species, animals, boxed, (seed, number))

    def several() -> int:
        return int(rng.integers(2, 4))

    rank = rng.permutation(len(SPECIES))
    for species, place in zip(SPECIES, rank):
        for _ in range(round(_MOST_TRAIN * _TAIL ** int(place))):
            yield plan("train", species, several() if rng.random() < _SEVERAL_SHARE else 1)
        for _ in range(_VAL_EACH):
            yield plan("val", species, 1)
    for _ in range(_VAL_SEVERAL):
        yield plan("val", SPECIES[rng.integers(len(SPECIES))], several())
    for split, count in _BOXLESS.items():
        for _ in range(count):
            yield plan(split, SPECIES[rng.integers(len(SPECIES))], 0)
    for split, count in _UNBOXED_EACH.items():
        for species in UNBOXED:
            for _ in range(count):
                yield plan(split, species, 1, boxed=False)


def _draw(plan: _Plan) -> _Drawn:
    rng = np.random.default_rng(plan.seed)
    width, height = _SIZES[rng.integers(len(_SIZES))]
    image, boxes = scene(rng, plan.species, width, height, plan.animals)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=88)
    kept = tuple(boxes) if plan.boxed else ()
    return _Drawn(encoded.getvalue(), width, height, kept)


def _write(folder: str, seed: int) -> None:
    plans = list(_plans(seed))
    species = sorted({p.species.name: p.species for p in plans}.values(), key=lambda s: s.name)
    # Ids go by name, as in iNat2017, and start at 0: categories with and without boxes are mixed.
    ids = {one.name: number for number, one in enumerate(species)}
    images: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    boxes: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    # Forking a process whose libraries run threads can hang; new processes cannot.
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(mp_context=fresh) as pool:
        drawn = tqdm(pool.map(_draw, plans, chunksize=16), "mini dataset", len(plans), disable=None)
        for number, (plan, one) in enumerate(zip(plans, drawn), 1):
            name = _write_image(folder, plan.species, one.jpeg)
            images[plan.split].append(
                {"id": number, "file_name": name, "width": one.width, "height": one.height}
            )
            for x, y, width, height in one.boxes:
                boxes[plan.split].append(
                    {
                        "id": len(boxes[plan.split]) + 1,
                        "image_id": number,
                        "category_id": ids[plan.species.name],
                        "bbox": [int(x), int(y), int(width), int(height)],
                        "area": int(width) * int(height) / 2,
                        "iscrowd": 0,
                    }
                )
    for split in images:
        content = {
            "info": {
                "description": "Generated images of invented animals",
                "version": str(_VERSION),
            },
            "images": images[split],
            "annotations": boxes[split],
            "categories": [
                {
                    "id": ids[one.name],
                    "name": one.name,
                    "supercategory": one.super_class,
                    "genus": one.genus,
                }
                for one in species
            ],
        }
        path = os.path.join(folder, f"{split}_2017_bboxes.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)


def _write_image(folder: str, species: Species, jpeg: bytes) -> str:
    """Writes an image under the hash of its bytes, as in iNat2017; returns its `file_name`."""
    digest = hashlib.md5(jpeg, usedforsecurity=False).hexdigest()
    name = "/".join((_IMAGES, species.super_class, species.name, f"{digest}.jpg"))
    path = os.path.join(folder, *name.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(jpeg)
    return name
