"""How every program runs: its flags, its help, its errors and its exit code."""

from __future__ import annotations

import ast
import importlib
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from inatdet.errors import InputError, RunError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

PROGRAMS = (
    "mini",
    "tfrecords",
    "train",
    "detect",
    "evaluate",
    "compare",
    "gallery",
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
        process with its own: 2 for an `InputError`, 1 for a `RunError`, 130 when interrupted from
        the keyboard.
    """
    name = argv[1] if len(argv) > 1 else "--help"
    if name in _HELP_FLAGS:
        print(_list_of_programs())
        return 0
    if name not in PROGRAMS:
        print(
            f"error: there is no program {name!r}; the programs are {', '.join(PROGRAMS)}",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    program = importlib.import_module(f"inatdet.programs.{name}")
    program.define_flags()
    if _HELP_FLAGS & set(argv[2:]):
        print(f"{program.__doc__}\nFlags:\n{flags.FLAGS.module_help(program.__name__)}")
        return 0
    max_arguments = getattr(program, "MAX_ARGUMENTS", 0)

    def main(arguments: Sequence[str]) -> int | None:
        if len(arguments) - 1 > max_arguments:
            extra = arguments[1 + max_arguments]
            print(
                f"error: unexpected argument {extra!r}; settings are flags, as in --name=value",
                file=sys.stderr,
            )
            return EXIT_BAD_INPUT
        try:
            return program.main(arguments)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_BAD_INPUT
        except RunError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            print("interrupted; run the same command again to resume", file=sys.stderr)
            return EXIT_INTERRUPTED

    app.run(main, argv=[f"inatdet {name}", *argv[2:]], flags_parser=_parse_flags)
    return 0


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """The arguments that are not flags; like every other mistake, a wrong flag is one sentence."""
    flags.FLAGS.set_gnu_getopt(True)  # flags may come before, between and after the others
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        message = " ".join(str(error).split())
        print(f"error: {message}; {argv[0]} --help lists the flags", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


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
