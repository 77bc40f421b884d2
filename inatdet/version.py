"""The version of this package, in its one place, and those of what it runs on."""

from __future__ import annotations

import platform
import sys

VERSION = "0.2.0"

_LIBRARIES = ("numpy", "tensorflow")


def versions() -> dict[str, str]:
    """The versions of this package, of Python, and of the libraries that this process uses."""
    loaded = {name: sys.modules[name].__version__ for name in _LIBRARIES if name in sys.modules}
    return {"inatdet": VERSION, "python": platform.python_version(), **loaded}
