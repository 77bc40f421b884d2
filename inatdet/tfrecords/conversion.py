"""What to write as TFRecords, and whether it makes sense."""

from __future__ import annotations

import csv
import glob
import os
import re
from dataclasses import dataclass

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.entries import short
from inatdet.data.granularity import Granularity
from inatdet.data.label_spaces import check_label_spaces
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import IMAGE_TAXONOMY_FILE, TAXONOMY_FILE
from inatdet.errors import InputError
from inatdet.files import open_regular
from inatdet.outputs import check_folder
from inatdet.tfrecords.joining import Joined
from inatdet.tfrecords.parts import check_part


class LeaveOut(Choice):
    """Kinds of pictures that can be used as they are, but need not be."""

    TURNED = "turned"
    GRAY = "gray"
    CMYK = "cmyk"
    HOLE = "hole"


@dataclass(frozen=True)
class Conversion:
    """What to write, and how.

    Attributes:
        annotations: path of the annotation file, whose boxes are written; None if there are only
            image labels.
        images_dir: the folder that its file names are relative to; None if there is an archive.
        images_tar: an archive whose members have these names, instead of the folder.
        output_dir: where to write.
        split: the first part of the shards' names.
        num_shards: 0 for one per thousand images, but at least eight.
        granularity: whose labels readers of standard Object Detection API or Model Garden files
            see; our own look the labels of any level up.
        taxonomy: path of a `taxonomy.json` to use; by default the label spaces are derived from
            the annotations.
        super_classes: their order, if label spaces are derived; by default found from the
            annotations. Those that only images show come after them.
        on_bad: what to do about bad entries and image files.
        keep_boxless: whether to write images without boxes. In iNat2017 such an image was not
            annotated, or shows only a track or a nest; it is not one without an animal.
        seed: of the shuffling of images into shards.
        threads: the number of image files to read at the same time.
        processes: how many processes to divide them among, each of which writes one shard at a
            time, on Linux; with 1, this process writes all of them. The others are copies of this
            one, which may hang where it runs threads, as it does after TensorFlow was imported.
        shards: the shards to write, if not all; see `inatdet.tfrecords.parts`.
        leave_out: pictures to leave out besides those that cannot be used.
        leave_out_listed: path of a CSV file with a column `image_id`, such as `problems.csv` of
            `inatdet check`; these images are left out.
        ranks: path of a CSV file of ranks; see `inatdet.data.formats.ranks.read_ranks`.
        genus_from_names: whether to take genera from categories' names that are binomials.
        image_labels: path of a file of the categories of whole images; see `read_image_labels`. All
            of its images are written too.
        image_taxonomy: path of an `image_taxonomy.json` to use; by default the label spaces of
            whole images are derived from those of both files that have a category.
    """

    annotations: str | None
    images_dir: str | None
    output_dir: str
    split: str
    num_shards: int = 0
    granularity: Granularity = Granularity.SPECIES
    taxonomy: str | None = None
    super_classes: tuple[str, ...] = ()
    on_bad: OnBad = OnBad.ERROR
    keep_boxless: bool = False
    seed: int = 0
    threads: int = 8
    processes: int = 1
    ranks: str | None = None
    genus_from_names: bool = False
    images_tar: str | None = None
    shards: str = ""
    leave_out: tuple[LeaveOut, ...] = ()
    leave_out_listed: str | None = None
    image_labels: str | None = None
    image_taxonomy: str | None = None

    @property
    def sources(self) -> str:
        """The files that say which images there are, for messages."""
        return " and ".join(path for path in (self.annotations, self.image_labels) if path)

    def check(self) -> None:
        """Checks the settings, and that the output folder can be written to.

        Raises:
            InputError: a setting is invalid, or nothing can be written there.
        """
        if not re.fullmatch(r"\w+", self.split):
            raise InputError(
                f"--split={self.split} becomes part of file names; use only letters, digits and "
                "underscores"
            )
        if self.num_shards < 0 or self.num_shards > 99_999:
            raise InputError(f"--num_shards={self.num_shards} must be from 0 to 99999")
        if self.threads < 1:
            raise InputError(f"--threads={self.threads} must be at least 1")
        if self.processes < 1:
            raise InputError(f"--processes={self.processes} must be at least 1")
        self._check_labels()
        if bool(self.images_dir) == bool(self.images_tar):
            raise InputError("give either --images_dir or --images_tar")
        if self.images_dir and not os.path.isdir(self.images_dir):
            raise InputError(f"--images_dir={self.images_dir} is not a folder; check the path")
        if self.images_tar and not os.path.isfile(self.images_tar):
            raise InputError(f"--images_tar={self.images_tar} is not a file; check the path")
        check_part(self.shards)
        check_folder(self.output_dir)

    def _check_labels(self) -> None:
        """Raises `InputError` for settings of boxes and labels that do not fit together."""
        if not self.sources:
            raise InputError("give --annotations, --image_labels or both")
        for flag, value in (("taxonomy", self.taxonomy), ("keep_boxless", self.keep_boxless)):
            if value and not self.annotations:
                raise InputError(f"--{flag} is about boxes; give --annotations, or drop it")
        if self.image_taxonomy and not self.image_labels:
            raise InputError("--image_taxonomy is about whole images; give --image_labels")
        flag, given = "taxonomy", self.taxonomy
        if not self.annotations:
            flag, given = "image_taxonomy", self.image_taxonomy
        if given and self.super_classes:
            raise InputError(f"--{flag} already orders the super-classes; drop --super_classes")

    def listed_ids(self) -> frozenset[int]:
        """The ids of the images in the file of `leave_out_listed`; none without one.

        Raises:
            InputError: it cannot be read, or has no such column.
        """
        path = self.leave_out_listed
        if path is None:
            return frozenset()
        try:
            with open_regular(path, "r") as file:
                rows = csv.DictReader(file)
                if "image_id" not in (rows.fieldnames or ()):
                    raise InputError(f"{path}: has no column image_id; name one in its first line")
                texts = [row["image_id"] for row in rows if row["image_id"]]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read as CSV ({error}); check the path") from error
        for text in texts:
            if not re.fullmatch(r"-?\d{1,19}", text.strip()):
                raise InputError(f"{path}: {short(text)} is no image id; correct it")
        return frozenset(map(int, texts))

    def label_spaces(self, annotations: Annotations) -> Taxonomy:
        """The label spaces, which all splits in the output folder must share.

        Args:
            annotations: read from the file of these settings.

        Raises:
            InputError: they cannot be derived from the annotations, do not fit them, or differ from
                those of another split in the output folder.
        """
        if self.taxonomy:
            taxonomy = annotations.with_taxonomy(self.taxonomy).taxonomy
        else:
            taxonomy = annotations.derive_taxonomy(self.super_classes or None)
        return self._shared(taxonomy, "taxonomy", self.taxonomy or annotations.path)

    def image_label_spaces(self, joined: Joined, of_boxes: Taxonomy | None) -> Taxonomy:
        """The label spaces of whole images, which all splits in the output folder must share.

        Args:
            joined: all images.
            of_boxes: the label spaces of the boxes, whose super-classes come first.

        Raises:
            InputError: as `label_spaces`.
        """
        shown = joined.shown.counts()
        labelled = [category for category in joined.categories if category.id in shown]
        path = self.image_labels
        assert path
        if self.image_taxonomy:
            taxonomy = Taxonomy.load(self.image_taxonomy)
            check_label_spaces(taxonomy, self.image_taxonomy, labelled, path, "images")
        else:
            first = self.super_classes
            if of_boxes:
                listed = {category.supercategory for category in joined.categories}
                first = tuple(name for name in of_boxes.super_classes if name in listed)
            others = dict.fromkeys(category.supercategory for category in labelled)
            super_classes = (*first, *(name for name in others if name not in first))
            try:
                taxonomy = Taxonomy.from_categories(
                    joined.categories, [c.id for c in labelled], super_classes if first else None
                )
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        taxonomy = taxonomy.with_ranks_of(joined.categories)
        taxonomy = taxonomy.with_ranks_of(joined.annotations.categories)
        return self._shared(taxonomy, "image_taxonomy", self.image_taxonomy or path)

    def _shared(self, taxonomy: Taxonomy, flag: str, source: str) -> Taxonomy:
        """Label spaces, after a look at those that other splits in the output folder have.

        Args:
            taxonomy: the label spaces.
            flag: which of them; the flag that gives them.
            source: where they come from.
        """
        file = {"taxonomy": TAXONOMY_FILE, "image_taxonomy": IMAGE_TAXONOMY_FILE}[flag]
        stored = os.path.join(self.output_dir, file)
        shards = glob.glob(os.path.join(glob.escape(self.output_dir), "*-of-*.tfrecord"))
        others = [s for s in shards if not os.path.basename(s).startswith(f"{self.split}-")]
        if others and os.path.exists(stored) and Taxonomy.load(stored) != taxonomy:
            raise InputError(
                f"{stored} has different labels from {source}; pass --{flag}={stored} to share "
                "them, or another --output_dir"
            )
        if others and os.path.exists(stored):  # what other splits know of ranks is not lost
            shared = Taxonomy.load(stored)
            taxonomy = taxonomy.with_ranks_of(shared.categories)
        try:
            taxonomy.check(self.granularity)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        return taxonomy
