import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import anchors
from inatdet.detection.config import AnchorConfig


def paper_cell():
    config = AnchorConfig()
    return anchors.cell_anchors(config.base, config.scales, config.ratios)


def test_twelve_anchors_a_cell_with_sides_64_to_512():
    cell = paper_cell()
    assert cell.shape == (12, 4)
    heights, widths = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
    np.testing.assert_allclose(np.sqrt(heights * widths), [64, 128, 256, 512] * 3, rtol=1e-6)
    np.testing.assert_allclose(widths / heights, np.repeat([0.5, 1, 2], 4), rtol=1e-6)
    np.testing.assert_allclose(cell[:, :2], -cell[:, 2:])


def test_grid_against_loops():
    cell = anchors.cell_anchors(10, [1, 2], [0.5, 1])
    expected = []
    for row in range(3):
        for column in range(2):
            for ratio in (0.5, 1):
                for scale in (1, 2):
                    h, w = scale / np.sqrt(ratio) * 10, scale * np.sqrt(ratio) * 10
                    y, x = 16 * row, 16 * column
                    expected.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2])
    grid = anchors.grid_anchors(cell, tf.constant([3, 2]), 16)
    np.testing.assert_allclose(grid, expected, rtol=1e-6)


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
