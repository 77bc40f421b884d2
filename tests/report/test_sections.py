"""The one list of sections: what every form of the report takes for granted about it."""

from inatdet.evaluation.tide import KINDS
from inatdet.report.report import Report
from inatdet.report.sections import SECTIONS


def test_names_headings_and_links_are_unique():
    for values in (
        [section.name for section in SECTIONS],
        [section.heading for section in SECTIONS],
        [section.link for section in SECTIONS if section.link],
    ):
        assert len(values) == len(set(values))
    figures = [section.figure for section in SECTIONS if section.figure]
    assert [figure.files for figure in figures] == [
        ("pr_curves.csv", "pr_curves.png"),
        ("ladder.png",),
        ("reliability.csv", "reliability.png"),
    ]
    sections = [section.name for section in SECTIONS if section.link]
    links = [section.link for section in SECTIONS if section.link]
    for values in (
        [*sections, *(figure.name for figure in figures)],
        [*links, *(figure.link for figure in figures if figure.link)],
        [name for figure in figures for name in figure.files],
    ):
        assert len(values) == len(set(values))
    # A figure has a table of its own where it has a file for it.
    assert all(bool(figure.table) == bool(figure.table_file) for figure in figures)


def test_no_section_hides_another_attribute_of_a_report():
    # table5 and table6 are properties of their own, for their types.
    others = set(dir(Report)) | set(Report.__dataclass_fields__)
    assert {section.name for section in SECTIONS} & others == {"table5", "table6"}


def test_the_columns_of_errors_begin_with_those_shown():
    # Those for reading are the first ones of all.
    kind = next(section for section in SECTIONS if section.name == "errors")

    class Nothing:
        errors = ()

    shown, whole = kind.shown(Nothing).columns, kind.table(Nothing).columns
    assert [f"cost_{name}" if name in KINDS else name for name in shown] == [*whole[: len(shown)]]
