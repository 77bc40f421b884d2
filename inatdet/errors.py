"""The errors that programs report in one sentence, without a traceback."""

from __future__ import annotations

import os


class InputError(ValueError):
    """Something the user gave is wrong, and the user can fix it.

    The message is one sentence: which file, which entry, what is wrong with it, and what to do.
    """


class RunError(RuntimeError):
    """Work cannot continue although its input is fine, as when the loss becomes NaN.

    The message is one sentence: what happened, how far the work got, and what to do.
    """


def cannot_read(path: str | os.PathLike[str], error: OSError) -> InputError:
    """The error for a file or folder that the operating system cannot read."""
    path = os.fspath(path)
    advice = ""
    if path.startswith("~"):
        advice = "; the shell leaves ~ as it is behind =, so write $HOME or the whole path"
    return InputError(f"{path}: cannot be read ({error.strerror}){advice}")
