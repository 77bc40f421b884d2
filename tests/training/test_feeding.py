"""How batches reach the devices."""

import tensorflow as tf

from inatdet.training import feeding
from tests.devices import mirrored


def numbers(context):
    return tf.data.Dataset.range(6).shard(context.num_input_pipelines, context.input_pipeline_id)


def test_one_cpu_reads_the_dataset_itself():
    batches = feeding.distributed(tf.distribute.OneDeviceStrategy("CPU:0"), numbers)
    assert isinstance(batches, tf.data.Dataset)
    assert list(batches.as_numpy_iterator()) == [0, 1, 2, 3, 4, 5]


def test_several_devices_take_batches_in_turn():
    batches = feeding.distributed(mirrored(), numbers)
    seen = [mirrored().experimental_local_results(batch) for batch in batches]
    assert [[int(one) for one in batch] for batch in seen] == [[0, 1], [2, 3], [4, 5]]
