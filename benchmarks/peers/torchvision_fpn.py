"""torchvision's `fasterrcnn_resnet50_fpn` with random weights; see `process.serve`.

With its defaults, except for the sizes and classes that make it comparable: a short edge of 600
pixels, and 2,855 classes including the background. All weights are trained, by gradient descent
with momentum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from absl import app, flags
from torchvision.models import detection

from benchmarks import measuring
from benchmarks.peers import process

_MODE = flags.DEFINE_enum("mode", "train", ["train", "detect"], "What a step is.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels without the background.")
_SAMPLED = flags.DEFINE_integer("sampled", 512, "Proposals in the loss; 512 is its default.")
_PROPOSALS = flags.DEFINE_integer("proposals", 300, "Proposals, and detections, per image.")
_SCORE = flags.DEFINE_float(
    "score_threshold", 0.05, "Least score of detections; .05 is its default."
)


def main(argv: Sequence[str]) -> None:
    """Builds the detector and serves."""
    del argv
    torch.set_num_threads(2)
    torch.manual_seed(0)
    model = detection.fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=_NUM_CLASSES.value + 1,
        min_size=600,
        max_size=1024,
        box_batch_size_per_image=_SAMPLED.value,
        rpn_post_nms_top_n_test=_PROPOSALS.value,
        box_detections_per_img=_PROPOSALS.value,
        box_score_thresh=_SCORE.value,
    )
    invented = measuring.invented_batch(1, 600, 800, _NUM_CLASSES.value)
    image = torch.from_numpy(invented["image"][0] / 255.0).permute(2, 0, 1).contiguous()
    if _MODE.value == "detect":
        model.eval()

        def detect() -> int:
            with torch.inference_mode():
                return len(model([image])[0]["boxes"])

        process.serve(detect)
        return
    boxes = torch.from_numpy(invented["boxes"][0])[:, [1, 0, 3, 2]]
    truth = [{"boxes": boxes, "labels": torch.from_numpy(invented["labels"][0]).long()}]
    # Random weights without normalized statistics grow; a small step keeps the loss finite.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def train() -> float:
        loss = sum(model([image], truth).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    process.serve(train)


if __name__ == "__main__":
    app.run(main)
