"""Errors that a user can mend, and how the programs report them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import app

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class InputError(ValueError):
    """Something given to a program is wrong.

    The message is one sentence for the person at the keyboard: which file, which record, what is
    wrong with it, and what to do.
    """


class RunError(RuntimeError):
    """Work that cannot go on, through no fault of its input: a loss that is no number, say.

    The message is one sentence: what happened, where things stand, and what to do.
    """


def run_main(main: Callable[[Sequence[str]], int | None], most_words: int = 0) -> None:
    """Runs `main` under absl; foreseen errors become one line on stderr and an exit code.

    An `InputError` gives 2, a `RunError` 1, an interruption from the keyboard 130.

    Args:
        main: takes the arguments that are no flags (the first is the program's name) and returns
            an exit code or None.
        most_words: how many arguments that are no flags there may be.
    """

    def guarded(argv: Sequence[str]) -> int | None:
        if len(argv) - 1 > most_words:
            word = argv[1 + most_words]
            print(f"error: unknown argument {word!r}; every setting is a --flag", file=sys.stderr)
            return EXIT_BAD_INPUT
        try:
            return main(argv)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_BAD_INPUT
        except RunError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from what was saved", file=sys.stderr)
            return EXIT_INTERRUPTED

    app.run(guarded)
