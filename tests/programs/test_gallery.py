import subprocess
import sys

from PIL import Image

from tests.detection_files import SPECIES, write_annotations, write_results


def command(tmp_path, *arguments):
    truth = write_annotations(tmp_path / "val.json")
    found = write_results(tmp_path / "species.json", SPECIES)
    for i in range(1, 6):
        Image.new("RGB", (100, 80)).save(tmp_path / f"{i}.jpg")
    return subprocess.run(
        [sys.executable, "-m", "inatdet", "gallery", f"--annotations={truth}",
         f"--images_dir={tmp_path}", f"--output_dir={tmp_path}/out",
         f"--detections=species={found}", *arguments],
        capture_output=True, text=True,
    )  # fmt: skip


def test_pictures_and_a_line_for_each(tmp_path):
    ended = command(tmp_path, "--choose=best")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "best-001-1.jpg: Corvus, detected as Corvus (0.90), right",
        "best-002-2.jpg: Apis, detected as Apis (0.90), right",
    ]
    with Image.open(tmp_path / "out" / "best-001-1.jpg") as picture:
        assert picture.size == (100, 80)


def test_nothing_to_show(tmp_path):
    ended = command(tmp_path, "--choose=worst", "--name=Insecta")
    assert ended.returncode == 2
    assert "has no such detection; try another --choose or --name" in ended.stderr
    ended = command(tmp_path, "--detections=genus=x")
    assert ended.returncode == 2
    assert "x: is given as genus, but there is no level genus" in ended.stderr
