"""What images show, told by their boxes."""

import pytest

import inatdet
from inatdet.data.boxes_as_labels import labels_of_boxes
from inatdet.errors import InputError
from tests.detection_files import RIGHT, write_annotations


def test_images_whose_boxes_agree(tmp_path):
    # Image 4 has boxes of two categories, image 5 none.
    annotations = inatdet.read_annotations(write_annotations(tmp_path / "val.json"))
    labels = labels_of_boxes(annotations)
    assert labels.image_ids.tolist() == [1, 2, 3]
    assert labels.category_ids.tolist() == [5, 0, 9]
    assert labels.skipped == {
        "images without a box": 1,
        "images with boxes of several categories": 1,
    }
    assert (labels.path, labels.sha256) == (annotations.path, annotations.sha256)
    assert len(labels.categories) == 5


def test_several_boxes_of_one_category(tmp_path):
    boxes = [
        {"id": n, "image_id": image, "category_id": category, "bbox": RIGHT, "iscrowd": 0}
        for n, (image, category) in enumerate([(5, 9), (1, 0), (5, 9), (1, 0), (1, 0), (2, 3)])
    ]
    annotations = write_annotations(tmp_path / "val.json", annotations=boxes)
    labels = labels_of_boxes(inatdet.read_annotations(annotations))
    found = dict(zip(labels.image_ids.tolist(), labels.category_ids.tolist()))
    assert found == {1: 0, 2: 3, 5: 9}


@pytest.mark.parametrize("rows", [[], [(1, 5), (1, 0)]])
def test_no_image_is_left(tmp_path, rows):
    boxes = [
        {"id": n, "image_id": image, "category_id": category, "bbox": RIGHT, "iscrowd": 0}
        for n, (image, category) in enumerate(rows)
    ]
    annotations = write_annotations(tmp_path / "val.json", annotations=boxes)
    with pytest.raises(InputError, match="give the labels of images with --labels"):
        labels_of_boxes(inatdet.read_annotations(annotations))
