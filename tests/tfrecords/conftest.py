import pytest

from tests.tfrecords.conversions import dataset_in


@pytest.fixture
def dataset(tmp_path):
    """20 images, two without a box, number 3 with three boxes; how to write them."""
    return dataset_in(tmp_path)
