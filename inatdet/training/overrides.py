"""Settings in one line, as in `task.seed=1,trainer.train_steps=5`; values may contain commas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from inatdet.errors import InputError

_FLAG = "--params_override"


def parse(line: str, groups: Sequence[str]) -> dict[str, Any]:
    """Reads `a.b=c,d.e=f`.

    A comma ends a value only where a name in one of the groups follows, and a value that is no
    number, list or other YAML is text as it stands. So the paths of files may contain anything but
    such a name. Of a setting that is given twice, the last value counts, so that more settings can
    be put behind others.

    Args:
        line: the settings.
        groups: the first parts of the names.

    Returns:
        Nested dictionaries.

    Raises:
        InputError: a setting has no name or no value.
    """
    name = rf"(?:{'|'.join(groups)})\b(?:\.\w+)*\s*="
    parts = re.split(rf",\s*(?={name})", line.strip())
    settings: dict[str, Any] = {}
    for part in parts:
        if not re.match(name, part):
            raise InputError(
                f"{_FLAG}: {part[:80]!r} cannot be read as settings; write GROUP.NAME=VALUE, where "
                f"GROUP is {', '.join(groups)}, or name a YAML file"
            )
        path, _, text = part.partition("=")
        *parents, leaf = path.strip().split(".")
        group = settings
        for parent in parents:
            group = group.setdefault(parent, {})
            if not isinstance(group, dict):
                raise InputError(f"{_FLAG}: {parent} is given a value, and {path} as well")
        group[leaf] = _value(text.strip())
    return settings


def _value(text: str) -> Any:
    """A number, truth value, list and so on, or the text itself."""
    if re.match(r"\w+://", text):
        return text
    try:
        # The loader of Model Garden, for which 1e-3 is a number, too.
        value = yaml.load(text, Loader=yaml.FullLoader)  # noqa: S506
    except yaml.YAMLError:
        return text
    quoted = text[:1] in {"'", '"'}
    if isinstance(value, (bool, int, float, list, type(None))) or quoted:
        return value
    return value if isinstance(value, dict) and text.startswith("{") else text
