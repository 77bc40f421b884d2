import pytest

from inatdet.detection.anchors_fit import AnchorsFit


@pytest.fixture
def remarks():
    """Gives the remarks about loops of so many images with these means of positive anchors."""

    def remarks_about(images_per_loop, *positives):
        lines = []
        action = AnchorsFit(images_per_loop, lines.append)
        for mean in positives:
            action({"sampled/rpn_positives": mean})
        return lines

    return remarks_about


def test_images_without_room_for_anchors_are_remarked_once(remarks):
    (line,) = remarks(8, 0.0, 0.0, 0.0, 0.0)
    assert line.startswith("warning: none of the first 16 images has a box and an anchor for it")
    assert "task.long_edge" in line


@pytest.mark.parametrize("positives", [(2.5, 0.0, 0.0, 0.0), (0.0, 0.1, 0.0, 0.0), (0.0,)])
def test_a_few_among_others_are_not(remarks, positives):
    assert remarks(8, *positives) == []
