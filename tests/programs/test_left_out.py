"""What programs say about annotations of which something was left out or changed."""

import json
import subprocess
import sys

from PIL import Image as Picture


def convert(folder, *flags):
    command = [sys.executable, "-m", "inatdet", "convert", f"--output={folder}/out.json", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_camera_traps_become_coco_and_what_is_skipped_is_said(tmp_path):
    boxes = [[1, 1, 20, 20], [5, 5, 10, 10], [30, 30, 90, 90]]
    record = {
        "images": [{"id": f"i{n}", "file_name": f"{n}.jpg"} for n in range(4)],
        "categories": [{"id": 0, "name": "empty"}, {"id": 1, "name": "Vulpes vulpes"}],
        "annotations": [
            *({"image_id": f"i{n}", "category_id": 1, "bbox": box} for n, box in enumerate(boxes)),
            {"id": "e", "image_id": "i3", "category_id": 0},
        ],
    }
    for number in range(4):
        Picture.new("L", (60, 50)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "cct.json").write_text(json.dumps(record))
    (tmp_path / "super.json").write_text('{"Vulpes vulpes": "Mammalia"}')
    flags = (
        f"--annotations={tmp_path}/cct.json",
        f"--super_categories={tmp_path}/super.json",
        f"--images_dir={tmp_path}",
    )
    refused = convert(tmp_path, *flags)
    assert refused.returncode == 2 and "or leave out 1 image and keep 2 boxes" in refused.stderr
    read = convert(tmp_path, *flags, "--on_bad=skip")
    said = read.stdout + read.stderr
    assert read.returncode == 0, said
    assert "left out with --on_bad=skip: box extends beyond its image: 1; image with a bad" in said
    assert "4 ids of images are text" in said and "sizes of 4 images" in said
    written = json.loads((tmp_path / "out.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["0.jpg", "1.jpg", "3.jpg"]
    assert [box["bbox"] for box in written["annotations"]] == boxes[:2]
