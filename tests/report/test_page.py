import re
from html.parser import HTMLParser

import numpy as np
import pytest

from inatdet.report.sections import filled
from tests.detection_files import RIGHT, SPECIES, report_of, write_annotations, write_results

EMPTY = {"meta", "img", "input"}


class Reader(HTMLParser):
    """Checks that elements are closed in order, and collects what the tests look at."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.sources, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in EMPTY:
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def report(tmp_path):
    """A report of a species and a generic model; one of the species has a dangerous name."""
    categories = [
        {"id": 5, "name": "<script>alert(1)</script>", "supercategory": "Aves"},
        {"id": 0, "name": "Apis \"' mellifera", "supercategory": "Insecta"},
        {"id": 9, "name": "Pica", "supercategory": "Aves"},
        {"id": 3, "name": "Sitta", "supercategory": "Aves"},
    ]
    truth = write_annotations(tmp_path / "val.json", categories=categories)
    species = write_results(tmp_path / "species.json", SPECIES)
    generic = write_results(tmp_path / "generic.json", [(1, 1, RIGHT, 0.5)])
    from PIL import Image

    for i in range(1, 6):
        Image.fromarray(np.full((80, 100, 3), 99, np.uint8)).save(tmp_path / f"{i}.jpg")
    return report_of(
        truth,
        [f"species={species}", f"generic={generic}"],
        train=truth,
        images_dir=tmp_path,
        resamples=20,
    )


def page_of(report, tmp_path):
    report.save(tmp_path / "report")
    return (tmp_path / "report" / "report.html").read_text("utf-8")


def test_the_page_loads_nothing_from_outside(report, tmp_path):
    page = page_of(report, tmp_path)
    found = read(page)
    assert len(found.sources) == 4  # two images, once among the best and once at random
    assert all(source.startswith("data:image/jpeg;base64,") for source in found.sources)
    assert not re.search(r"(https?:)?//\w+\.\w", page.replace("data:image", ""))
    assert "default-src 'none'" in page


def test_links_have_targets_and_ids_are_unique(report, tmp_path):
    found = read(page_of(report, tmp_path))
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert "#curves" in found.links


def test_names_are_escaped(report, tmp_path):
    page = page_of(report, tmp_path)
    assert page.count("<script>") == 1
    assert "<script>alert(1)</script>" in "".join(read(page).text)


def test_every_table_is_there_in_full(report, tmp_path):
    text = " ".join(" ".join(read(page_of(report, tmp_path)).text).split())
    for section, _ in filled(report.results):
        if section.name in ("table6_ap", "intervals"):  # the heat map, and the margins
            continue
        assert section.heading in text
        for column in section.shown(report.results).columns:
            assert column in text
    assert "66.7 ± " in text  # the margins
    for name, value in report.protocol():
        assert f"{name} {value}" in text


def test_without_a_species_model_there_are_no_curves(tmp_path):
    truth = write_annotations(tmp_path / "val.json")
    generic = write_results(tmp_path / "generic.json", [(1, 1, RIGHT, 0.5)])
    found = read(page_of(report_of(truth, [f"generic={generic}"]), tmp_path))
    assert "curves" not in found.ids
    assert "gallery" not in found.ids
    assert "table6" in found.ids
