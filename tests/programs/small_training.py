"""The training of a small classifier, for tests of processes that are ended and started again.

What they do is the same for every task, and this one's graph is built in a second or two.
"""

import contextlib
import os
import subprocess
import threading

from tests.classification.settings import SMALL

LIMIT = 900  # seconds after which a process has hung

_NETWORK = (
    "task.model.network=resnet,task.model.backbone.resnet.model_id=10,"
    "task.model.backbone.resnet.depth_multiplier=0.25,task.model.width=1"
)


def arguments(data, model_dir, steps, mode="train"):
    """Those of `inatdet` for training on the files of `records.write`."""
    settings = (
        f"{SMALL},{_NETWORK},task.train_data.input_path={data},"
        f"task.validation_data.input_path={data},task.validation_data.batch_size=7,"
        "trainer.validation_interval=100,"
        f"task.taxonomy={os.path.dirname(data)}/taxonomy.json,trainer.train_steps={steps}"
    )
    return [
        *("train", f"--mode={mode}", "--config_file=pipelines/mini_classification.yaml"),
        *(f"--model_dir={model_dir}", f"--params_override={settings}"),
    ]


@contextlib.contextmanager
def running(command):
    """A process, whose errors can be read while it runs; it is killed if it hangs, or is left."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(LIMIT, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()
