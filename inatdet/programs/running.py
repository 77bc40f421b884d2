"""How every program runs: its flags, its help, its errors and its exit code."""

from __future__ import annotations

import ast
import errno
import importlib
import io
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from inatdet import interruptions
from inatdet.errors import InputError, RunError
from inatdet.programs import libraries

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_CLOSED_PIPE = 141  # 128 + SIGPIPE
EXIT_TERMINATED = 143  # 128 + SIGTERM

_REMEDIES = {
    errno.EACCES: "change its permissions, or choose another path",
    errno.EDQUOT: "free space within the quota, or choose another disk",
    errno.EEXIST: "something is in the way; choose another path",
    errno.EFBIG: "the file system takes no file as large as this; choose another disk",
    errno.EISDIR: "this is a folder; name a file",
    errno.ENAMETOOLONG: "shorten the name",
    errno.ENOSPC: "free space, or choose another disk",
    errno.ENOTDIR: "a file is in the way of a folder; choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.EROFS: "nothing can be written there; choose another path",
}
"""What to do about the errors of the operating system that a person can put right."""

PROGRAMS = (
    "mini",
    "construct",
    "download",
    "check",
    "statistics",
    "tfrecords",
    "plan",
    "train",
    "launch",
    "detect",
    "classify",
    "evaluate",
    "compare",
    "gallery",
    "holdout",
    "convert",
    "export",
    "predict",
)
"""The modules of this package that are programs, in the order in which most people need them.

Each has a docstring, whose first line the list of programs shows; `define_flags()`; and `main`,
which takes the program's name and the arguments that are not flags, and returns an exit code or
None. `MAX_ARGUMENTS` is how many such arguments it takes, 0 by default.
"""

_HELP_FLAGS = {"-h", "--help", "-help", "--helpshort", "-helpshort"}


def run(argv: Sequence[str]) -> int:
    """Runs `inatdet PROGRAM [--flag=value ...]`; without a program, lists them.

    Args:
        argv: the command, the program's name, and its arguments.

    Returns:
        The exit code for help and for a program that does not exist. A program that ran ends the
        process with its own: 2 for an `InputError` and for a path that cannot be written, 1 for a
        `RunError` and for a lack of memory, 130 when interrupted from the keyboard, 141 when its
        output was closed, 143 when terminated.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show is no error
    name = argv[1] if len(argv) > 1 else "--help"
    if name in _HELP_FLAGS:
        return _show(_list_of_programs())
    if name not in PROGRAMS:
        return _refuse(f"there is no program {name!r}; the programs are {', '.join(PROGRAMS)}")
    # TensorFlow reads this when it is loaded, and otherwise reports a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    program = importlib.import_module(f"inatdet.programs.{name}")
    program.define_flags()
    if _HELP_FLAGS & set(argv[2:]):
        return _show(f"{program.__doc__}\nFlags:\n{flags.FLAGS.module_help(program.__name__)}")
    max_arguments = getattr(program, "MAX_ARGUMENTS", 0)

    def main(arguments: Sequence[str]) -> int | None:
        if len(arguments) - 1 > max_arguments:
            extra = arguments[1 + max_arguments]
            return _refuse(f"unexpected argument {extra!r}; settings are flags, as in --name=value")
        return _guarded(program.main, arguments)

    app.run(main, argv=[f"inatdet {name}", *argv[2:]], flags_parser=_parse_flags)
    return 0


def _guarded(main: Callable[[Sequence[str]], int | None], arguments: Sequence[str]) -> int | None:
    """Runs a program's `main`; what can be expected to go wrong becomes a sentence and a code."""
    with interruptions.heeded() as came:
        try:
            code = main(arguments)
            sys.stdout.flush()  # a closed pipe shows here, not when the interpreter ends
            return code
        except InputError as error:
            return _refuse(str(error))
        except RunError as error:
            return _refuse(str(error), EXIT_FAILED)
        except KeyboardInterrupt as error:
            print(f"interrupted; {str(error) or 'run the same command again'}", file=sys.stderr)
            return EXIT_TERMINATED if signal.SIGTERM in came else EXIT_INTERRUPTED
        except BrokenPipeError:
            return _closed_pipe()
        except OSError as error:
            if error.errno not in _REMEDIES:
                raise
            place = error.filename2 or error.filename or "a file that is being written"
            return _refuse(f"{place}: {error.strerror}; {_REMEDIES[error.errno]}")
        except MemoryError:
            return _refuse(
                "there is not enough memory; close other programs, or use smaller batches or files",
                EXIT_FAILED,
            )
        except Exception as error:
            words = libraries.words_for(error)
            if words is None:
                raise
            return _refuse(*words)


def _show(text: str) -> int:
    """Prints help; the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        return _closed_pipe()
    return 0


def _closed_pipe() -> int:
    """Whoever read the output, `head` for one, has enough: Python must not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_CLOSED_PIPE


def _refuse(message: str, code: int = EXIT_BAD_INPUT) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """The arguments that are not flags; like every other mistake, a wrong flag is one sentence."""
    flags.FLAGS.set_gnu_getopt(True)  # flags may come before, between and after the others
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        message = " ".join(str(error).split())
        sys.exit(_refuse(f"{message}; {argv[0]} --help lists the flags"))


def _list_of_programs() -> str:
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:<{width}}  {_summary(name)}" for name in PROGRAMS]
    return "\n".join(
        [
            "usage: inatdet PROGRAM [--flag=value ...]",
            "",
            "Programs:",
            *lines,
            "",
            "`inatdet PROGRAM --help` explains a program and lists its flags.",
        ]
    )


def _summary(name: str) -> str:
    """The first line of a program's docstring, read without importing what the program needs."""
    source = pathlib.Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def command() -> str:
    """The command line, as a shell takes it; bytes that are not UTF-8 are written as numbers."""
    line = shlex.join(["inatdet", *sys.argv[1:]])
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def progress(message: str) -> None:
    """Prints a message for the person who waits; results go to standard output."""
    print(message, file=sys.stderr, flush=True)
