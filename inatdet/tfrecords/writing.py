"""Writes the images and boxes of a split as TFRecord shards, and what readers need beside them."""

from __future__ import annotations

import collections
import concurrent.futures
import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.file_names import explain_missing
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.granularity import Granularity
from inatdet.data.jpeg import BadFileError, FileProblem, read_jpeg
from inatdet.data.reading_ahead import map_ahead
from inatdet.data.taxonomy import TAXONOMY_FILE, Taxonomy
from inatdet.errors import InputError
from inatdet.files import sha256_of
from inatdet.locks import only_writer
from inatdet.tfrecords.contents import labels_sha256
from inatdet.tfrecords.conversion import Conversion
from inatdet.tfrecords.examples import VERSION, encode
from inatdet.tfrecords.journal import Journal, Shard
from inatdet.tfrecords.label_counts import SplitCounts
from inatdet.tfrecords.shards import Written, shard_names, write_shard

__all__ = ["Conversion", "convert"]


def convert(conversion: Conversion, progress: bool = False) -> dict[str, Any]:
    """Writes the shards of one split, its summary, label counts, label maps and taxonomy.

    Args:
        conversion: what to do.
        progress: whether to show a progress bar on stderr.

    Returns:
        What `<split>.json` says: `images`, `boxes`, `shards`, `left_out` and more.

    Raises:
        InputError: a setting, the annotations or an image file are bad, or another process writes
            to the folder. Nothing was written, unless it is the content of an image file that is
            bad; then finished shards are kept for the next run.
    """
    conversion.check()
    with only_writer(conversion.output_dir):
        return _convert(conversion, progress)


def _convert(conversion: Conversion, progress: bool) -> dict[str, Any]:
    annotations = read_coco_annotations(
        conversion.annotations, on_bad=conversion.on_bad, images_dir=conversion.images_dir
    )
    annotations = with_ranks(annotations, conversion.ranks, conversion.genus_from_names)
    taxonomy = conversion.label_spaces(annotations)
    left_out = collections.Counter(annotations.skipped)
    order = _choose_images(conversion, annotations, left_out)
    names = shard_names(conversion.split, len(order), conversion.num_shards)
    journal = Journal(
        conversion.output_dir,
        conversion.split,
        _settings(conversion, order, taxonomy, num_shards=len(names)),
    )
    finished = _resume(conversion, journal, names)
    taxonomy.save(os.path.join(conversion.output_dir, TAXONOMY_FILE))
    taxonomy.write_label_maps(conversion.output_dir)
    serialize = _serializer(conversion, annotations, taxonomy)
    shards = _write(
        conversion,
        journal,
        order=order,
        names=names,
        finished=finished,
        serialize=serialize,
        progress=progress,
    )

    written = {annotations.images[position].id for position in order.tolist()}
    for shard in shards:
        left_out.update(shard.left_out)
        written.difference_update(shard.left_out_ids)
    if not written:
        reasons = "; ".join(f"{problem}: {count}" for problem, count in left_out.items() if count)
        raise InputError(
            f"{conversion.annotations}: no image can be written ({reasons}); `inatdet check` lists "
            "what is wrong with each"
        )
    counts = SplitCounts.of(annotations.keep_images(written))
    counts.save(conversion.output_dir, conversion.split)
    species = taxonomy.label_of_category(Granularity.SPECIES)
    summary = {
        "split": conversion.split,
        "images": sum(shard.images for shard in shards),
        "boxes": sum(shard.boxes for shard in shards),
        "shards": len(shards),
        "notes": [*annotations.notes, *_misfits(annotations.path, taxonomy)],
        "left_out": {problem: count for problem, count in left_out.items() if count},
        "turned": sum(shard.turned for shard in shards),
        "boxes_without_species_label": int(
            np.isin(annotations.category_ids, list(species), invert=True).sum()
        ),
        "labels": {str(g): taxonomy.num_labels(g) for g in taxonomy.levels},
    }
    journal.end(summary, shards)
    return summary


def _misfits(path: str, taxonomy: Taxonomy) -> list[str]:
    """Sentences about the ranks that no model can be trained at."""
    return [f"{path}: {m.granularity} is no level, as it {m.reason}" for m in taxonomy.misfits]


def _choose_images(
    conversion: Conversion, annotations: Annotations, left_out: collections.Counter[str]
) -> np.ndarray:
    """Which images to write, shuffled.

    Args:
        conversion: what to do.
        annotations: their images are chosen from.
        left_out: the numbers of images left out, by problem; it is added to.

    Returns:
        int64 `[images]`, positions in `annotations.images`.
    """
    chosen = np.arange(len(annotations.images))
    if not conversion.keep_boxless:
        _, starts = annotations.rows_by_image()
        chosen = np.flatnonzero(np.diff(starts))
        left_out["image has no box"] = len(annotations.images) - len(chosen)
    present = _present(conversion, annotations, chosen)
    left_out[str(FileProblem.MISSING)] = len(chosen) - len(present)
    return np.random.default_rng(conversion.seed).permutation(present)


