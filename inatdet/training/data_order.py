"""What a model's training has seen of its data, so that it goes on where it was.

The order of the images is a function of a seed and of their number so far. Both are in a file in
the model's folder: the seed, and by how many images each step goes on, since which step. There is
more than one such entry after a change of the batch size, and after batches that were left out.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

from inatdet.errors import InputError
from inatdet.files import check_version, write_text
from inatdet.tfrecords.order import Start, draw_seed
from inatdet.training.config import TrainingTask, images_per_step

FILE = "order.json"
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """What steps saw, up to the next entry's.

    Attributes:
        step: the first of them comes after so many.
        origin: images that had been seen when batches began to have this size.
        since: images that had been seen since then.
        images_per_step: over all replicas.
        batch_size: images per batch.
    """

    step: int
    origin: int
    since: int
    images_per_step: int
    batch_size: int

    def start(self, step: int) -> Start:
        """What was seen before a step."""
        return Start(self.origin, self.since + (step - self.step) * self.images_per_step)


@dataclass
class DataOrder:
    """The order of a model's training images.

    Attributes:
        seed: of the order and of all that is drawn about images.
        step: how many steps were made before.
        entries: what each step saw, by step.
    """

    seed: int
    step: int
    entries: list[Entry]

    @classmethod
    def read(cls, model_dir: str, step: int, task: TrainingTask, num_replicas: int) -> DataOrder:
        """The order with which training goes on in a folder, or begins.

        Args:
            model_dir: the folder.
            step: of the checkpoint to go on from.
            task: the settings; a change of the batch size counts from this step on.
            num_replicas: as for `images_per_step`.

        Raises:
            InputError: what is said of the order cannot be read.
        """
        seed, entries = _read(os.path.join(model_dir, FILE))
        per_step, batch_size = images_per_step(task, num_replicas), task.train_data.batch_size
        entries = [entry for entry in entries if entry.step <= step]
        if not entries:
            entries = [Entry(0, 0, 0, per_step, batch_size)]
        last = entries[-1]
        if (last.images_per_step, last.batch_size) != (per_step, batch_size):
            entries.append(Entry(step, sum(last.start(step)), 0, per_step, batch_size))
        if task.seed is not None:
            seed = task.seed
        return cls(draw_seed() if seed is None else seed, step, entries)

    def start(self) -> Start:
        """What was seen before."""
        return self.entries[-1].start(self.step)

    def go_back(self, failed: int, step: int) -> None:
        """Goes on with the images after a step, but with an earlier step's weights.

        Args:
            failed: that step.
            step: the earlier one.
        """
        last = self.entries[-1]
        seen = last.start(failed).since
        self.entries = [entry for entry in self.entries if entry.step < step]
        self.entries.append(dataclasses.replace(last, step=step, since=seen))
        self.step = step

    def save(self, model_dir: str) -> None:
        """Writes this beside the checkpoints."""
        content = {
            "version": _VERSION,
            "seed": self.seed,
            "entries": [dataclasses.asdict(entry) for entry in self.entries],
        }
        write_text(os.path.join(model_dir, FILE), json.dumps(content) + "\n")


def _read(path: str) -> tuple[int | None, list[Entry]]:
    """The seed and the entries; of a model from before there were any, nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        check_version(path, content["version"], _VERSION, "choose another --model_dir")
        return int(content["seed"]), [Entry(**entry) for entry in content["entries"]]
    except FileNotFoundError:
        return None, []
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as the order of a model's images ({error!r}); remove it to go "
            "on in another order"
        ) from error
