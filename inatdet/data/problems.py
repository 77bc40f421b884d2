"""What is wrong with the entries of an annotation file, counted and told in one sentence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from inatdet.choices import Choice


class Problem(Choice):
    """What can be wrong with an entry; the values are the words that people read."""

    CATEGORY_MALFORMED = "category is malformed"
    CATEGORY_SUPER = "category has no supercategory"
    CATEGORY_REPEATED = "category id is repeated"
    TEXT_ID = "id is text instead of a number"
    IMAGE_MALFORMED = "image is malformed"
    IMAGE_REPEATED = "image id is repeated"
    IMAGE_SIZE = "image has an invalid size"
    FILE_NAME = "image has an unsafe file name"
    BOX_MALFORMED = "annotation is malformed"
    BOX_ABSENT = "annotation has no bbox"
    BOX_IMAGE = "annotation's image is missing"
    BOX_CATEGORY = "annotation's category is missing"
    BOX_SIZE = "box has an invalid size"
    BOX_AREA = "box has an invalid area"
    BOX_OUTSIDE = "box extends beyond its image"
    LABEL_ABSENT = "image has no label"
    LABEL_SEVERAL = "image has several labels"


IMAGES_LEFT_OUT = "image with a bad box or a repeated id"
"""Images that are good themselves, but without a bad box they would seem to have fewer boxes."""

BOXES_LEFT_OUT = "good box of an image or category left out"

# What helps besides mending the entries by hand.
_ADVICE: Mapping[Problem, str] = {
    Problem.CATEGORY_SUPER: (
        'write {"category": "super-class", ...} for all categories into a JSON file and add it '
        "with `inatdet convert --super_categories=FILE`"
    ),
    Problem.TEXT_ID: (
        "`inatdet convert` numbers ids that are text, as COCO Camera Traps has them, and takes "
        "sizes that are missing from --images_dir"
    ),
    Problem.IMAGE_REPEATED: "give every image its own id",
    Problem.CATEGORY_REPEATED: "give every category its own id",
    Problem.IMAGE_SIZE: (
        "write the width and height of every image in whole pixels, or give --images_dir where the "
        "file has none"
    ),
    Problem.BOX_ABSENT: "write bbox as [x, y, width, height]",
    Problem.BOX_SIZE: "boxes are [x, y, width, height] with a width and a height above 0",
    Problem.BOX_AREA: "write the area in square pixels, or none",
    Problem.BOX_OUTSIDE: "cut such boxes to their images",
    Problem.LABEL_ABSENT: "give every image an annotation with its category_id",
    Problem.LABEL_SEVERAL: "keep the annotations of one category for every image",
}


class BadEntry(ValueError):  # noqa: N818
    """An entry that cannot be used.

    Attributes:
        problem: of what kind.
        why: words that follow the name of the entry; empty if the kind says everything.
        advice: what helps, if it is not the same for all entries of the kind.
    """

    def __init__(self, problem: Problem, why: str = "", advice: str = ""):
        super().__init__(why)
        self.problem, self.why, self.advice = problem, why, advice


class Tally:
    """Counts bad entries by kind and remembers the first few of each.

    Args:
        advice: what helps besides mending entries by hand, where it is other than for boxes.

    Attributes:
        counts: the number of bad entries of each kind.
        explanation: what explains them all, with what to do; empty if nothing is known.
    """

    NAMED = 3  # of each kind

    def __init__(self, advice: Mapping[Problem, str] = MappingProxyType({})) -> None:
        self.counts: Counter[Problem] = Counter()
        self.explanation = ""
        self._of_problem = {**_ADVICE, **advice}
        self._advice: dict[str, None] = {}  # in the order of the first need
        self._first: defaultdict[Problem, list[str]] = defaultdict(list)

    def add(self, problem: Problem, name: str, why: str = "", advice: str = "") -> None:
        """Counts an entry and remembers its name if it is among the first."""
        self.counts[problem] += 1
        if advice:
            self._advice[advice] = None
        if len(self._first[problem]) < self.NAMED:
            self._first[problem].append(f"{name} {why}".strip())

    def add_unnamed(self, problem: Problem, count: int) -> None:
        """Counts more entries of a kind of which the first few are named already."""
        if count:
            self.counts[problem] += count

    def summary(
        self, total: int, left: int, images: int, noun: tuple[str, str] = ("box", "boxes")
    ) -> str:
        """One sentence on everything that is wrong, and on what to do.

        Leaving entries out is proposed only where that keeps half of the boxes or more, and nothing
        explains all of them.

        Args:
            total: how many boxes the file has.
            left: how many are left without the bad entries and their images.
            images: how many images would be left out.
            noun: what is counted, one and several, if it is not boxes.
        """
        bad = sum(self.counts.values())
        kinds = "; ".join(
            f"{problem}: {count:,}, {'such as' if count > self.NAMED else 'namely'} "
            f"{', '.join(self._first[problem])}"
            for problem, count in self.counts.most_common()
        )
        advice = [*(text for p, text in self._of_problem.items() if p in self.counts)]
        advice += self._advice
        if self.explanation:
            advice = [self.explanation]
        elif left and left == total:
            advice.append(
                f"or leave such entries out with --on_bad=skip, which keeps all {noun[1]}"
            )
        elif left and left >= total / 2:
            advice.append(
                f"or leave out {images:,} image{'s' * (images != 1)} and keep {left:,} "
                f"{noun[left != 1]} with --on_bad=skip"
            )
        entries = "entries" if bad > 1 else "entry"
        return f"{bad:,} bad {entries} ({kinds}); {'; '.join(advice or ['correct the file'])}"
