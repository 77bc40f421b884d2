"""The ladder as a figure: Matplotlib's and the page's show the same numbers."""

import math
import re

import jinja2
import pytest

from inatdet.report import figures
from inatdet.report.ladder import LADDER, levels_of, lines_of
from inatdet.report.rendering import asset
from tests.report.ladders import LABELS, model, results_of, row
from tests.report.test_page import read

PLAIN = {"species": 30, "genus": 34, "family": 33, "super": 41, "generic": 50}
ROWS = [
    *model("species", "none", PLAIN, 1),
    *model("species", "nms", {"genus": 36, "family": 38, "super": 45, "generic": 56}, 1),
    *model("species", "marginal", {"family": 39, "super": 46}, 1),
    *model("super", "none", {"super": 48, "generic": 60}, 2),
    *model("super", "nms", {"generic": 61}, 2),
    row("generic", "generic", "none", 63, 0.5),
]  # fmt: skip
NAMES = [
    "species, none", "species, nms", "species, marginal", "super, none", "super, nms",
    "generic, none",
]  # fmt: skip


def own(line):
    return {str(p.level): float(p.value) for p in line.points if p.is_own}


def on_page(results):
    """The page's part of the figure."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FunctionLoader(asset)
    )
    template = environment.from_string(asset(LADDER.page_part))
    return template.render(figure=LADDER.on_page(results))


def test_one_line_per_model_and_rule_from_the_models_own_level():
    lines = lines_of(ROWS)
    assert [line.name for line in lines] == NAMES
    assert [own(line) for line in lines[:3]] == [
        PLAIN,
        {"genus": 36, "family": 38, "super": 45, "generic": 56},
        {"family": 39, "super": 46},
    ]
    for line in lines[1:3]:
        first = line.points[0]
        assert (str(first.level), first.value, first.is_own) == ("species", 30, False)
        assert first.x == lines[0].points[0].x


def test_points_stand_near_their_level_and_not_on_each_other():
    levels = [str(level) for level in levels_of(ROWS)]
    assert levels == list(LABELS)
    points = [p for line in lines_of(ROWS) for p in line.points if p.is_own]
    assert all(abs(p.x - levels.index(p.level)) <= 0.3 for p in points)
    assert len({p.x for p in points}) == len(points) == len(ROWS)
    alone = next(p for p in points if p.level == "species")
    assert alone.x == 0


def test_lines_differ_without_color():
    looks = [(line.marker, line.style) for line in lines_of(ROWS)]
    assert len(set(looks)) == len(looks)


def test_numbers_that_do_not_exist_are_left_out():
    rows = [
        *model("species", "none", {"species": math.nan, "genus": 10, "generic": 20}),
        *model("species", "nms", {"genus": math.nan, "generic": math.nan}),
    ]
    (line,) = lines_of(rows)
    assert own(line) == {"genus": 10, "generic": 20}
    assert line.points[0].x == 1, "the level has its place all the same"
    assert LADDER.draw(results_of(rows)).axes[0].lines


def test_drawn_with_names_counts_and_intervals():
    results = results_of(ROWS)
    axes = LADDER.draw(results).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == NAMES
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "species (40)", "genus (20)", "family (10)", "super (3)", "generic (1)",
    ]  # fmt: skip
    bars = [c for c in axes.collections if hasattr(c, "get_segments")]
    spans = [tuple(segment[:, 1]) for segment in bars[0].get_segments()]
    assert spans[0] == pytest.approx((30 - 1.96, 30 + 1.96), abs=1e-4)
    low, high = axes.get_ylim()
    assert low == 20
    assert high == 70
    figure = LADDER.draw(results)
    figure.canvas.draw()
    for label in figure.axes[0].get_xticklabels():
        extent = label.get_window_extent()
        assert min(extent.x0, extent.y0) >= 0


def test_without_a_ladder_there_is_nothing_to_draw(tmp_path):
    nothing = results_of([])
    assert not LADDER.exists(nothing)
    assert not LADDER.draw(nothing).axes[0].lines
    figures.save_png(LADDER.draw(nothing), tmp_path / "empty.png")
    assert not LADDER.exists(results_of(model("species", "none", {"species": math.nan})))


@pytest.mark.parametrize("value", [0, 3, 10, 50, 100])
def test_a_ladder_of_one_number(value):
    results = results_of([row("generic", "generic", "none", value)])
    low, high = LADDER.draw(results).axes[0].get_ylim()
    assert 0 <= low <= value <= high <= 100
    assert high - low >= 10
    assert "nan" not in on_page(results)


def test_the_page_has_the_same_points():
    shown = LADDER.on_page(results_of(ROWS))
    assert [line["name"] for line in shown["lines"]] == NAMES
    found = on_page(results_of(ROWS))
    texts = read(found).text
    assert "species, nms, on genus: 36.0 ± 2.0" in texts
    assert "generic, none, on generic: 63.0 ± 1.0" in texts
    assert sum("on " in t and ": " in t for t in texts) == len(ROWS)
    assert "95% intervals" in found

    # Where the ticks stand gives the scale.
    (top, high), (bottom, low) = (
        (shown["ticks"][i]["y"], float(shown["ticks"][i]["text"])) for i in (-1, 0)
    )

    def values(ys):
        return [low + (bottom - float(y)) / (bottom - top) * (high - low) for y in ys]

    for line, drawn in zip(lines_of(ROWS), shown["lines"]):
        points = [point.split(",")[1] for point in drawn["points"].split()]
        assert values(points) == pytest.approx([p.value for p in line.points], abs=0.1)
        own = [p.value for p in line.points if p.is_own]
        ends = list(zip(*re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", drawn["bars"])))
        assert values(ends[0]) == pytest.approx([v - v.margin for v in own], abs=0.1)
        assert values(ends[1]) == pytest.approx([v + v.margin for v in own], abs=0.1)


def test_every_switch_of_the_page_has_its_line():
    found = read(on_page(results_of(ROWS)))
    assert len(found.ids) == len(set(found.ids)) == len(NAMES)
    page = on_page(results_of(ROWS))
    assert [page.count(f'data-switches="{name}"') for name in found.ids] == [1] * len(NAMES)


def test_without_intervals_no_bars_are_drawn():
    rows = [
        *model("species", "none", {"species": 30, "genus": 40}),
        row("genus", "genus", "none", 50),
    ]
    results = results_of(rows)
    assert not LADDER.draw(results).axes[0].collections
    assert not any(line["bars"] for line in LADDER.on_page(results)["lines"])
    assert "interval" not in on_page(results)
    assert "±" not in on_page(results)


def test_many_models_differ_and_their_legend_has_room():
    names = [f"rank_with_a_very_long_name_{n}" for n in range(14)]
    rows = [
        row(name, level, rule, 10 + place)
        for place, name in enumerate(names)
        for level in names[place:]
        for rule in (("none",) if level == name else ("none", "nms", "marginal"))
    ]
    looks = [(line.color, line.marker, line.style) for line in lines_of(rows)]
    assert len(set(looks)) == len(looks) == 14 + 2 * 13
    figure = LADDER.draw(results_of(rows, dict.fromkeys(names, 1)))
    figure.canvas.draw()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y0 >= 0
    assert legend.y1 <= figure.bbox.y1
    assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("number", [2, 4, 5, 12])
def test_names_of_levels_have_room(number):
    labels = {f"rank_with_a_very_long_name_{n}": 1000 - n for n in range(number)}
    results = results_of(model(next(iter(labels)), "none", dict.fromkeys(labels, 50)), labels)
    shown = LADDER.on_page(results)
    assert len(shown["levels"]) == number
    assert shown["turned"] is (number > 4)
    assert max(len(level["name"]) for level in shown["levels"]) < 30
    figure = LADDER.draw(results)
    figure.canvas.draw()
    for label in figure.axes[0].get_xticklabels():
        extent = label.get_window_extent()
        assert min(extent.x0, extent.y0) >= 0
