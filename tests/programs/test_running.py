import ast
import errno
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from inatdet.errors import InputError, RunError
from inatdet.programs import libraries, running
from inatdet.programs.running import PROGRAMS

FOLDER = Path(running.__file__).parent
NOT_PROGRAMS = {
    *("__init__", "detection_flags", "evaluate_detections", "evaluate_predictions", "experiments"),
    *("flags", "level_flags", "libraries", "native_logs", "predictions", "reading", "running"),
}


def inatdet(*arguments, module=True):
    command = (
        [sys.executable, "-m", "inatdet"] if module else [Path(sys.executable).parent / "inatdet"]
    )
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_every_program_is_in_the_list():
    assert sorted(PROGRAMS) == sorted(
        path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_PROGRAMS
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_program_they_are_listed(arguments, capsys):
    assert running.run(["inatdet", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split(maxsplit=1) for line in lines if line.startswith("  ")]
    assert [name for name, _ in listed] == list(PROGRAMS)
    assert all(summary.endswith(".") for _, summary in listed)
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_keeps_the_contract(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"define_flags", "main"} <= functions
    assert f"inatdet {name}" in ast.get_docstring(tree), "the docstring is the help"


def test_a_program_that_does_not_exist(capsys):
    assert running.run(["inatdet", "evalute"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: there is no program 'evalute'; the programs are mini,")


@pytest.mark.parametrize("module", [True, False], ids=["python -m", "console command"])
def test_help_has_the_docstring_and_the_flags(module):
    result = inatdet("mini", "--help", module=module)
    assert result.returncode == 0, result.stderr
    assert "inatdet mini --output_dir" in result.stdout
    assert "--seed" in result.stdout
    assert "--verbosity" not in result.stdout, "only the program's own flags"


@pytest.mark.parametrize(
    "name", [*["evaluate", "compare", "gallery", "convert", "mini", "train", "detect", "export"]]
)
def test_help_does_not_wait_for_large_libraries(name):
    """What takes long to import is imported when it is needed, so that help answers at once."""
    code = (
        "import sys, inatdet.__main__ as command\n"
        f"sys.argv = ['inatdet', {name!r}, '--help']\n"
        "assert command.main() == 0\n"
        "slow = {'hotcoco', 'jinja2', 'matplotlib', 'pandas', 'pycocotools', 'tensorflow'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mini", "--output=x"], "Unknown command line flag 'output'"),
        (["mini"], "--output_dir must have a value"),
        (["mini", "--output_dir=x", "--seed=y"], "--seed=y"),
        (["mini", "--output_dir=x", "extra"], "unexpected argument 'extra'"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = inatdet(*arguments)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def ends_with(monkeypatch, capsys):
    """Runs a program that raises, and returns its exit code and its last words."""

    def run(error):
        def main(arguments):
            raise error

        program = types.SimpleNamespace(define_flags=lambda: None, main=main, __doc__="")
        monkeypatch.setattr(running.importlib, "import_module", lambda name: program)
        with pytest.raises(SystemExit) as ended:
            running.run(["inatdet", "mini"])
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("x.json: is empty; write it again"), 2, "x.json: is empty; write it again"),
        (RunError("the loss is not finite"), 1, "the loss is not finite"),
        (OSError(errno.ENOSPC, "No space left on device", "r.md"), 2, "r.md: No space left on d"),
        (OSError(errno.EROFS, "Read-only file system", "/r"), 2, "/r: Read-only file system; "),
        (PermissionError(errno.EACCES, "Permission denied", "/r"), 2, "/r: Permission denied; "),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/r"), 2, "/r: Is a directory; this"),
        (OSError(errno.EFBIG, "File too large"), 2, "a file that is being written: File too large"),
        (MemoryError(), 1, "there is not enough memory; "),
    ],
)
def test_what_can_go_wrong_ends_in_one_sentence(ends_with, error, code, sentence):
    ended, words = ends_with(error)
    assert ended == code
    assert words.startswith(f"error: {sentence}")
    assert words.count("\n") == 1


def test_an_interruption(ends_with):
    ended, words = ends_with(KeyboardInterrupt())
    assert ended == 130
    assert words == "interrupted; run the same command again\n"


def test_an_interruption_says_what_is_left(ends_with):
    _, words = ends_with(KeyboardInterrupt("the same command goes on from ckpt-20"))
    assert words == "interrupted; the same command goes on from ckpt-20\n"


def test_a_terminated_program_ends_like_an_interrupted_one():
    code = (
        "import signal, types\n"
        "from inatdet.programs import running\n"
        "def main(_):\n"
        "    try: signal.raise_signal(signal.SIGTERM)\n"
        "    finally: print('cleaned up')\n"
        "program = types.SimpleNamespace(define_flags=lambda: None, main=main, __doc__='')\n"
        "running.importlib.import_module = lambda name: program\n"
        "running.run(['inatdet', 'mini'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 143
    assert ended.stdout == "cleaned up\n"
    assert ended.stderr == "interrupted; run the same command again\n"


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("NotFoundError", "{{function_node __x}} /r s/a; No such file or directory\n\t [[{{n}}]]",
         "/r s/a: No such file or directory; check the path"),
        ("PermissionDeniedError", "/r/a; Permission denied", "/r/a: Permission denied; check"),
        ("FailedPreconditionError", "/r; Is a directory [Op:Read]", "/r: Is a directory; check"),
        ("ResourceExhaustedError", "/r/a; No space left on device", "/r/a: No space left on dev"),
        ("ResourceExhaustedError", "OOM when allocating tensor", "a device or disk is full (OOM"),
        ("DataLossError", "corrupted record at 12", "a file is damaged (corrupted record at 12)"),
        ("UnavailableError", "no host", "something cannot be reached (no host)"),
    ],
)  # fmt: skip
def test_what_tensorflow_cannot_read_or_write(ends_with, kind, text, sentence):
    import tensorflow as tf

    _, words = ends_with(getattr(tf.errors, kind)(None, None, text))
    assert words.startswith(f"error: {sentence}")
    assert words.count("\n") == 1


def test_other_errors_of_tensorflow_are_bugs(monkeypatch):
    import tensorflow as tf

    assert libraries.words_for(tf.errors.InvalidArgumentError(None, None, "shapes")) is None
    assert libraries.words_for(tf.errors.NotFoundError(None, None, "Op not registered")) is None
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert libraries.words_for(tf.errors.DataLossError(None, None, "")) is None


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.EBADF, "Bad descriptor")])
def test_a_bug_keeps_its_traceback(monkeypatch, error):
    program = types.SimpleNamespace(
        define_flags=lambda: None, main=lambda _: (_ for _ in ()).throw(error), __doc__=""
    )
    monkeypatch.setattr(running.importlib, "import_module", lambda name: program)
    with pytest.raises(type(error)):
        running.run(["inatdet", "mini"])


def test_a_closed_pipe_is_no_error():
    code = (
        "import sys, types\n"
        "from inatdet.programs import running\n"
        "def main(_):\n"
        "    while True: print('x' * 1000)\n"
        "program = types.SimpleNamespace(define_flags=lambda: None, main=main, __doc__='')\n"
        "running.importlib.import_module = lambda name: program\n"
        "running.run(['inatdet', 'mini'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.parametrize("arguments", [[], ["mini", "--help"]])
def test_help_into_a_closed_pipe_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "inatdet", *arguments],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.stderr == b""
    assert ended.returncode == 141
