"""What --detections means, and the files that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.formats.reading import read_detections
from inatdet.data.formats.voc import Corners
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.errors import InputError
from inatdet.programs.flags import granularities_of
from inatdet.programs.running import progress

_EXPECTED = " or ".join(f"{granularity}=PATH" for granularity in ALWAYS)


def granularity_and_path(flag: str, item: str) -> tuple[Granularity, str]:
    """Splits `GRANULARITY=PATH`.

    Args:
        flag: what the value was given as, for the message: `--detections=` or nothing.
        item: the value.

    Raises:
        InputError: it is not of that form.
    """
    name, _, path = item.partition("=")
    if not path:
        raise InputError(f"{flag}{item}: must be {_EXPECTED}")
    return granularities_of(f"{flag}{item}", [name])[0], path


def detections_by_model(items: Sequence[str]) -> dict[tuple[Granularity, Granularity], str]:
    """Splits the values of a repeated --detections.

    Args:
        items: `GRANULARITY=PATH`, or `GRANULARITY/COARSER=PATH` for detections by summed
            probabilities.

    Returns:
        The paths by the granularity of the model and that of its detections.

    Raises:
        InputError: a value is of another form or repeated, or there are detections by summed
            probabilities without the model's own.
    """
    paths: dict[tuple[Granularity, Granularity], str] = {}
    for item in items:
        name, _, path = item.partition("=")
        trained_on, slash, target = name.partition("/")
        if not path:
            raise InputError(
                f"--detections={item}: must be {_EXPECTED}, or species/super=PATH and so on for "
                "detections by summed probabilities"
            )
        names = (trained_on, target if slash else trained_on)
        fine, coarse = granularities_of(f"--detections={item}", names)
        key = fine, coarse
        if key in paths:
            raise InputError(f"--detections={item}: {name} is given twice; give it once")
        paths[key] = path
    trained = {trained_on for trained_on, target in paths if trained_on is target}
    for trained_on, target in paths:
        if trained_on not in trained:
            raise InputError(
                f"--detections={trained_on}/{target} needs the model's own detections as well; "
                f"give --detections={trained_on}=PATH"
            )
    if not paths:
        raise InputError(f"--detections is missing; give {_EXPECTED}")
    return paths


def read_detections_of(
    paths: Mapping[tuple[Granularity, Granularity], str],
    truth: Annotations,
    names: str | None = None,
    corners: Corners = Corners.INCLUSIVE,
) -> list[Detections]:
    """Reads the files of `detections_by_model`, from fine to coarse.

    Args:
        paths: the files.
        truth: the annotations of the same images.
        names: the file with the names of a YOLO model's classes.
        corners: what the corners in VOC's files are.

    Raises:
        InputError: one cannot be read, or a level does not exist or is not coarser than another.
    """
    levels = truth.taxonomy.levels
    for (trained_on, granularity), path in paths.items():
        item = trained_on if trained_on is granularity else f"{trained_on}/{granularity}"
        try:
            coarser = truth.taxonomy.coarser_or_equal(trained_on)
            truth.taxonomy.check(granularity)
        except InputError as error:
            raise InputError(f"--detections={item}={path}: {error}") from error
        if granularity not in coarser:
            raise InputError(
                f"--detections={item}={path}: {granularity} is not coarser than {trained_on}; the "
                f"levels are {', '.join(levels)}"
            )
    return [
        read_detections_at(
            path,
            truth,
            granularity,
            names,
            corners,
            summed_from=None if granularity is trained_on else trained_on,
        )
        for (trained_on, granularity), path in sorted(
            paths.items(), key=lambda item: [levels.index(level) for level in item[0]]
        )
    ]


def read_detections_at(
    path: str,
    truth: Annotations,
    granularity: Granularity,
    names: str | None,
    corners: Corners,
    summed_from: Granularity | None = None,
) -> Detections:
    """Reads one file of detections, and prints what there is to say about how it was read.

    Raises:
        InputError: it cannot be read.
    """
    progress(f"reading {path}")
    found = read_detections(
        path,
        truth,
        granularity=granularity,
        names=names,
        corners=corners,
        summed_from=summed_from,
    )
    for note in found.notes:
        progress(f"note: {note}")
    return found
