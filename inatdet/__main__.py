"""The command line: `inatdet PROGRAM`, or `python -m inatdet PROGRAM`."""

from __future__ import annotations

import sys

from inatdet.programs import running


def main() -> int:
    """Runs the program that the command line names."""
    return running.run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