def _present(conversion: Conversion, annotations: Annotations, chosen: np.ndarray) -> np.ndarray:
    """Those of the chosen images whose file exists; a wrong folder is noticed right away."""

    def exists(position: int) -> bool:
        return os.path.isfile(annotations.images[position].path_in(conversion.images_dir))

    with concurrent.futures.ThreadPoolExecutor(conversion.threads) as readers:
        found = np.array(list(readers.map(exists, chosen.tolist(), chunksize=256)), bool)
    missing = chosen[~found] if len(chosen) else chosen
    if len(missing) and (conversion.on_bad is OnBad.ERROR or len(missing) == len(chosen)):
        what, remedy = explain_missing(
            conversion.images_dir,
            [annotations.images[position].file_name for position in missing.tolist()],
            sought=len(chosen),
        )
        more = "" if len(missing) == len(chosen) else ", or leave them out with --on_bad=skip"
        raise InputError(f"{what}; {remedy}{more}")
    return chosen[found] if len(chosen) else chosen


def _settings(
    conversion: Conversion, order: np.ndarray, taxonomy: Taxonomy, num_shards: int
) -> dict[str, Any]:
    """Everything that the content of the shards depends on, to resume only a run with the same."""
    return {
        "annotations": os.path.basename(conversion.annotations),
        "annotations_sha256": sha256_of(conversion.annotations),
        "order_sha256": hashlib.sha256(order.astype("<i8").tobytes()).hexdigest(),
        "labels_sha256": labels_sha256(taxonomy),
        "num_shards": num_shards,
        "granularity": str(conversion.granularity),
        "seen_labels_sha256": _labels_sha256(taxonomy, conversion.granularity),
        "record_version": VERSION,
    }


def _labels_sha256(taxonomy: Taxonomy, granularity: Granularity) -> str:
    """The hash of the labels in the field that other readers see."""
    labels = taxonomy.names(granularity), sorted(taxonomy.label_of_category(granularity).items())
    return hashlib.sha256(repr(labels).encode()).hexdigest()


def _resume(conversion: Conversion, journal: Journal, names: list[str]) -> dict[str, Shard]:
    """The shards that an earlier run finished; unless these are all, starts a new journal."""
    finished = {
        name: shard
        for name, shard in journal.finished().items()
        # What a run with SKIP left out is an error now.
        if not (shard.left_out and conversion.on_bad is OnBad.ERROR)
    }
    if len(finished) < len(names) or not os.path.exists(journal.summary_path):
        journal.begin(finished)
    return finished


def _serializer(
    conversion: Conversion, annotations: Annotations, taxonomy: Taxonomy
) -> Callable[[int], Written | BadFileError]:
    """A function that reads an image and encodes it with its boxes.

    It takes the position of an image in `annotations.images`, and returns what to write, or why the
    file cannot be used.
    """
    rows, starts = annotations.rows_by_image()

    def serialize(position: int) -> Written | BadFileError:
        image, boxes = annotations.images[position], rows[starts[position] : starts[position + 1]]
        try:
            jpeg = read_jpeg(conversion.images_dir, image)
        except BadFileError as error:
            return error
        example = encode(
            image,
            jpeg.data,
            boxes=annotations.boxes[boxes],
            category_ids=annotations.category_ids[boxes],
            areas=annotations.areas[boxes],
            is_crowd=annotations.is_crowd[boxes],
            taxonomy=taxonomy,
            granularity=conversion.granularity,
        )
        return Written(example.SerializeToString(), len(boxes), jpeg.is_turned)

    return serialize


def _write(
    conversion: Conversion,
    journal: Journal,
    *,
    order: np.ndarray,
    names: list[str],
    finished: Mapping[str, Shard],
    serialize: Callable[[int], Written | BadFileError],
    progress: bool,
) -> list[Shard]:
    """Writes the shards that are not finished.

    Args:
        conversion: what to do.
        journal: where to record finished shards.
        order: int `[images]`, positions of images; shard i of n has every n-th from the i-th on.
        names: of the shards.
        finished: the shards that need not be written, by name.
        serialize: see `_serializer`.
        progress: whether to show a progress bar.

    Returns:
        All shards of the split.
    """
    shards = []
    bar = tqdm.tqdm(
        total=len(order), desc=conversion.split, unit=" images", disable=not progress, mininterval=1
    )
    with bar, concurrent.futures.ThreadPoolExecutor(conversion.threads) as readers:
        for i, name in enumerate(names):
            positions = order[i :: len(names)].tolist()
            if name in finished:
                # Not counted as progress, because the remaining time is that of the images to come.
                bar.total = (bar.total or 0) - len(positions)
                bar.refresh()
                shards.append(finished[name])
                continue
            path = os.path.join(conversion.output_dir, name)
            examples = map_ahead(readers, serialize, positions, 4 * conversion.threads)
            shards.append(write_shard(path, examples, conversion.on_bad, bar.update))
            journal.add(shards[-1])
    return shards
