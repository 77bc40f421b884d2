import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.10", "3.11", "3.12")


def requirements(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


PINS = requirements(ROOT / "constraints.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
]


def pins_of(name, python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return [
        pin
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_one_pin_that_satisfies_it(python):
    for requirement in NEEDED:
        pins = pins_of(requirement.name, python)
        assert len(pins) == 1, requirement
        (specifier,) = pins[0].specifier
        assert requirement.specifier.contains(specifier.version), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_nothing_is_pinned_twice(python):
    for pin in PINS:
        assert len(pins_of(pin.name, python)) <= 1, pin
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin


def test_data_evaluation_and_reports_need_no_tensorflow():
    """Not what the imports say, which test_house.py reads, but what happens without it."""
    rooms = ("data", "datasets", "evaluation", "report")
    files = [path for room in rooms for path in sorted((ROOT / "inatdet" / room).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    names = [name.removesuffix(".__init__") for name in names]
    programs = ("evaluate", "compare", "gallery", "convert", "statistics")
    names += [f"inatdet.programs.{name}" for name in programs]
    # A name that is None in sys.modules cannot be imported.
    code = (
        "import importlib, sys\n"
        "for name in ('tensorflow', 'tf_keras', 'keras', 'official', 'orbit', 'h5py'):\n"
        "    sys.modules[name] = None\n"
        f"for name in {names}: importlib.import_module(name)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
