"""Errors that a user can mend, and how the programs report them."""

from __future__ import annotations

import os


class InputError(ValueError):
    """Something given to a program is wrong.

    The message is one sentence for the person at the keyboard: which file, which record, what is
    wrong with it, and what to do.
    """


def cannot_read(path: str | os.PathLike[str], error: OSError) -> InputError:
    """The error about a file or folder that the system does not let us read."""
    return InputError(f"{os.fspath(path)}: cannot be read ({error.strerror})")


class RunError(RuntimeError):
    """Work that cannot go on, through no fault of its input: a loss that is no number, say.

    The message is one sentence: what happened, where things stand, and what to do.
    """
