"""torchvision's `inception_v3` without its auxiliary head; see `process.serve`.

With the settings of `classifier`, as far as PyTorch has them: RMSProp, label smoothing, dropout and
weight decay, and no averages of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from absl import app, flags
from torchvision import models

from benchmarks import measuring
from benchmarks.peers import process

_NUM_CLASSES = flags.DEFINE_integer("num_classes", 5089, "Labels.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per step.")
_SIDE = flags.DEFINE_integer("image_size", 299, "Height and width, in pixels.")


def main(argv: Sequence[str]) -> None:
    """Builds the classifier and serves training steps."""
    del argv
    torch.set_num_threads(2)
    torch.manual_seed(0)
    model = models.inception_v3(
        weights=None,
        num_classes=_NUM_CLASSES.value,
        aux_logits=False,
        dropout=0.5,
        init_weights=False,
    )
    optimizer = torch.optim.RMSprop(
        model.parameters(), lr=0.0045, alpha=0.9, momentum=0.9, eps=1.0, weight_decay=4e-5
    )
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    invented = measuring.invented_images(_BATCH.value, _SIDE.value, _NUM_CLASSES.value)
    image = torch.from_numpy(invented["image"] / 127.5 - 1.0).permute(0, 3, 1, 2).contiguous()
    label = torch.from_numpy(invented["label"] - 1).long()

    def train() -> float:
        optimizer.zero_grad()
        loss = loss_of(model(image), label)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    process.serve(train)


if __name__ == "__main__":
    app.run(main)
