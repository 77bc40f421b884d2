r"""Writes a dataset's images and boxes as TFRecord shards.

    python -m inatdet tfrecords --annotations=train_2017_bboxes.json --images_dir=inat2017 \
        --output_dir=records --split=train
    python -m inatdet tfrecords --annotations=val_2017_bboxes.json --images_dir=inat2017 \
        --output_dir=records --split=val --taxonomy=records/taxonomy.json

In the output folder: `<split>-00000-of-00016.tfrecord` and so on, `taxonomy.json`, a label map a
granularity, `<split>.label_counts.json` with how often each label occurs, and last `<split>.json`
with what was written and what was left out and why. An interrupted run goes on where it was when
the same command is given again.
"""

from __future__ import annotations

import collections
import concurrent.futures
import glob
import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.formats.coco import read_annotations
from inatdet.data.jpeg import BadFileError, FileProblem, read_jpeg
from inatdet.data.taxonomy import TAXONOMY_FILE, Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.files import sha256_of
from inatdet.tfrecords.examples import encode
from inatdet.tfrecords.journal import Journal
from inatdet.tfrecords.label_counts import SplitCounts
from inatdet.tfrecords.shards import map_ahead, shard_names, write_shard

_NAMED_FILES = 5


@dataclass(frozen=True)
class Conversion:
    """What to write, and how.

    Attributes:
        annotations: path of the annotation file.
        images_dir: the folder that its file names start from.
        output_dir: where to write.
        split: the first part of the shards' names.
        num_shards: 0 for one a thousand images, but at least eight.
        granularity: which labels readers of stock OD API or Model Garden files see; the labels of
            all three are written in any case.
        taxonomy: path of a `taxonomy.json` to use; by default the label spaces are derived from
            the annotations.
        super_classes: their order, for deriving; by default found from the annotations.
        on_bad: what to do about bad records and image files.
        keep_boxless: write images without boxes too. In iNat2017 such an image is one that was not
            annotated, or that shows only a track or a nest; it is not one without an animal.
        seed: of the shuffling of images into shards.
        threads: how many image files to read at the same time.
    """

    annotations: str
    images_dir: str
    output_dir: str
    split: str
    num_shards: int = 0
    granularity: Granularity = Granularity.SPECIES
    taxonomy: str | None = None
    super_classes: tuple[str, ...] = ()
    on_bad: OnBad = OnBad.ERROR
    keep_boxless: bool = False
    seed: int = 0
    threads: int = 8


def convert(conversion: Conversion, progress: bool = False) -> dict[str, Any]:
    """Writes the shards of one split.

    Args:
        conversion: what to do.
        progress: whether to show a progress bar on stderr.

    Returns:
        What `<split>.json` says: `images`, `boxes`, `shards`, `left_out` and more.

    Raises:
        InputError: for bad settings, annotations or image files. Nothing was written unless it is
            an image file's content that is bad; then finished shards stay for the next run.
    """
    _check(conversion)
    annotations = read_annotations(conversion.annotations, conversion.on_bad)
    left_out = collections.Counter(annotations.skipped)
    taxonomy = _taxonomy(conversion, annotations)
    rows, starts = annotations.rows_by_image()
    chosen = np.arange(len(annotations.images))
    if not conversion.keep_boxless:
        chosen = np.flatnonzero(np.diff(starts))
        left_out["image has no box"] = len(annotations.images) - len(chosen)
    present = _present(conversion, annotations, chosen)
    left_out[str(FileProblem.MISSING)] = len(chosen) - len(present)
    order = np.random.default_rng(conversion.seed).permutation(present)
    names = shard_names(conversion.split, len(order), conversion.num_shards)

    journal = Journal(
        conversion.output_dir,
        conversion.split,
        {
            "annotations": os.path.basename(conversion.annotations),
            "annotations_sha256": sha256_of(conversion.annotations),
            "order_sha256": hashlib.sha256(order.astype("<i8").tobytes()).hexdigest(),
            "labels_sha256": hashlib.sha256(repr(taxonomy).encode()).hexdigest(),
            "num_shards": len(names),
            "granularity": conversion.granularity.value,
        },
    )
    finished = {
        name: shard
        for name, shard in journal.finished().items()
        # What a run with SKIP left out is an error now.
        if not (shard.left_out and conversion.on_bad is OnBad.ERROR)
    }
    if len(finished) < len(names) or not os.path.exists(journal.summary_path):
        journal.begin(finished)
    taxonomy.save(os.path.join(conversion.output_dir, TAXONOMY_FILE))
    taxonomy.write_label_maps(conversion.output_dir)

    def serialized(position: int) -> tuple[bytes, int] | BadFileError:
        image, boxes = annotations.images[position], rows[starts[position] : starts[position + 1]]
        try:
            jpeg = read_jpeg(conversion.images_dir, image)
        except BadFileError as error:
            return error
        example = encode(
            image,
            jpeg,
            annotations.boxes[boxes],
            annotations.category_ids[boxes],
            annotations.areas[boxes],
            annotations.is_crowd[boxes],
            taxonomy,
            conversion.granularity,
        )
        return example.SerializeToString(), len(boxes)

    bar = tqdm.tqdm(
        total=len(order), desc=conversion.split, unit=" images", disable=not progress, mininterval=1
    )
    with bar, concurrent.futures.ThreadPoolExecutor(conversion.threads) as readers:
        for i, name in enumerate(names):
            positions = order[i :: len(names)].tolist()
            if name in finished:
                # Not counted as progress: the time left is that of the images to come.
                bar.total -= len(positions)
                bar.refresh()
                continue
            path = os.path.join(conversion.output_dir, name)
            examples = map_ahead(readers, serialized, positions, 4 * conversion.threads)
            finished[name] = write_shard(path, examples, conversion.on_bad, bar.update)
            journal.add(finished[name])

    shards = [finished[name] for name in names]
    written = {annotations.images[position].id for position in order.tolist()}
    for shard in shards:
        left_out.update(shard.left_out)
        written.difference_update(shard.left_out_ids)
    counts = SplitCounts.of(annotations.keep_images(written), taxonomy)
    counts.save(conversion.output_dir, conversion.split)
    species = taxonomy.label_of_category(Granularity.SPECIES)
    summary = {
        "split": conversion.split,
        "images": sum(shard.images for shard in shards),
        "boxes": sum(shard.boxes for shard in shards),
        "shards": len(shards),
        "left_out": {problem: count for problem, count in left_out.items() if count},
        "boxes_without_species_label": int(
            np.isin(annotations.category_ids, list(species), invert=True).sum()
        ),
        "labels": {g.value: taxonomy.num_labels(g) for g in Granularity},
    }
    journal.end(summary, shards)
    return summary


