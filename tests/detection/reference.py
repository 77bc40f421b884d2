"""The detector's arithmetic once more, in plain NumPy loops, written for clarity alone."""

import numpy as np


def iou(a, b):
    """Of two boxes `ymin, xmin, ymax, xmax`."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    both = height * width
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def nms(boxes, scores, max_boxes, threshold):
    """Indices of the kept boxes, best first."""
    kept = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] < 0 or len(kept) == max_boxes:
            continue
        if all(iou(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


def encode(box, anchor):
    """The Object Detection API's box code."""
    height, width = anchor[2] - anchor[0], anchor[3] - anchor[1]
    return np.array(
        [
            10 * ((box[0] + box[2]) / 2 - (anchor[0] + anchor[2]) / 2) / height,
            10 * ((box[1] + box[3]) / 2 - (anchor[1] + anchor[3]) / 2) / width,
            5 * np.log((box[2] - box[0]) / height),
            5 * np.log((box[3] - box[1]) / width),
        ]
    )


def decode(code, anchor):
    """The box of a code."""
    height, width = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y = (anchor[0] + anchor[2]) / 2 + code[0] / 10 * height
    x = (anchor[1] + anchor[3]) / 2 + code[1] / 10 * width
    half_height, half_width = np.exp(code[2] / 5) * height / 2, np.exp(code[3] / 5) * width / 2
    return np.array([y - half_height, x - half_width, y + half_height, x + half_width])


def random_boxes(rng, count, height=100.0, width=150.0, smallest=2.0):
    """`[count, 4]` boxes inside an image."""
    y = np.sort(rng.uniform(0, height - smallest, (count, 2)), axis=1)
    x = np.sort(rng.uniform(0, width - smallest, (count, 2)), axis=1)
    return np.stack([y[:, 0], x[:, 0], y[:, 1] + smallest, x[:, 1] + smallest], axis=1)
