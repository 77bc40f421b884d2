"""A plan as a person reads it."""

from inatdet.training.estimates import NOTHING, Preparation, ShapeTime, Span
from inatdet.training.plan_in_words import in_words, range_of
from tests.training.plans import plan


def test_lines():
    assert in_words(plan()).splitlines() == [
        "epoch        800 images",
        "steps        1,000 of 8 images, 8,000 images, 10.0 epochs; 400 are done and 600 are left",
        "first step   20 s after the start, which is building and compiling",
        "a step       0.4 to 0.7 s, 16.0 images/s; 40 steps were measured",
        "by image     96x128 0.4 s, 128x224 0.6 s",
        "training     4 min to 6 min 59 s",
        "validation   3 times, 9 s to 12 s each of 50 images",
        "checkpoints  4 of 15 MB, 0.5 s each; at most 45 MB on the disk at a time, where 80 GB are "
        "free",
        "memory       1,200 MB at the most so far, up to 3 MB more for the records that are cached",
        "in all       4 min 49 s to 7 min 57 s, if the machine stays as busy as it is now",
    ]


def test_what_is_prepared():
    prepared = Preparation("features", 866, 1_300_000_000, 80_000_000_000, Span(90.0, 80.0, 100.0))
    (line,) = [line for line in in_words(plan(preparation=prepared)).splitlines() if "feat" in line]
    assert line.split(maxsplit=1)[1] == (
        "of 866 images, once, in 1 min 20 s to 1 min 40 s; 1,300 MB, where 80 GB are free"
    )
    assert plan(preparation=prepared).total == plan().total + prepared.time
    there = in_words(plan(preparation=Preparation("features", 866, 0, 80_000_000_000, NOTHING)))
    assert "of 866 images, which are there" in there


def test_a_trained_model_needs_nothing():
    text = in_words(plan(first_step=1000, validations=0, checkpoints=0))
    assert text.endswith("10.0 epochs; all are done")
    assert "memory" not in text


def test_only_some_of_many_shapes_are_listed():
    shapes = tuple(ShapeTime(100, 100 + place, 1, 0.1) for place in range(9))
    (line,) = [line for line in in_words(plan(shapes=shapes)).splitlines() if "by image" in line]
    assert line.endswith("100x108 0.1 s; 9 sizes were met")
    assert line.count("x1") == 4


def test_unknown_epochs_are_said_to_be_unknown():
    text = in_words(plan(images_per_epoch=None, free_bytes=None))
    assert "unknown number of images" in text
    assert "epochs" not in text
    assert "free" not in text


def test_a_range_in_one_word_where_both_ends_are_the_same():
    assert range_of(Span(60.0, 59.9, 60.1)) == "1 min"
