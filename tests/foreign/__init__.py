"""Files that other programs wrote; README.md says which."""

import pathlib

FOREIGN = pathlib.Path(__file__).parent
SUPER_CATEGORIES = {"Corvus corax": "Aves", "Apis mellifera": "Insecta", "Pica pica": "Aves"}
"""The super-class of each category in the files."""
