"""The walls that docs/architecture.md draws, read off the imports of the whole package."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up. A room imports rooms of lower floors, and nothing of its own floor but itself.
FLOORS = (
    {
        *(
            "archive_entries",
            "choices",
            "download",
            "errors",
            "files",
            "interruptions",
            "locks",
            "outputs",
            "result_folder",
        ),
        *("parts", "unfinished", "version", "web"),
    },
    {"data"},
    {"datasets", "networks", "tfrecords"},
    {"evaluation", "training"},
    {"classification", "detection", "report"},
    {"programs"},
    {"__init__", "__main__"},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# The ground floor's few files may build on one another; `test_no_module_imports_itself_in_a_circle`
# holds for them too.
OPEN_FLOORS = {0}

TENSORFLOW = {"keras", "official", "orbit", "tensorflow", "tf_keras"}
WITHOUT_TENSORFLOW = ("data", "datasets", "evaluation", "report")
APART = {
    "detection": {"classification", "evaluation", "report"},
    "classification": {"detection", "evaluation", "report"},
}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


TREES = {
    module_of(path): ast.parse(path.read_text("utf-8"))
    for path in sorted((ROOT / "inatdet").rglob("*.py"))
}


def for_types_alone(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(tree, functions=True):
    """The absolute names of the modules that a module imports, those for types alone left out."""
    found, open_nodes = set(), list(tree.body)
    while open_nodes:
        node = open_nodes.pop()
        if for_types_alone(node):
            continue
        if not functions and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in TREES else node.module)
        open_nodes += ast.iter_child_nodes(node)
    return found


def room_of(module):
    """`inatdet.data.formats.coco` lies in `data`; the package itself is `__init__`."""
    return (module.split(".") + ["__init__"])[1]


IMPORTS = {module: imports_of(tree) for module, tree in TREES.items()}
OWN_IMPORTS = {
    module: {name for name in names if name.split(".")[0] == "inatdet"}
    for module, names in IMPORTS.items()
}


def test_every_room_has_a_floor():
    assert {room_of(module) for module in TREES} <= set(FLOOR_OF)


@pytest.mark.parametrize("module", TREES)
def test_imports_point_down(module):
    room = room_of(module)
    for imported in OWN_IMPORTS[module]:
        other = room_of(imported)
        if other == room or (FLOOR_OF[room] in OPEN_FLOORS and FLOOR_OF[other] in OPEN_FLOORS):
            continue
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{module} imports {imported}"


def test_no_module_imports_itself_in_a_circle():
    graphlib.TopologicalSorter(OWN_IMPORTS).prepare()  # raises CycleError


def test_no_folder_imports_itself_in_a_circle():
    """Folders inside a room count too: data/formats builds on data, never the other way round."""
    folders = {}
    for module, names in OWN_IMPORTS.items():
        here = folder_of(module)
        folders.setdefault(here, set()).update({folder_of(name) for name in names} - {here})
    graphlib.TopologicalSorter(folders).prepare()


def folder_of(module):
    """The folder that a module lies in; the package's own files stand each for themselves."""
    if module.count(".") < 2:
        return module if module != "inatdet" else "inatdet.__init__"
    return module if (ROOT / Path(*module.split("."))).is_dir() else module.rpartition(".")[0]


@pytest.mark.parametrize("room", WITHOUT_TENSORFLOW)
def test_no_tensorflow_behind_the_wall(room):
    """Neither in the room itself nor in anything that it imports, however far away."""
    open_modules = [module for module in TREES if room_of(module) == room]
    assert open_modules
    seen = set(open_modules)
    while open_modules:
        module = open_modules.pop()
        outside = {name.split(".")[0] for name in IMPORTS[module]}
        assert not outside & TENSORFLOW, module
        new = OWN_IMPORTS[module] & set(TREES) - seen
        seen |= new
        open_modules += new


@pytest.mark.parametrize("room", APART)
def test_rooms_that_never_meet(room):
    for module in TREES:
        if room_of(module) == room:
            assert not {room_of(name) for name in OWN_IMPORTS[module]} & APART[room], module


def speaks_to_a_terminal(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"print", "exit", "quit", "input"}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
        return name in {"sys.exit", "os._exit", "sys.stdout", "sys.stderr", "sys.argv"}
    return isinstance(node, ast.Name) and node.id == "SystemExit"


@pytest.mark.parametrize("module", TREES)
def test_only_programs_read_flags_print_or_exit(module):
    if room_of(module) in {"programs", "__main__"}:
        return
    for node in ast.walk(TREES[module]):
        assert not speaks_to_a_terminal(node), f"{module}, line {node.lineno}"
    absl = {"absl.app", "absl.flags"}
    tree = TREES[module]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "absl":
            assert not {f"absl.{alias.name}" for alias in node.names} & absl, module
    assert not {name for name in IMPORTS[module] if name in absl}, module


def test_the_walls_see_what_they_should():
    """The readers above find each kind of offence, so that a clean house is no accident."""
    offences = ast.parse(
        "import tensorflow as tf\n"
        "from official.core import task_factory\n"
        "if TYPE_CHECKING:\n    import orbit\n"
        "def later():\n    import tf_keras\n    print('x')\n    raise SystemExit\n"
    )
    assert imports_of(offences) == {"tensorflow", "official.core", "tf_keras"}
    assert imports_of(offences, functions=False) == {"tensorflow", "official.core"}
    assert sum(map(speaks_to_a_terminal, ast.walk(offences))) == 2
