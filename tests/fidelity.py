"""What docs/fidelity.md says, for the tests that hold it and the code together."""

import functools
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("inatdet", "tests", "pipelines", "benchmarks")

_CLASSIFIER = "\n# The paper's classifiers and ours\n"
_TEXT = (ROOT / "docs" / "fidelity.md").read_text("utf-8")
DETECTOR, CLASSIFIER = _TEXT.split(_CLASSIFIER)
"""The parts of the document."""

SOURCE = r"\[(?:paper|authors|OD API|fgvc|ours|FPN|[A-Z]\w+ et al\.)"


def field(path, root):
    """The setting of a dotted name."""
    return functools.reduce(getattr, path.split("."), root)


def plain(value):
    """A list as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, (list, tuple)) else value


def described(owner, name):
    """What a field's class says about the field, and the first paragraph of its docstring."""
    for base in type(owner).__mro__:
        document = inspect.cleandoc(base.__doc__ or "")
        found = re.search(rf"^    {name}: (.+(?:\n {{8}}.+)*)", document, re.M)
        if found:
            return found[1], document.partition("\n\n")[0]
    raise AssertionError(f"{type(owner).__name__} does not describe {name}")


def rows(text):
    """The rows of a text's tables, each a list of cells."""
    lines = text.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in cells if len(row) == 5 and row[0] not in ("what", "---")]


def named_in(text):
    """What a text has between backquotes."""
    return re.findall(r"`([^`]+)`", text)


def find(name):
    """Files of the project that a document names by the end of their paths."""
    return [
        path
        for folder in FOLDERS
        for path in ROOT.glob(f"{folder}/**/*")
        if f"/{path.relative_to(ROOT)}".endswith(f"/{name}")
    ]


def check_row(row, setting):
    """Checks that a row names existing settings or files, and existing tests.

    Args:
        row: its cells.
        setting: raises AttributeError for a setting that does not exist.
    """
    places, tests = named_in(row[3]), named_in(row[4])
    assert places, "no place named"
    named = [name for name in tests if re.fullmatch(r"(\w+/)*test_\w+\.py", name)]
    assert named, "no test named"
    assert all(find(name) for name in named), named
    for place in places:
        if place.endswith(".py"):
            assert find(place), place
        else:
            setting(place)
