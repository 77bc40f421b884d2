"""Writes the images and boxes of a split as TFRecord shards, and what readers need beside them."""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import IMAGE_TAXONOMY_FILE, TAXONOMY_FILE
from inatdet.errors import InputError
from inatdet.locks import only_writer, only_writer_of
from inatdet.tfrecords.archive import ImagesArchive
from inatdet.tfrecords.conversion import Conversion
from inatdet.tfrecords.journal import Journal, Shard
from inatdet.tfrecords.label_counts import SplitCounts
from inatdet.tfrecords.parts import shards_of_part
from inatdet.tfrecords.plan import Plan, arguments_of
from inatdet.tfrecords.recording import NOT_WANTED, Recorder, recorder
from inatdet.tfrecords.shards import write_shard
from inatdet.tfrecords.side_by_side import Map, write_side_by_side
from inatdet.tfrecords.sources import ImagesFolder, Source

__all__ = ["Conversion", "convert"]


def convert(conversion: Conversion, progress: bool = False) -> dict[str, Any]:
    """Writes the shards of one split, its manifest, label counts, label maps and taxonomies.

    Args:
        conversion: what to do.
        progress: whether to show a progress bar on stderr.

    Returns:
        What the manifest `<split>.json` says: `images`, `boxes`, `shards`, `left_out` and more.
        Where other parts have yet to write shards, there is no manifest; then the numbers are those
        of this part, and `unwritten` is the number of shards that are not there.

    Raises:
        InputError: a setting, the annotations or an image file are bad, or another process writes
            to the folder. Nothing was written, unless it is the content of an image file that is
            bad; then finished shards are kept for the next run.
    """
    conversion.check()
    alone = contextlib.nullcontext() if conversion.shards else only_writer(conversion.output_dir)
    with alone:
        plan = Plan.of(conversion)
        part = shards_of_part(conversion.shards, len(plan.names))
        journal = Journal(conversion.output_dir, conversion.split, plan.settings, plan.names)
        notes, written = _write_part(conversion, plan, part, journal, progress)
        summary = _join(conversion, plan, journal, written)
    return {**summary, "notes": [*notes, *summary["notes"]]}


def _write_part(
    conversion: Conversion, plan: Plan, part: range, journal: Journal, progress: bool
) -> tuple[list[str], list[Shard]]:
    """Writes the shards of a part that are not finished.

    Returns:
        Sentences about what is written again, and all shards of the part.
    """
    positions = {plan.names[shard]: plan.positions(shard).tolist() for shard in part}
    wanted = [position for of_shard in positions.values() for position in of_shard]
    with _source(conversion, plan.annotations, wanted, progress) as source:
        stamps = {name: source.stamp(of_shard) for name, of_shard in positions.items()}
        recorded = {
            name: shard
            for name, shard in journal.finished(positions).items()
            # What a run with SKIP left out is an error now.
            if conversion.on_bad is OnBad.SKIP or set(shard.left_out) <= set(NOT_WANTED.values())
        }
        finished = {n: shard for n, shard in recorded.items() if shard.sources == stamps[n]}
        notes = _written_again(conversion, journal, len(recorded) - len(finished))
        todo = {name: of for name, of in positions.items() if name not in finished}
        if not todo:
            return notes, list(finished.values())
        _check_there(conversion, plan.annotations, source, todo, len(wanted))
        journal.begin(todo, alone=not conversion.shards)
        _save_label_spaces(conversion, plan)
        record_of = recorder(conversion, plan, source)
        shards = _write(conversion, source, todo, record_of, journal, stamps, progress)
    finished.update((shard.file, shard) for shard in shards)
    return notes, [finished[name] for name in positions]


def _written_again(conversion: Conversion, journal: Journal, changed: int) -> list[str]:
    notes = []
    if journal.is_of_earlier_version():
        notes.append(
            f"{conversion.output_dir}: an earlier version of inatdet wrote shards of "
            f"{conversion.split}, which have no checksums; they are written again"
        )
    if changed:
        are = "was finished, so it is" if changed == 1 else "were finished, so they are"
        notes.append(
            f"{conversion.output_dir}: images of {changed:,} "
            f"{'shard' if changed == 1 else 'shards'} changed in size or time after "
            f"{'it' if changed == 1 else 'they'} {are} written again"
        )
    return notes


@contextlib.contextmanager
def _source(
    conversion: Conversion, annotations: Annotations, wanted: Sequence[int], progress: bool
) -> Iterator[Source]:
    images = annotations.images
    if conversion.images_dir:
        yield ImagesFolder(conversion.images_dir, images, wanted, conversion.threads)
        return
    path = conversion.images_tar
    assert path
    with tqdm.tqdm(
        desc=os.path.basename(path),
        total=os.path.getsize(path),
        unit="B",
        unit_scale=True,
        disable=not progress,
        mininterval=1,
    ) as bar:
        archive = ImagesArchive(path, images, conversion.output_dir, bar.update)
        with contextlib.closing(archive):
            yield archive


def _check_there(
    conversion: Conversion,
    annotations: Annotations,
    source: Source,
    todo: Mapping[str, Sequence[int]],
    sought: int,
) -> None:
    """Checks that the files exist, so that a wrong folder is noticed right away.

    Args:
        conversion: what to do.
        annotations: the images.
        source: of their files.
        todo: the images of the shards to write.
        sought: the number of images of all shards of this part.
    """
    os.makedirs(conversion.output_dir, exist_ok=True)
    absent = source.fetch(todo)
    if absent and (conversion.on_bad is OnBad.ERROR or len(absent) == sought):
        names = [annotations.images[position].file_name for position in absent]
        what, remedy = source.explain(names, sought)
        more = "" if len(absent) == sought else ", or leave them out with --on_bad=skip"
        raise InputError(f"{what}; {remedy}{more}")


