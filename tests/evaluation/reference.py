"""The evaluation once more, slowly: pycocotools fed with dictionaries, and plain loops."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def by_hand(annotations, detections, taxonomy, granularity):
    """The measures of every class, from pycocotools fed with dictionaries, independent of ours."""
    known = taxonomy.label_of_category(granularity)
    truth = {
        "images": [{"id": image.id} for image in annotations.images],
        "categories": [{"id": i + 1} for i in range(taxonomy.num_labels(granularity))],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": known[int(c)], "bbox": list(b),
             "area": float(a), "iscrowd": int(k)}
            for n, (i, c, b, a, k) in enumerate(
                zip(annotations.image_ids, annotations.category_ids, annotations.boxes,
                    annotations.areas, annotations.is_crowd)
            )
        ],
    }  # fmt: skip
    found = [
        {"image_id": int(i), "category_id": int(c), "bbox": list(b), "score": float(s)}
        for i, c, b, s in zip(
            detections.image_ids, detections.labels[granularity], detections.boxes,
            detections.scores,
        )
        if c > 0
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        dt = gt.loadRes(found) if found else COCO()
        values, curves = [], []
        for label in range(1, taxonomy.num_labels(granularity) + 1):
            run = COCOeval(gt, dt, "bbox")
            run.params.catIds = [label]
            run.evaluate()
            run.accumulate()
            run.summarize()
            if (run.eval["precision"] == -1).all():
                values.append([np.nan] * 5)
                curves.append([np.nan] * 101)
            else:
                # stats: AP, AP50, AP75, three sizes, AR1, AR10, AR100
                values.append([run.stats[0], run.stats[1], run.stats[2], run.stats[6],
                               run.stats[7]])  # fmt: skip
                curves.append(run.eval["precision"][0, :, 0, 0, -1])
    return np.array(values), np.array(curves)


def iou(a, b):
    """Of two boxes `x, y, width, height`."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def suppressed(groups, scores, boxes, threshold):
    """Which rows stay: greedy suppression within groups, of equal scores the earlier row first."""
    keep = np.zeros(len(groups), bool)
    for row in np.argsort(-scores, kind="stable"):
        better = [i for i in np.flatnonzero(keep) if groups[i] == groups[row]]
        keep[row] = all(iou(boxes[row], boxes[i]) <= threshold for i in better)
    return keep
