"""What the study varies, read from its file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from inatdet.choices import Choice
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError

FILE = os.path.join(os.path.dirname(__file__), "study.yaml")

Settings = Mapping[str, Any]
"""Values by the dotted names of settings."""


class Reading(Choice):
    """How the detections of a fine model are read at a coarser level; see study.yaml."""

    NONE = "none"
    NMS = "nms"
    CALIBRATED = "calibrated"
    MARGINAL = "marginal"


@dataclass(frozen=True)
class Variant:
    """One thing that is changed about the fine model.

    Attributes:
        name: what files and tables call it.
        cause: of the gap, that it tests.
        what: is changed, in words.
        read: how its detections are read at coarser levels.
        over: how those of the unchanged model are read, with which it is compared.
        source: where it comes from.
        train: settings of training that are changed; empty if the model is the unchanged one.
        detect: settings of detection that are changed, likewise.
        also_at: coarse levels whose models are trained with the change, too.
    """

    name: str
    cause: str
    what: str
    read: Reading
    over: Reading
    source: str
    train: Settings = field(default_factory=dict)
    detect: Settings = field(default_factory=dict)
    also_at: Sequence[str] = ()

    def model_at(self, level: str) -> str:
        """The name of the model of a coarse level with the change."""
        return f"{level}_{self.name}"

    @property
    def model(self) -> str | None:
        """Its own model; None if it has the unchanged one's weights."""
        return self.name if self.train else None


@dataclass(frozen=True)
class Preset:
    """On what the study is made.

    Attributes:
        seeds: one round of trainings each.
        pipeline: the file of settings, with `{level}` for the level that a model is trained at.
        settings: changed in all trainings.
        proposals: settings of the detection of proposals.
        data: `mini` for the generated dataset; empty where a folder must be named.
        features: the pipeline and settings of the classifier whose features all models begin with;
            empty where they begin as the pipeline says.
        variants: the names of those that are made; all if empty.
    """

    seeds: Sequence[int]
    pipeline: str
    settings: Settings = field(default_factory=dict)
    proposals: Settings = field(default_factory=dict)
    data: str = ""
    features: Mapping[str, Any] = field(default_factory=dict)
    variants: Sequence[str] = ()


@dataclass(frozen=True)
class Study:
    """What is compared with what.

    Attributes:
        fine: the level of the model in question.
        coarse: the levels of the models that it is compared with.
        variants: what is changed.
        preset: on what.
    """

    fine: Granularity
    coarse: Sequence[Granularity]
    variants: Sequence[Variant]
    preset: Preset

    @property
    def models(self) -> dict[str, tuple[Granularity, Settings]]:
        """The level and changed settings of each model that is trained, the baselines first."""
        levels = (self.fine, *self.coarse)
        baselines: dict[str, tuple[Granularity, Settings]] = {str(g): (g, {}) for g in levels}
        changed = {v.name: (self.fine, v.train) for v in self.variants if v.model}
        both = {
            variant.model_at(level): (Granularity(level), variant.train)
            for variant in self.variants
            for level in variant.also_at
        }
        return baselines | changed | both

    @property
    def detections(self) -> dict[str, Settings]:
        """The changed settings of each further pass of detection with the fine model's weights."""
        return {variant.name: variant.detect for variant in self.variants if variant.detect}


def read_study(
    path: str, preset: str, variants: Sequence[str] = (), seeds: Sequence[int] = ()
) -> Study:
    """Reads a study.

    Args:
        path: its file.
        preset: the name of the preset.
        variants: the names of those that are made, instead of the preset's.
        seeds: instead of the preset's.

    Raises:
        InputError: the file cannot be read as one, or there is no such preset or variant.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
        presets = content["presets"]
        if preset not in presets:
            raise InputError(f"--preset={preset}: {path} has {', '.join(presets)}")
        chosen = Preset(**presets[preset])
        every = {
            name: Variant(
                name,
                **values | {key: Reading(values[key]) for key in ("read", "over")},
            )
            for name, values in content["variants"].items()
        }
        fine, coarse = content["fine"], content["coarse"]
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as a study ({error!r}); see {FILE}") from error
    names = variants or chosen.variants or list(every)
    unknown = [name for name in names if name not in every]
    if unknown:
        raise InputError(
            f"--variants={','.join(unknown)}: not among those of {path}: {', '.join(every)}"
        )
    both = [variant.name for variant in every.values() if variant.train and variant.detect]
    if both:
        raise InputError(f"{path}: {', '.join(both)}: a variant has either train or detect")
    for variant in every.values():
        if variant.also_at and not (variant.train and set(variant.also_at) <= set(coarse)):
            raise InputError(
                f"{path}: {variant.name}: also_at needs train, and levels among {', '.join(coarse)}"
            )
    if seeds:
        chosen = dataclasses.replace(chosen, seeds=seeds)
    return Study(
        Granularity(fine),
        [Granularity(level) for level in coarse],
        [every[name] for name in every if name in names],
        chosen,
    )


def nested(settings: Settings) -> dict[str, Any]:
    """Settings by dotted names as groups within groups, as files of settings have them."""
    groups: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        group = groups
        for part in path:
            group = group.setdefault(part, {})
        group[last] = value
    return groups
