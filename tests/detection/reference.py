"""The detector's arithmetic in plain NumPy loops, written for clarity only.

Boxes are `ymin, xmin, ymax, xmax`; everything is of one image, in float64.
"""

import numpy as np

CODE_SCALES = (10.0, 10.0, 5.0, 5.0)


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


def encode(box, anchor, scales=CODE_SCALES):
    """The Object Detection API's box code."""
    height, width = anchor[2] - anchor[0], anchor[3] - anchor[1]
    return np.array(
        [
            scales[0] * ((box[0] + box[2]) / 2 - (anchor[0] + anchor[2]) / 2) / height,
            scales[1] * ((box[1] + box[3]) / 2 - (anchor[1] + anchor[3]) / 2) / width,
            scales[2] * np.log((box[2] - box[0]) / height),
            scales[3] * np.log((box[3] - box[1]) / width),
        ]
    )


def decode(code, anchor, scales=CODE_SCALES):
    """The box of a code."""
    height, width = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y = (anchor[0] + anchor[2]) / 2 + code[0] / scales[0] * height
    x = (anchor[1] + anchor[3]) / 2 + code[1] / scales[1] * width
    half_height = np.exp(code[2] / scales[2]) * height / 2
    half_width = np.exp(code[3] / scales[3]) * width / 2
    return np.array([y - half_height, x - half_width, y + half_height, x + half_width])


def anchors(rows, columns, base, scales, ratios, stride):
    """`[rows * columns * ratios * scales, 4]`, row by row, cell by cell, ratio by ratio."""
    boxes = []
    for y in range(0, rows * stride, stride):
        for x in range(0, columns * stride, stride):
            for ratio in ratios:
                for scale in scales:
                    h, w = scale / np.sqrt(ratio) * base, scale * np.sqrt(ratio) * base
                    boxes.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2])
    return np.array(boxes)


def inside(boxes, height, width):
    """Which boxes lie wholly inside the image."""
    return np.array([y >= 0 and x >= 0 and b <= height and r <= width for y, x, b, r in boxes])


def match(boxes, usable, truth, positive_iou, negative_iou, force):
    """The matched truth (or -1: negative, -2: neither) of each box."""
    result = np.full(len(boxes), -2)
    overlap = np.array([[iou(b, t) for t in truth] for b in boxes])
    overlap = overlap.reshape(len(boxes), len(truth))
    for index in np.flatnonzero(usable):
        best = overlap[index].max(initial=-1.0)
        if best >= positive_iou:
            result[index] = overlap[index].argmax()
        elif best < negative_iou:
            result[index] = -1
    if force:
        for t in reversed(range(len(truth))):
            column = np.where(usable, overlap[:, t], -1.0)
            if column.max(initial=-1.0) > 0:
                result[column.argmax()] = t
    return result


def decode_clipped(anchors, codes, height, width, scales=CODE_SCALES):
    """Decoded from anchors that end at the image's border, as the boxes then do."""
    corner = [height, width, height, width]
    anchors = np.clip(anchors, 0, corner)
    return np.clip(
        [decode(code, anchor, scales) for code, anchor in zip(codes, anchors)], 0, corner
    )


def proposals(boxes, codes, logits, usable, height, width, max_proposals, nms_iou, scales):
    """The kept boxes and their probabilities, best first."""
    decoded = decode_clipped(boxes, codes, height, width, scales)
    scores = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    has_area = (decoded[:, 2] > decoded[:, 0]) & (decoded[:, 3] > decoded[:, 1])
    scores = np.where(usable & has_area, scores, -1)
    kept = nms(decoded, scores, max_proposals, nms_iou)
    return decoded[kept], scores[kept]


def bilinear(features, y, x):
    """The value between the four cells around a point of a map `[rows, columns, channels]`."""
    rows, columns, _ = features.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    dy, dx = y - top, x - left
    return (
        features[top, left] * (1 - dy) * (1 - dx)
        + features[top, right] * (1 - dy) * dx
        + features[bottom, left] * dy * (1 - dx)
        + features[bottom, right] * dy * dx
    )


def crop(features, box, crop_size, pool_size, stride, height, width):
    """Bilinear samples of an image's own feature map, then max pooling."""
    rows, columns = -(-height // stride), -(-width // stride)
    y0, x0, y1, x1 = box / np.array([height, width, height, width])
    y0, y1, x0, x1 = y0 * (rows - 1), y1 * (rows - 1), x0 * (columns - 1), x1 * (columns - 1)
    samples = np.zeros((crop_size, crop_size, features.shape[-1]))
    for i in range(crop_size):
        for j in range(crop_size):
            y = y0 + (y1 - y0) * i / (crop_size - 1)
            x = x0 + (x1 - x0) * j / (crop_size - 1)
            samples[i, j] = bilinear(features[:rows, :columns], y, x)
    size = crop_size // pool_size
    blocks = samples.reshape(size, pool_size, size, pool_size, -1)
    return blocks.max(axis=(1, 3))


def pyramid_level(box, finest, coarsest, level4_size):
    """Of one box, by the formula as Lin et al. print it."""
    size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    level = np.floor(4 + np.log2(size / level4_size)) if size else finest
    return int(np.clip(level, finest, coarsest))


def align(features, box, bins, samples, stride, height, width):
    """Means of bilinear samples at the middles of a box's `bins * samples` by as many parts."""
    own = features[: -(-height // stride), : -(-width // stride)]
    parts = bins * samples

    def places(low, high, cells):
        half = (high - low) / parts / 2
        ends = np.clip([(low + half) / stride, (high - half) / stride], 0, cells - 1)
        return np.linspace(*ends, parts)

    result = np.zeros((bins, bins, features.shape[-1]))
    for i, y in enumerate(places(box[0], box[2], own.shape[0])):
        for j, x in enumerate(places(box[1], box[3], own.shape[1])):
            result[i // samples, j // samples] += bilinear(own, y, x) / samples**2
    return result


def cross_entropy(logits, label):
    """Of one softmax."""
    shifted = logits - logits.max()
    return np.log(np.exp(shifted).sum()) - shifted[label]


def class_probabilities(box_head, features):
    """Of the background and the classes, `[n, classes + 1]`, from the weights of the last layers.

    Args:
        box_head: whose weights they are.
        features: `[n, features]`.
    """

    def outputs(layer):
        return features.astype(float) @ layer.kernel.numpy() + layer.bias.numpy()

    logits = outputs(box_head._classes)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    if box_head._objectness is None:
        return odds
    animal = 1 / (1 + np.exp(-outputs(box_head._objectness)))
    return np.concatenate([1 - animal, animal * odds], axis=1)


def smooth_l1(code, target, delta=1.0):
    """Summed over one box's codes."""
    distance = np.abs(code - target)
    return np.where(distance <= delta, distance**2 / 2, delta * distance - delta**2 / 2).sum()


def random_boxes(rng, count, height=100.0, width=150.0, smallest=2.0):
    """`[count, 4]` boxes inside an image."""
    y = np.sort(rng.uniform(0, height - smallest, (count, 2)), axis=1)
    x = np.sort(rng.uniform(0, width - smallest, (count, 2)), axis=1)
    return np.stack([y[:, 0], x[:, 0], y[:, 1] + smallest, x[:, 1] + smallest], axis=1)
