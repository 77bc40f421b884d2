"""Model Garden's own detector trains on our records as they are."""

from __future__ import annotations

import os

import numpy as np
import pytest

from inatdet.tfrecords.writing import convert


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
