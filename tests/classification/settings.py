"""Settings of a classifier that is small enough to be trained in a test."""

import os

from inatdet.classification.experiments import read_experiment

SMALL = (
    "task.image_size=32,task.model.weights='',task.model.dropout=0.0,"
    "task.train_data.batch_size=4,task.reference_batch_size=0,task.seed=1,"
    "trainer.steps_per_loop=5,trainer.summary_interval=5,trainer.checkpoint_interval=5,"
    "trainer.validation_interval=5"
)


def training_on(data, steps, more=""):
    """Settings that train a small classifier on `records.write`'s files."""
    folder = os.path.dirname(data)
    given = (
        f"task.train_data.input_path={data},task.validation_data.input_path={data},"
        f"task.taxonomy={folder}/taxonomy.json,trainer.train_steps={steps}"
    )
    return read_experiment([], ",".join(part for part in (SMALL, given, more) if part))
