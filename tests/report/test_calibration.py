"""The reliability diagrams: Matplotlib's and the page's show the same numbers."""

import re
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest

import inatdet
from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import FEW, Calibration, CalibrationRow, ScoreBin
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.resampling import Estimate
from inatdet.report import figures
from inatdet.report.calibration import RELIABILITY, diagrams_of
from inatdet.report.calibration_in_words import in_words
from inatdet.report.rendering import asset
from tests.evaluation import scenes
from tests.report import ladders
from tests.report.test_page import read

COUNTS = [1000, 300, 0, FEW, FEW - 1, 0, 40, 30, 0, 5]
NAN = float("nan")


def row(trained_on, evaluated_on, merge="none", precision=30.0, counts=COUNTS):
    """A row whose bins all have one precision, with an interval of ± 10 where there is one."""
    bins = tuple(
        ScoreBin(
            10.0 * place,
            10.0 * place + 10,
            count,
            10.0 * place + 4 if count else NAN,
            (Estimate(precision, 10 / 1.96) if count >= FEW else precision) if count else NAN,
        )
        for place, count in enumerate(counts)
    )
    calibration = Calibration(sum(counts), 9.0, precision, 2.0, 60.0, bins)
    levels = Granularity(trained_on), Granularity(evaluated_on)
    return CalibrationRow(*levels, Merge(merge), calibration)


ROWS = [
    row("species", "species"),
    row("species", "super"),
    row("species", "super", "nms", 40.0),
    row("species", "generic"),
    row("super", "super", "none", 95.0),
    row("generic", "generic", counts=[0] * 10),
]


def results_of(rows, table6=()):
    return SimpleNamespace(calibration=tuple(rows), ladder=(), table6=tuple(table6))


def on_page(rows):
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FunctionLoader(asset)
    )
    template = environment.from_string(asset(RELIABILITY.page_part))
    return template.render(figure=RELIABILITY.on_page(results_of(rows)))


def test_one_diagram_per_level_and_one_line_per_model_and_rule():
    found = [(str(each.level), [line.name for line in each.lines]) for each in diagrams_of(ROWS)]
    assert found == [
        ("species", ["species, none"]),
        ("super", ["species, none", "species, nms", "super, none"]),
        ("generic", ["species, none"]),  # the generic model has no detections
    ]
    for each in diagrams_of(ROWS):
        for line in each.lines:
            assert [b.detections for b in line.bins] == [n for n in COUNTS if n]


def test_levels_stay_in_order_where_a_model_found_nothing():
    rows = [
        row("species", "species", counts=[0] * 10),
        row("species", "super", counts=[0] * 10),
        row("species", "generic"),
        row("super", "super"),
    ]
    assert [str(each.level) for each in diagrams_of(rows)] == ["super", "generic"]


def test_drawn_with_the_intervals_there_are():
    figure = RELIABILITY.draw(results_of(ROWS))
    assert [axes.get_title() for axes in figure.axes] == ["on species", "on super", "on generic"]
    bars = [c for c in figure.axes[1].collections if hasattr(c, "get_segments")]
    heights = [[s[:, 1] for s in c.get_segments()] for c in bars]
    assert [len(of_line) for of_line in heights] == [7, 7, 7]
    np.testing.assert_allclose(heights[0][0], [20, 40], atol=1e-3)
    np.testing.assert_allclose(heights[0][3], [30, 30])  # too few detections for an interval
    np.testing.assert_allclose(heights[2][0], [85, 100], atol=1e-3)  # no share exceeds 100
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "species, none", "species, nms", "super, none",
    ]  # fmt: skip


