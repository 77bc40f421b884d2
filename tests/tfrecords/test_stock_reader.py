"""Model Garden's own detector and classifier train on our records as they are."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.tfrecords.writing import convert
from tests.tfrecords.labelled import found_in, labelled


@pytest.mark.slow
def test_a_training_step_of_model_gardens_faster_rcnn(dataset):
    maskrcnn = pytest.importorskip("official.vision.configs.maskrcnn")
    tasks = pytest.importorskip("official.vision.tasks.maskrcnn")
    labels = convert(dataset)["labels"]["species"]
    experiment = maskrcnn.fasterrcnn_resnetfpn_coco()
    experiment.task.override(
        {
            "init_checkpoint": None,
            "model": {
                "num_classes": labels + 1,
                "input_size": [64, 64, 3],
                "max_level": 5,
                "backbone": {"resnet": {"model_id": 10}},
                "norm_activation": {"use_sync_bn": False},
                "detection_head": {"fc_dims": 16, "num_convs": 1, "num_filters": 16},
                "roi_generator": {"num_proposals": 20, "pre_nms_top_k": 50},
                "roi_sampler": {"num_sampled_rois": 16},
            },
            "train_data": {
                "input_path": os.path.join(dataset.output_dir, "train-*.tfrecord"),
                "global_batch_size": 4,
                "dtype": "float32",
                "shuffle_buffer_size": 8,
            },
        }
    )
    task = tasks.MaskRCNNTask(experiment.task)
    images, truth = next(iter(task.build_inputs(experiment.task.train_data)))
    assert images.shape == (4, 64, 64, 3)
    found = set(np.unique(truth["gt_classes"])) - {-1}
    assert found and found <= set(range(1, labels + 1)), "labels of species"
    model = task.build_model()
    optimizer = task.create_optimizer(experiment.trainer.optimizer_config)
    before = [weight.numpy() for weight in model.trainable_variables]
    logs = task.train_step((images, truth), model, optimizer)
    loss = float(logs[task.loss])
    assert np.isfinite(loss) and loss > 0
    assert any(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, model.trainable_variables)
    )


@pytest.mark.slow
def test_a_training_step_of_model_gardens_classifier(dataset):
    configs = pytest.importorskip("official.vision.configs.image_classification")
    tasks = pytest.importorskip("official.vision.tasks.image_classification")
    readers = pytest.importorskip("official.vision.dataloaders.classification_input")
    joint = labelled(dataset)
    labels = convert(joint)["image_labels"]["species"]
    pattern = os.path.join(joint.output_dir, "train-*.tfrecord")
    # Its decoder finds the label of each image; species are numbered by category.
    expected = {
        example["encoded"]: [0, 2, 4, 9].index(example["shown"][0]) + 1
        for example in found_in(joint).values()
    }
    decode = readers.Decoder().decode
    data = tf.data.TFRecordDataset(tf.io.gfile.glob(pattern)).map(decode).as_numpy_iterator()
    found = {example["image/encoded"]: example["image/class/label"] for example in data}
    assert found == expected

    task = tasks.ImageClassificationTask(
        configs.ImageClassificationTask(
            model=configs.ImageClassificationModel(num_classes=labels + 1, input_size=[32, 32, 3]),
            train_data=configs.DataConfig(
                input_path=pattern, global_batch_size=24, shuffle_buffer_size=8
            ),
        )
    )
    task.task_config.model.backbone.resnet.model_id = 10
    images, seen = next(iter(task.build_inputs(task.task_config.train_data)))
    assert images.shape == (24, 32, 32, 3)
    assert set(seen.numpy().tolist()) <= set(expected.values())  # it repeats, then shuffles
    model = task.build_model()
    optimizer = tf_keras.optimizers.SGD(0.1)
    before = [weight.numpy() for weight in model.trainable_variables]
    loss = float(task.train_step((images, seen), model, optimizer)[task.loss])
    assert np.isfinite(loss) and loss > 0
    assert any(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, model.trainable_variables)
    )
