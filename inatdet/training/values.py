"""Whether settings have values of their types, and within their ranges."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from typing import Any

from official.modeling import hyperparams

from inatdet.errors import InputError
from inatdet.training.config import LevelWeights

_ABOVE_0 = frozenset(
    {
        "base",
        "batch_size",
        "box_code_scales",
        "channels",
        "checkpoint_interval",
        "crop_size",
        "hidden",
        "image_size",
        "initializer_stddev",
        "level4_size",
        "max_detections",
        "max_per_class",
        "max_proposals",
        "max_to_keep",
        "num_convs",
        "num_filters",
        "pool_size",
        "ratios",
        "sample_size",
        "samples",
        "scales",
        "shuffle_buffer",
        "size",
        "smooth_l1_delta",
        "steps_per_loop",
        "stride",
        "summary_interval",
        "train_steps",
        "validation_interval",
        "width",
    }
)
_SHARES = frozenset(
    {
        "average_decay",
        "batch_norm_momentum",
        "min_score",
        "negative_iou",
        "nms_iou",
        "positive_fraction",
        "positive_iou",
    }
)
_NOT_NEGATIVE = frozenset(
    {
        "boundaries",
        "boxes_weight",
        "candidates",
        "classes_weight",
        "decay_steps",
        "initial_learning_rate",
        "learning_rate",
        "logit_adjustment",
        "num_gpus",
        "reference_batch_size",
        "rpn_boxes_weight",
        "rpn_objectness_weight",
        "seed",
        "values",
        "wait_for_disk",
        "warmup_learning_rate",
        "warmup_steps",
        "weight_decay",
    }
)
"""The last parts of the names of settings, by their range; shares are from 0 to 1."""

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def check_values(settings: hyperparams.Config, prefix: str = "") -> None:
    """Checks all settings of a group; a whole number that is written as 1e3 becomes one.

    Args:
        settings: the group.
        prefix: what to put before the names of its settings.

    Raises:
        InputError: one has a value of another type, or out of range.
    """
    for name, kind, may_be_none in _kinds(settings):
        value, full = getattr(settings, name), f"{prefix}{name}"
        if value is None and may_be_none:
            continue
        if isinstance(kind, type) and issubclass(kind, hyperparams.Config):
            if not isinstance(value, hyperparams.Config):
                raise InputError(f"{full} is {_shown(value)}; it is a group of settings")
            check_values(value, f"{full}.")
        elif typing.get_origin(kind) in (tuple, list):
            if not isinstance(value, (tuple, list)):
                raise InputError(f"{full} is {_shown(value)}; it must be a list, as in [1,2]")
            for one in value:
                _check(full, one, typing.get_args(kind)[0])
        else:
            if kind is int and isinstance(value, float) and value.is_integer():
                value = int(value)
                setattr(settings, name, value)
            _check(full, value, kind)


def _kinds(settings: hyperparams.Config) -> Iterator[tuple[str, Any, bool]]:
    """The names and types of a group's settings, and whether they may be None."""
    if isinstance(settings, LevelWeights):
        yield from ((name, float, False) for name in settings.as_dict())
        return
    hints = typing.get_type_hints(type(settings))
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name in settings.as_dict():
        kind = hints.get(name)
        options = typing.get_args(kind)
        if typing.get_origin(kind) not in (typing.Union, types.UnionType):
            yield name, kind, defaults.get(name) is None
            continue
        options = tuple(option for option in options if option is not types.NoneType)
        yield name, options[0] if len(options) == 1 else None, True


def _check(name: str, value: Any, kind: Any) -> None:
    if kind not in _KINDS:
        return
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        # What stands after `=` is read as YAML, in which nothing is no text.
        hint = "; for none, write ''" if kind is str and value is None else ""
        raise InputError(f"{name} is {_shown(value)}; it must be {_KINDS[kind]}{hint}")
    if kind not in (int, float):
        return
    if not math.isfinite(value):
        raise InputError(f"{name} is {value}; it must be a finite number")
    last = name.rpartition(".")[2]
    if last in _ABOVE_0 and not value > 0:
        raise InputError(f"{name} is {value}; it must be above 0")
    if last in _SHARES and not 0 <= value <= 1:
        raise InputError(f"{name} is {value}; it must be from 0 to 1")
    if last in _NOT_NEGATIVE and value < 0:
        raise InputError(f"{name} is {value}; it must not be negative")


def _shown(value: object) -> str:
    return repr(value)[:60]
