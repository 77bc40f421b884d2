import io

import PIL.Image
import pytest

from inatdet.data.pillow import orientation_of, quiet_pillow
from tests.data.odd_jpegs import picture, turned, with_damaged_exif, with_short_exif


@pytest.mark.parametrize(
    ("data", "orientation"),
    [
        (picture(), 1),
        (picture("png"), 1),
        *((turned(orientation), orientation) for orientation in range(1, 9)),
        (turned(0), 1),
        (turned(9), 1),
        (with_damaged_exif(), 1),
        (with_short_exif(), 1),
    ],
)
def test_orientations(data, orientation):
    with quiet_pillow(), PIL.Image.open(io.BytesIO(data)) as file:
        assert orientation_of(file) == orientation


def test_the_examples_are_as_bad_as_they_should_be():
    with PIL.Image.open(io.BytesIO(with_damaged_exif())) as file:
        image = file.convert("RGB")
    with pytest.raises(SyntaxError, match="not a TIFF"):
        image.getexif()
    assert orientation_of(image) == 1
    with pytest.warns(UserWarning, match="EXIF|Truncated|Tag"):
        PIL.Image.open(io.BytesIO(with_short_exif())).close()