def test_the_page_has_the_same_points():
    shown = RELIABILITY.on_page(results_of(ROWS))
    (left, bottom), (right, top) = (
        (shown["ticks"][i]["x"], shown["ticks"][i]["y"]) for i in (0, -1)
    )
    for diagram, drawn in zip(diagrams_of(ROWS), shown["diagrams"], strict=True):
        for line, svg in zip(diagram.lines, drawn["lines"], strict=True):
            points = np.array([point.split(",") for point in svg["points"].split()], float)
            x = 100 * (points[:, 0] - left) / (right - left)
            y = 100 * (bottom - points[:, 1]) / (bottom - top)
            np.testing.assert_allclose(x, [b.mean_score for b in line.bins], atol=0.1)
            np.testing.assert_allclose(y, [b.precision for b in line.bins], atol=0.1)
            assert [m["is_hollow"] for m in svg["markers"]] == [
                b.detections < FEW for b in line.bins
            ]
            assert svg["bars"].count("V") == sum(b.detections >= FEW for b in line.bins)
    texts = read(on_page(ROWS)).text
    assert (
        "species, nms: 300 with scores of 10 to 20%, 14.0% on average; 40.0 ± 10.0% of them are "
        "right"
    ) in texts


def test_every_switch_of_the_page_has_its_lines():
    page = on_page(ROWS)
    names = re.findall(r'data-switches="([^"]+)"', page)
    assert len(names) == len(set(names)) == 3
    assert [page.count(f'class="{name}"') for name in names] == [3, 1, 1]
    script = asset("report.js")
    assert "`#${name}, .${name}`" in script


def test_without_calibration_there_is_nothing_to_draw(tmp_path):
    for rows in ([], [row("generic", "generic", counts=[0] * 10)]):
        assert not RELIABILITY.exists(results_of(rows))
        figures.save_png(RELIABILITY.draw(results_of(rows)), tmp_path / "empty.png")


def test_many_long_names_are_told_apart_and_have_room():
    names = [f"rank_with_a_very_long_name_{n}" for n in range(7)]
    rows = [row(name, level) for place, name in enumerate(names) for level in names[place:]]
    assert len(diagrams_of(rows)) == 7
    assert len(RELIABILITY.on_page(results_of(rows))["legend"]) == 7
    figure = RELIABILITY.draw(results_of(rows))
    figure.canvas.draw()
    extents = [figure.legends[0].get_window_extent()]
    extents += [axes.get_tightbbox() for axes in figure.axes]
    for extent in extents:
        assert min(extent.x0, extent.y0) >= -1
        assert extent.x1 <= figure.bbox.x1 + 1
        assert extent.y1 <= figure.bbox.y1 + 1


def test_said_in_words():
    assert in_words(results_of(ROWS)) == (
        "With scores of 50% or more, the species model's detections (75) are right in 30% of "
        "cases, at a mean score of 70%. "
        "With scores of 50% or more, the super model's detections (75) are right in 95% of "
        "cases, at a mean score of 70%. "
        "No detection of the generic model has a score of 50% or more."
    )


def test_models_without_probabilities_are_named():
    table6 = [
        ladders.row("species", "species", "none", 1),
        ladders.row("species", "super", "nms", 1),
        ladders.row("species", "super", "marginal", 1),
        ladders.row("generic", "generic", "none", 1),
    ]
    rows = [row("species", "species"), row("species", "super", "nms")]
    assert in_words(results_of(rows, table6)).endswith(
        "Calibration is left out for the species model summed for super and the generic model: "
        "scores below 0 or above 1 are no probabilities."
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("logits", [False, True])
def test_a_report_has_the_section_or_says_why_not(logits, tmp_path):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 200)
    if logits:
        found.scores[:] = 10 * found.scores - 5
    report = inatdet.evaluate(annotations, [found], all_images=True, training=annotations)
    report.save(tmp_path / "report")
    files = {path.name for path in (tmp_path / "report").iterdir()}
    own = {"calibration.csv", "reliability.csv", "reliability.png"}
    assert files & own == (set() if logits else own)
    assert "frequency.csv" in files
    protocol = dict(report.protocol())["calibration"]
    if logits:
        assert protocol == (
            "Calibration is left out for the species model: scores below 0 or above 1 are no "
            "probabilities."
        )
        assert not report.calibration.rows
        assert protocol in (tmp_path / "report" / "report.md").read_text("utf-8")
        assert report.frequency["rare"].AP > 0
        report.plot_calibration().savefig(tmp_path / "empty.png")
    else:
        assert "10 bins of scores of equal width" in protocol
        numbers = report.calibration["species", "super", "nms"]
        assert numbers.ECE == numbers.calibration.ece > 0
        assert len(report.plot_calibration().axes) == 3
