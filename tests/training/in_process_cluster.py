"""Asynchronous training with all of a cluster's processes in one: a script of test_asynchronous.py.

    python -m tests.training.in_process_cluster FOLDER

It prints what it found, as one line of JSON. TensorFlow keeps to its first cluster for the whole
life of a process, so this is one of its own.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf
from official.core import config_definitions as cfg

from inatdet.detection.task import DetectionTask
from inatdet.networks import classifiers
from inatdet.training import asynchronous, devices, loop
from inatdet.training.cluster import Cluster
from inatdet.training.launch_plan import free_ports
from tests import records
from tests.classification import settings
from tests.classification.conftest import tiny
from tests.settings import training_on

WORKERS = 2


def cluster():
    """Servers and workers in threads of this process, which becomes the chief."""
    jobs = ["chief", "ps", *["worker"] * WORKERS]
    addresses: dict[str, tuple[str, ...]] = {}
    for job, port in zip(jobs, free_ports(len(jobs))):
        addresses[job] = (*addresses.get(job, ()), f"127.0.0.1:{port}")
    spec = tf.train.ClusterSpec({job: list(hosts) for job, hosts in addresses.items()})
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=8)  # or they would starve
    servers = [
        tf.distribute.Server(spec, job_name=job, task_index=index, config=config)
        for job in ("ps", "worker")
        for index in range(len(addresses[job]))
    ]
    return Cluster(addresses, "chief", 0), servers


def in_four_files(data, folder):
    """The same records, four in each of four files; their pattern."""
    (file,) = tf.io.gfile.glob(data)
    for index, part in enumerate(tf.data.TFRecordDataset(file).batch(4)):
        with tf.io.TFRecordWriter(f"{folder}/part-{index}.tfrecord") as writer:
            for record in part.numpy():
                writer.write(record)
    return f"{folder}/part-*.tfrecord"


def images_of_workers(coordinator, data, files):
    """The images that each worker reads in 30 steps or more, which are several epochs."""
    task = DetectionTask(training_on(data, 1, f"task.train_data.input_path={files}").task)
    batches = asynchronous.per_worker_dataset(
        coordinator, task.build_inputs, task.task_config.train_data
    )
    iterator = iter(batches)

    @tf.function
    def read(iterator):
        batch = next(iterator)
        worker = tf.distribute.coordinator.experimental_get_current_worker_index()
        return worker, batch["image_id"]

    seen = {worker: [] for worker in range(WORKERS)}
    # On a busy machine, one worker may take nearly all while the other still builds its input.
    while min(map(len, seen.values())) < 30:
        taken = [coordinator.schedule(read, args=(iterator,)) for _ in range(60)]
        coordinator.join()
        for one in taken:
            worker, image_ids = one.fetch()
            seen[int(worker)].append(image_ids.tolist())
    return [sorted(set().union(*steps)) for steps in seen.values()]


def counted_steps(coordinator):
    """How many of 200 steps each worker takes, and how many more when asked to end after 50."""
    with coordinator.strategy.scope():
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        last = tf.Variable(-1, dtype=tf.int64, trainable=False)
        asked = tf.Variable(False, trainable=False)
    one = coordinator.create_per_worker_dataset(
        tf.function(
            lambda: coordinator.strategy.distribute_datasets_from_function(
                lambda context: tf.data.Dataset.from_tensors(1).repeat()
            )
        )
    )

    def train_step(iterator):
        next(iterator)
        if step.assign_add(1) == last:
            asked.assign(True)

    iterator = iter(one)
    steps = asynchronous.Steps(coordinator, train_step, step, asked)
    # On a busy machine, one worker may take nearly all while the other still builds its function.
    while len(steps.taken) < WORKERS:
        steps(iterator, tf.constant(20))
    steps.taken.clear()
    step.assign(0)
    last.assign(250)
    found = []
    for _ in range(2):
        steps(iterator, tf.constant(200))
        found.append(
            {**steps.taken, "global": int(step.numpy()), "text": steps.text(), "age": steps.age}
        )
    return found


def trained(strategy, folder, params):
    """The lines of a run, and the steps in its checkpoint."""
    lines = []
    last = loop.train(params, "train", str(folder), strategy, lines.append)
    checkpoint = tf.train.load_checkpoint(str(folder))
    step = checkpoint.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE")
    return {"lines": lines, "step": int(step), "last": last}


def main(folder):
    """Tries everything."""
    classifiers.build = tiny
    data = records.write(folder / "records")
    this, servers = cluster()
    strategy = devices.strategy_in(
        this, cfg.RuntimeConfig(distribution_strategy="parameter_server"), 60, print
    )
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    four = in_four_files(data, folder)
    accumulated = training_on(data, 10, "task.accumulate_steps=2")
    classifier = folder / "classifier"
    found = {}
    for name, find in {
        "steps": lambda: counted_steps(coordinator),
        "one file": lambda: images_of_workers(coordinator, data, data),
        "four files": lambda: images_of_workers(coordinator, data, four),
        "detector": lambda: trained(strategy, folder / "detector", accumulated),
        "classifier": lambda: trained(strategy, classifier, settings.training_on(data, 10)),
        "resumed": lambda: trained(strategy, classifier, settings.training_on(data, 15)),
    }.items():
        found[name] = find()
        print(name, file=sys.stderr, flush=True)
    print(json.dumps(found), flush=True)
    del servers


if __name__ == "__main__":
    main(Path(sys.argv[1]))