def _write(
    conversion: Conversion,
    source: Source,
    todo: Mapping[str, Sequence[int]],
    record_of: Recorder,
    journal: Journal,
    stamps: Mapping[str, str],
    progress: bool,
) -> list[Shard]:
    """Writes shards, some at the same time.

    Args:
        conversion: what to do.
        source: of the image files.
        todo: the images of each shard, by its name.
        record_of: see `recorder`.
        journal: where to record finished shards.
        stamps: what the files of each shard are like from outside.
        progress: whether to show a progress bar.
    """

    def write(name: str, map_images: Map, advance: Callable[[], object]) -> Shard:
        path = os.path.join(conversion.output_dir, name)
        shard = write_shard(path, map_images(record_of, todo[name]), conversion.on_bad, advance)
        shard = replace(shard, sources=stamps[name])
        journal.add(shard)
        return shard

    with tqdm.tqdm(
        total=sum(map(len, todo.values())),
        desc=conversion.split,
        unit=" images",
        disable=not progress,
        mininterval=1,
    ) as bar:
        return write_side_by_side(
            write,
            list(todo),
            threads=conversion.threads,
            processes=conversion.processes,
            advance=bar.update,
            finished=source.release,
        )


def _join(
    conversion: Conversion, plan: Plan, journal: Journal, written: list[Shard]
) -> dict[str, Any]:
    """Writes the manifest and the label counts, if all shards of the split are there.

    Returns:
        The manifest, or what it would say of this part.
    """
    everything = journal.finished()
    unwritten = len(plan.names) - len(everything)
    if unwritten:
        return {**_summary(conversion, plan, written), "unwritten": unwritten}
    shards = list(everything.values())
    summary = _summary(conversion, plan, shards)
    _save_label_spaces(conversion, plan)
    left_out = {image_id for shard in shards for image_id in shard.left_out_ids}
    images = plan.annotations.images
    written_at = [at for at in plan.order.tolist() if images[at].id not in left_out]
    if not written_at:
        reasons = "; ".join(f"{problem}: {n}" for problem, n in summary["left_out"].items())
        raise InputError(
            f"{conversion.sources}: no image can be written ({reasons}); `inatdet check` lists "
            "what is wrong with each"
        )
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_writer_of(journal.summary_path))
        except InputError:  # another part ended at the same time, and does this
            return summary
        counts = _counts(plan, np.array(written_at))
        counts.save(conversion.output_dir, conversion.split)
        if plan.shown:
            summary["boxed_images"] = counts.all_images.total_images
        journal.end({**summary, "arguments": arguments_of(conversion)}, shards)
    return summary


def _counts(plan: Plan, written: np.ndarray) -> SplitCounts:
    """What the images at these positions show; boxes are counted where somebody drew them."""
    boxed = written[plan.boxed[written]]
    images = plan.annotations.images
    counts = SplitCounts.of(plan.annotations.keep_images(images[at].id for at in boxed.tolist()))
    if plan.shown is None:
        return counts
    return replace(counts, image_labels=plan.shown.counts(written))


def _save_label_spaces(conversion: Conversion, plan: Plan) -> None:
    folder = conversion.output_dir
    for taxonomy, file, prefix in (
        (plan.taxonomy, TAXONOMY_FILE, ""),
        (plan.image_taxonomy, IMAGE_TAXONOMY_FILE, "image_"),
    ):
        if taxonomy:
            taxonomy.save(os.path.join(folder, file))
            taxonomy.write_label_maps(folder, prefix)


def _summary(conversion: Conversion, plan: Plan, shards: Sequence[Shard]) -> dict[str, Any]:
    """What a manifest says about shards."""
    annotations = plan.annotations
    left_out = collections.Counter(plan.left_out)
    for shard in shards:
        left_out.update(shard.left_out)
    misfits = [
        f"{path}: {m.granularity} is no level, as it {m.reason}"
        for path, taxonomy in (
            (conversion.annotations, plan.taxonomy),
            (conversion.image_labels, plan.image_taxonomy),
        )
        for m in (taxonomy.misfits if taxonomy else ())
    ]
    summary = {
        "split": conversion.split,
        "images": sum(shard.images for shard in shards),
        "boxes": sum(shard.boxes for shard in shards),
        "shards": len(shards),
        "notes": [*annotations.notes, *misfits],
        "left_out": {problem: count for problem, count in left_out.items() if count},
        "turned": sum(shard.turned for shard in shards),
        "boxes_without_species_label": _without_label(annotations.category_ids, plan.taxonomy),
        "labels": _numbers_of_labels(plan.taxonomy),
    }
    if plan.shown:
        shown = plan.shown.category_ids[plan.order][plan.shown.known[plan.order]]
        summary["images_without_species_label"] = _without_label(shown, plan.image_taxonomy)
        summary["image_labels"] = _numbers_of_labels(plan.image_taxonomy)
    return summary


def _without_label(category_ids: np.ndarray, taxonomy: Taxonomy | None) -> int:
    """How many categories, int64 `[n]`, have no label as species."""
    known = taxonomy.label_of_category(Granularity.SPECIES) if taxonomy else {}
    return int(np.isin(category_ids, list(known), invert=True).sum())


def _numbers_of_labels(taxonomy: Taxonomy | None) -> dict[str, int]:
    return {str(g): taxonomy.num_labels(g) for g in taxonomy.levels} if taxonomy else {}