def _check(conversion: Conversion) -> None:
    if not re.fullmatch(r"\w+", conversion.split):
        raise InputError(
            f"--split={conversion.split} begins file names; use letters, digits and underscores"
        )
    if conversion.num_shards < 0 or conversion.num_shards > 99_999:
        raise InputError(f"--num_shards={conversion.num_shards} must be from 1 to 99999")
    if conversion.threads < 1:
        raise InputError(f"--threads={conversion.threads} must be at least 1")
    if conversion.taxonomy and conversion.super_classes:
        raise InputError("--taxonomy already orders the super-classes; drop --super_classes")
    if not os.path.isdir(conversion.images_dir):
        raise InputError(f"--images_dir={conversion.images_dir} is not a folder; check the path")
    try:
        os.makedirs(conversion.output_dir, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--output_dir={conversion.output_dir} cannot be made ({error.strerror}); take another"
        ) from error


def _taxonomy(conversion: Conversion, annotations: Annotations) -> Taxonomy:
    """The label spaces, which must be those of other splits in the same folder."""
    if conversion.taxonomy:
        taxonomy = Taxonomy.load(conversion.taxonomy)
        known = {category.id: category for category in taxonomy.species + taxonomy.unboxed}
        boxed = set(annotations.boxed_category_ids())
        for category in annotations.categories:
            if category.id in boxed and known.get(category.id) != category:
                raise InputError(
                    f"{conversion.annotations}: category {category.id} ({category.name}, "
                    f"{category.supercategory}) is not so in {conversion.taxonomy}; use the "
                    "taxonomy of the same dataset"
                )
    else:
        taxonomy = annotations.derive_taxonomy(conversion.super_classes or None)
    stored = os.path.join(conversion.output_dir, TAXONOMY_FILE)
    shards = glob.glob(os.path.join(glob.escape(conversion.output_dir), "*-of-*.tfrecord"))
    others = [s for s in shards if not os.path.basename(s).startswith(f"{conversion.split}-")]
    if others and os.path.exists(stored) and Taxonomy.load(stored) != taxonomy:
        raise InputError(
            f"{stored} gives other labels than {conversion.taxonomy or conversion.annotations}; "
            f"pass --taxonomy={stored} to share them, or another --output_dir"
        )
    return taxonomy


def _present(conversion: Conversion, annotations: Annotations, chosen: np.ndarray) -> np.ndarray:
    """Those of the chosen images whose file is there. A wrong folder is noticed at once."""

    def is_there(position: int) -> bool:
        name = annotations.images[position].file_name
        return os.path.isfile(os.path.join(conversion.images_dir, name))

    with concurrent.futures.ThreadPoolExecutor(conversion.threads) as readers:
        there = np.array(list(readers.map(is_there, chosen.tolist(), chunksize=256)), bool)
    missing = chosen[~there] if len(chosen) else chosen
    if len(missing) and (conversion.on_bad is OnBad.ERROR or len(missing) == len(chosen)):
        named = ", ".join(annotations.images[i].file_name for i in missing[:_NAMED_FILES].tolist())
        more = "" if len(missing) == len(chosen) else " or leave them out with --on_bad=skip"
        raise InputError(
            f"{len(missing)} of {len(chosen)} images are not in {conversion.images_dir}, such as "
            f"{named}; check --images_dir{more}"
        )
    return chosen[there] if len(chosen) else chosen
