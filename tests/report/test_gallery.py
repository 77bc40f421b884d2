import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image as PILImage

import inatdet
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.protocol import prepare
from inatdet.report import gallery
from inatdet.report.gallery import Choose, pictures, warnings_of
from tests.evaluation import scenes

BOX = [10, 20, 60, 50]
# Image 0 right, 1 another species, 2 another place, 3 right but less sure, 4 has no detection.
ANNOTATIONS = scenes.annotations_of(
    range(5), [(0, 40, BOX), (1, 40, BOX), (2, 0, BOX), (3, 0, BOX), (4, 7, BOX)]
)
TAXONOMY = ANNOTATIONS.taxonomy
FOUND = scenes.detections_of(
    [0, 0, 1, 1, 2, 3, 3],
    [40, 7, 7, 40, 0, 0, 7],
    [0.9, 0.6, 0.8, 0.3, 0.95, 0.4, 0.3],
    [BOX, [0, 0, 5, 5], BOX, BOX, [60, 0, 30, 30], BOX, BOX],
    TAXONOMY,
)
PREPARED = prepare(ANNOTATIONS, [FOUND])


@pytest.fixture
def images_dir(tmp_path):
    for image in ANNOTATIONS.images:
        # Twice as large as the annotations say: boxes are scaled to what is there.
        PILImage.new("RGB", (200, 200), "gray").save(tmp_path / image.file_name, quality=95)
    return tmp_path


def chosen(images_dir, choose, count=9, **options):
    drawn = pictures(PREPARED, FOUND, images_dir, choose, count, **options)
    return [(p.image.id, p.answer, p.right) for p in drawn]


def test_best_are_right_and_worst_are_wrong(images_dir):
    assert chosen(images_dir, Choose.BEST) == [(0, "a", True), (3, "b", True)]
    assert chosen(images_dir, Choose.WORST) == [(2, "b", False), (1, "c", False)]
    assert chosen(images_dir, Choose.WORST, 1) == [(2, "b", False)]


def test_random_choices_are_reproducible(images_dir):
    first = chosen(images_dir, Choose.RANDOM, seed=1)
    assert first == chosen(images_dir, Choose.RANDOM, seed=1)
    assert {row[0] for row in first} == {0, 1, 2, 3}


def test_by_species_or_super_class(images_dir):
    assert [row[0] for row in chosen(images_dir, Choose.RANDOM, name="b")] in ([2, 3], [3, 2])
    assert chosen(images_dir, Choose.WORST, name="Aves") == [(1, "c", False)]
    with pytest.raises(InputError, match="'Unicornus' is neither a species nor a super-class"):
        chosen(images_dir, Choose.BEST, name="Unicornus")


def test_coarser_names(images_dir):
    # As birds, 40 and 7 are the same.
    rows = chosen(images_dir, Choose.BEST, granularity=Granularity.SUPER)
    assert rows == [(0, "Aves", True), (1, "Aves", True), (3, "Insecta", True)]


def edge_color(picture, x, y):
    """The color in the middle of a drawn line near a point."""
    pixels = np.asarray(PILImage.open(io.BytesIO(picture.jpeg)), int)
    return pixels[y - 1 : y + 4, x].mean(axis=0)


def test_right_is_green_and_wrong_is_red_at_its_place(images_dir):
    (right,) = pictures(PREPARED, FOUND, images_dir, Choose.BEST, 1)
    wrong = pictures(PREPARED, FOUND, images_dir, Choose.WORST, 2)[1]
    # The lower edge of the box: y (20 + 50) * 2, x from 10 * 2 to 70 * 2.
    red, green, _ = edge_color(right, 100, 138)
    assert green > red + 50
    red, green, _ = edge_color(wrong, 100, 138)
    assert red > green + 50
    red, green, _ = edge_color(right, 170, 138)
    assert abs(red - green) < 10


def test_unreadable_images_are_named(images_dir, tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0\.jpg: cannot be read as an image .*--images_dir"):
        chosen(images_dir, Choose.BEST)
    (tmp_path / "0.jpg").unlink()
    with pytest.raises(InputError, match=r"0\.jpg: cannot be read as an image"):
        chosen(images_dir, Choose.BEST)


def test_others_stand_in_for_unreadable_images(images_dir):
    (images_dir / "0.jpg").write_bytes(b"no picture")
    unreadable = {}
    assert chosen(images_dir, Choose.BEST, 1, unreadable=unreadable) == [(3, "b", True)]
    assert list(unreadable) == ["0.jpg"]
    (warning,) = warnings_of(unreadable)
    assert warning.kind == "pictures"
    assert re.match(
        r"1 picture could not be drawn: .*0\.jpg: cannot be read as an image .*; check --images",
        warning.message,
    )
    assert warnings_of({}) == ()


def test_a_wrong_folder_of_images_is_not_searched_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_UNREADABLE", 2)
    unreadable = {}
    for choose in Choose:
        assert chosen(tmp_path, choose, unreadable=unreadable) == []
    assert len(unreadable) == 2
    assert warnings_of(unreadable)[0].message.startswith("2 pictures could not be drawn: ")


def test_a_report_without_some_pictures(images_dir):
    (images_dir / "2.jpg").unlink()
    told = []
    report = inatdet.evaluate(ANNOTATIONS, FOUND, images_dir=images_dir, notify=told.append)
    assert [w.kind for w in report.warnings] == ["pictures"]
    shown = {(str(p.chosen), p.image.id) for p in report.gallery}
    assert {("best", 0), ("best", 3), ("worst", 1), ("random", 1)} <= shown
    assert 2 not in {image_id for _, image_id in shown}
    assert report.table6["species", "super", "none"].AP > 0
    said = next(i for i, text in enumerate(told) if text.startswith("warning: 1 picture"))
    counted = next(i for i, text in enumerate(told) if "model on species" in text)
    assert said < counted, "nothing that can fail comes after the numbers"
    with pytest.raises(InputError, match="could not be drawn"):
        inatdet.evaluate(ANNOTATIONS, FOUND, images_dir=images_dir, strict=True)
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        inatdet.evaluate(ANNOTATIONS, FOUND, images_dir=images_dir / "nowhere")


def test_a_name_with_a_line_break_is_drawn(images_dir):
    categories = tuple(
        dataclasses.replace(c, name=f"two\n{c.name}\u202e") for c in ANNOTATIONS.categories
    )
    truth = dataclasses.replace(ANNOTATIONS, categories=categories)
    found = dataclasses.replace(FOUND, taxonomy=None)
    assert len(pictures(prepare(truth, [found]), found, images_dir, Choose.RANDOM, 9)) == 4
