import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.10", "3.11", "3.12")


def requirements(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


PINS = requirements(ROOT / "constraints.txt")
NEEDED = [
    Requirement(text)
    for text in re.findall(
        r'^ +"([\w-]+(?:\[[\w-]+\])?[><=]=[^"]+)",', (ROOT / "setup.py").read_text(), re.M
    )
]


def pins_of(name, python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return [
        pin
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]


def test_setup_is_understood_by_this_test():
    assert {"numpy", "tensorflow", "pytest"} <= {requirement.name for requirement in NEEDED}


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


def modules_without_tensorflow():
    package = ROOT / "inatdet"
    files = [
        package / f"{name}.py" for name in ("__init__", "errors", "files", "evaluate", "convert")
    ]
    files += [package / "data" / f"{name}.py" for name in ("taxonomy", "annotations")]
    files += sorted((package / "data" / "formats").glob("*.py"))
    files += sorted((package / "evaluation").glob("*.py"))
    names = [str(file.relative_to(ROOT).with_suffix("")).replace("/", ".") for file in files]
    return [name.removesuffix(".__init__") for name in names]


def test_data_and_evaluation_need_no_tensorflow():
    names = modules_without_tensorflow()
    assert "inatdet.evaluation.average_precision" in names
    # A name that is None in sys.modules cannot be imported.
    code = (
        "import importlib, sys\n"
        "for name in ('tensorflow', 'tf_keras', 'keras', 'official', 'h5py'):\n"
        "    sys.modules[name] = None\n"
        f"for name in {names}: importlib.import_module(name)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
