"""The programs that make the study: data, trainings, detections."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.granularity_gap.running import Step
from benchmarks.granularity_gap.study import Settings, Study, nested
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.training.modes import MODES

OWN = "own"
"""The detections of a model with the settings that it was trained with."""

PROPOSALS = "proposals"

_TRAIN = MODES[0]


@dataclass(frozen=True)
class Place:
    """Where the study lies.

    Attributes:
        work_dir: the folder for all that it makes.
        data_dir: the dataset, in iNat2017's layout.
        num_gpus: that each training uses; 0 is the CPU.
    """

    work_dir: str
    data_dir: str
    num_gpus: int = 0

    @property
    def records(self) -> str:
        """The folder of the TFRecords."""
        return os.path.join(self.work_dir, "records")

    @property
    def annotations(self) -> str:
        """The boxes that are evaluated on."""
        return os.path.join(self.data_dir, "val_2017_bboxes.json")

    @property
    def taxonomy_file(self) -> str:
        """The label spaces."""
        return os.path.join(self.records, "taxonomy.json")

    @property
    def features(self) -> str:
        """The folder of the classifier whose features models begin with."""
        return os.path.join(self.work_dir, "features")

    def run_dir(self, seed: int, model: str) -> str:
        """The folder of one training and what was made with its weights."""
        return os.path.join(self.work_dir, f"seed{seed}", model)

    def measures_file(self, seed: int, model: str) -> str:
        """The numbers of one training."""
        return os.path.join(self.run_dir(seed, model), "measures.json")

    def detections_file(self, seed: int, model: str, name: str, summed_at: str = "") -> str:
        """The detections of one pass: of the model's labels, or summed at a coarser level."""
        name = f"{name}.{summed_at}" if summed_at else name
        return os.path.join(self.run_dir(seed, model), f"{name}.parquet")


def preparing(study: Study, place: Place) -> Iterator[Step]:
    """What all trainings need: records, and a classifier if they begin with its features."""
    if study.preset.data == "mini":
        yield Step("data", place.work_dir, ["mini", f"--output_dir={place.data_dir}"])
    for split in ("train", "val"):
        arguments = [
            f"--annotations={place.data_dir}/{split}_2017_bboxes.json",
            f"--images_dir={place.data_dir}",
            f"--output_dir={place.records}",
            f"--split={split}",
        ]
        if split == "val":
            arguments.append(f"--taxonomy={place.taxonomy_file}")
        yield Step(f"records_{split}", place.work_dir, ["tfrecords", *arguments])
    if study.preset.features:
        features = study.preset.features
        yield _training(place, place.features, features["pipeline"], features["settings"])


def of_model(study: Study, place: Place, seed: int, model: str) -> Iterator[Step]:
    """The training of one model from one seed, and its detections."""
    level, changed = study.models[model]
    folder = place.run_dir(seed, model)
    own = {"task.granularity": str(level), "task.seed": seed}
    settings = {**study.preset.settings, **changed, **own}
    weights = os.path.join(place.features, "model") if study.preset.features else ""
    yield _training(place, folder, study.preset.pipeline.format(level=level), settings, weights)
    passes: dict[str, Settings] = {OWN: {}}
    if model == str(study.fine):
        passes |= study.detections
    coarser = ",".join(coarser_levels(place, level))
    flags = [f"--granularities={coarser}"] if coarser else []
    for name, changes in passes.items():
        yield _detecting(place, folder, name, changes, flags)
    if model == str(level):  # a baseline
        yield _detecting(place, folder, PROPOSALS, study.preset.proposals, ["--proposals"])


def coarser_levels(place: Place, level: Granularity) -> Sequence[str]:
    """The levels coarser than a model's; those that there always are before records are written."""
    try:
        taxonomy = Taxonomy.load(place.taxonomy_file)
    except InputError:
        return ["super", "generic"]
    return list(map(str, taxonomy.coarser_or_equal(level)[1:]))


def _training(
    place: Place, folder: str, pipeline: str, settings: Settings, weights: str = ""
) -> Step:
    step = Step("train", folder, [], nested(settings))
    where: dict[str, object] = {"task.taxonomy": place.taxonomy_file}
    for split, data in (("train", "train_data"), ("val", "validation_data")):
        where[f"task.{data}.input_path"] = f"{place.records}/{split}-*.tfrecord"
    where["runtime.num_gpus"] = place.num_gpus
    if weights:
        where["task.model.backbone.weights"] = weights
    arguments = [
        "train",
        f"--config_file={pipeline}",
        f"--config_file={step.settings_file}",
        f"--mode={_TRAIN}",
        f"--model_dir={os.path.join(folder, 'model')}",
        f"--params_override={_line(where)}",
    ]
    return dataclasses.replace(step, arguments=arguments)


def _detecting(
    place: Place, folder: str, name: str, changes: Settings, flags: Sequence[str]
) -> Step:
    arguments = [
        "detect",
        f"--model_dir={os.path.join(folder, 'model')}",
        f"--input={place.records}/val-*.tfrecord",
        f"--output={os.path.join(folder, name)}.parquet",
        f"--params_override={_line({'runtime.num_gpus': place.num_gpus, **changes})}",
        *flags,
    ]
    return Step(name, folder, arguments, nested(changes))


def _line(settings: Settings) -> str:
    """Settings as --params_override takes them."""
    return ",".join(f"{name}={value}" for name, value in settings.items())
