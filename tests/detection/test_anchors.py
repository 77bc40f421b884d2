import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import anchors
from inatdet.detection.detector_config import AnchorConfig
from tests.detection import reference


def paper_cell():
    config = AnchorConfig()
    return anchors.cell_anchors(config.base, config.scales, config.ratios)


def test_twelve_anchors_per_cell_with_sides_64_to_512():
    cell = paper_cell()
    assert cell.shape == (12, 4)
    heights, widths = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
    np.testing.assert_allclose(np.sqrt(heights * widths), [64, 128, 256, 512] * 3, rtol=1e-6)
    np.testing.assert_allclose(widths / heights, np.repeat([0.5, 1, 2], 4), rtol=1e-6)
    np.testing.assert_allclose(cell[:, :2], -cell[:, 2:])


def test_the_grid_of_the_paper_against_loops():
    config = AnchorConfig()
    grid = anchors.grid_anchors(paper_cell(), tf.constant([38, 50]), config.stride)
    expected = reference.anchors(38, 50, config.base, config.scales, config.ratios, config.stride)
    assert grid.shape == (38 * 50 * 12, 4)
    np.testing.assert_allclose(grid, expected, rtol=1e-6, atol=1e-3)
    dropped = ~anchors.inside_image(grid, tf.constant([[600, 800]]))[0].numpy()
    np.testing.assert_array_equal(dropped, ~reference.inside(expected, 600, 800))
    # By counting: anchor h x w fits where h / 2 <= 16 i <= 600 - h / 2, and so across.
    fitting = 0
    for height, width in paper_cell()[:, 2:] * 2:
        rows = (600 - height / 2) // 16 - -(-height / 2 // 16) + 1
        columns = (800 - width / 2) // 16 - -(-width / 2 // 16) + 1
        fitting += max(rows, 0) * max(columns, 0)
    assert (~dropped).sum() == fitting
    assert 0.4 < fitting / len(grid) < 0.5  # more than half are dropped


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0, 0, 10, 20), True),  # on every border
        ((-0.1, 0, 10, 20), False),
        ((0, -0.1, 10, 20), False),
        ((0, 0, 10.1, 20), False),
        ((0, 0, 10, 20.1), False),
        ((3, 4, 5, 6), True),
    ],
)
def test_only_anchors_wholly_inside_count(box, inside):
    flags = anchors.inside_image(tf.constant([box], tf.float32), tf.constant([[10, 20], [99, 99]]))
    assert bool(flags[0, 0]) == inside
    assert bool(flags[1, 0]) == (min(box) >= 0)  # the second image is larger


@pytest.mark.parametrize(
    ("box", "inside"),
    [((0, 0, 10, 20), True), ((-9, -9, 28, 48), True), ((0, 0, 20, 20), False),
     ((0, 0, 10, 40), False), ((8, 18, 12, 21), False), ((8, 18, 11, 21), True)],
)  # fmt: skip
def test_anchors_centered_in_the_padding(box, inside):
    sizes = tf.constant([[10, 20], [99, 99]])
    flags = anchors.centered_inside_image(tf.constant([box], tf.float32), sizes)
    assert flags.numpy().ravel().tolist() == [inside, True]
