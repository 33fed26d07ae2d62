"""The pages of a plan's report: whose they are, how many, and what stands first on them."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Rod
from spinemar.io.study import Study
from spinemar.planning.grades.gertzbein_robbins import assess_screw, grade_plan
from spinemar.planning.plans.plan import Grade, Plan
from spinemar.planning.report.page import plan_hash, plan_identity, write_plan_report
from spinemar.planning.report.wording import danger_line, grade_line, head_label, in_canal
from Testing.core.report.browser import Browser

pytest.importorskip("PIL")
IN_CANAL = "In the spinal canal"


class Text(HTMLParser):
    """What a reader sees, page by page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pages: list[str] = []
        self._hidden = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._hidden = tag in ("style", "title")
        if tag == "section":
            self.pages.append("")

    def handle_data(self, data):
        if self.pages and not self._hidden:
            self.pages[-1] += data + " "

    def handle_endtag(self, tag):
        self._hidden = False


@pytest.fixture(scope="module")
def plan(phantom, screw_in):
    """L1: the right screw 7 mm medially, in the canal; the left one as it should be."""
    spine = phantom((0.9, 0.9, 1.5), None, "L1")
    vertebra = spine.vertebrae[0]
    screws = (screw_in(vertebra, "left"), screw_in(vertebra, "right", (-7.0, 0, 0)))
    many = " ".join(f"word{n}" for n in range(1500))
    return spine, grade_plan(Plan(("L1",), screws, notes=many), spine)


@pytest.fixture(scope="module")
def report(plan, column_ct, tmp_path_factory):
    """Write the report with an identity; return its text by page, HTML and folder."""
    spine, made = plan
    folder = tmp_path_factory.mktemp("report")
    who = plan_identity(made, Study("Spine 1.0 B70s", "2024-05-17"))
    html = write_plan_report(
        folder, made, spine, column_ct, load_catalogue(), identity=who
    ).read_text("utf-8")
    return Text(html).pages, html, folder


def today():
    from datetime import date

    return date.today().isoformat()


def test_every_page_says_whose_it_is_and_where_it_belongs(plan, report):
    pages, *_ = report
    assert len(pages) >= 5
    for n, page in enumerate(pages):
        for text in ("Spine 1.0 B70s", "2024-05-17", plan_hash(plan[1]), "SpineMAR", today(),
                     f"page {n + 1} of {len(pages)}", "Name", "ID", "Signature",
                     "Not a medical device"):  # fmt: skip
            assert text in page, (n, text)


def test_a_page_of_the_report_is_a_sheet_of_paper(report, tmp_path):
    pages, _, folder = report
    assert Browser(tmp_path).printed_pages(folder / "plan.html") == len(pages)


@pytest.mark.parametrize(("number", "length"), [(3, 1), (5, 1), (12, 3), (60, 1), (9, 9)])
def test_many_warnings_fill_sheets_and_the_first_leads(plan, column_ct, tmp_path, number, length):
    spine, made = plan
    warnings = tuple(f"Warning {n}. " + "More of it. " * (9 * length) for n in range(number))
    page = write_plan_report(
        tmp_path / "report", replace(made, warnings=warnings), spine, column_ct, load_catalogue()
    )
    pages = Text(page.read_text("utf-8")).pages
    assert re.findall(r"Warning \d+", " ".join(pages)) == [f"Warning {n}" for n in range(number)]
    assert pages[0].index(IN_CANAL) < pages[0].index("Warning 0.")
    assert sum("From behind" in page for page in pages) == 1
    assert Browser(tmp_path).printed_pages(page) == len(pages)


def test_the_views_stand_before_all_tables(report):
    html = report[1]
    assert html.index("<img") < html.index("<table")
    for page in html.split('<section class="page')[1:]:
        if "<img" in page and "<table" in page:
            assert page.index("<img") < page.index("<table")


def test_a_plan_is_read_light_dark_and_on_a_phone(report, tmp_path):
    browser, page = Browser(tmp_path), report[2] / "plan.html"
    light = browser.picture(page, 1200, 900)
    dark = browser.picture(page, 1200, 900, dark=True)
    assert light[2, 2].min() > 240
    assert dark[2, 2].max() < 50
    head = slice(20, 160)
    assert light[head].min() < 90
    assert dark[head].max() > 180
    phone = browser.picture(page, 500, 4000)
    assert np.ptp(phone[:, -8:].reshape(-1, 3), axis=0).max() < 12  # nothing is cut off


def test_a_plan_that_differs_has_another_hash(plan):
    _, made = plan
    assert plan_hash(made) != plan_hash(replace(made, screws=made.screws[:1]))


def test_unasked_the_report_holds_no_patient(report):
    pages, html, _ = report
    assert "holds no name or number of the patient" in pages[0]
    assert html.count("<i>&nbsp;</i>") == 3 * len(pages)


def test_long_notes_are_cut_into_pages(report):
    pages, *_ = report
    notes = [page for page in pages if "Notes" in page]
    assert len(notes) > 1
    words = re.findall(r"word\d+", " ".join(notes))
    assert words == [f"word{n}" for n in range(1500)]


@pytest.mark.parametrize("lines", [1, 6, 40])
def test_short_parts_share_a_sheet_and_long_ones_take_more(plan, column_ct, tmp_path, lines):
    spine, made = plan
    rods = tuple(
        Rod(f"rod-{side}", side, ((x, -40.0, 40.0), (x, -38.0, 0.0), (x + 3, -40.0, -40.0)))
        for side, x in (("left", -20.0), ("right", 20.0))
    )
    notes = "\n".join(f"Note {n}." for n in range(lines))
    page = write_plan_report(
        tmp_path / "report",
        replace(made, rods=rods, notes=notes),
        spine,
        column_ct,
        load_catalogue(),
    )
    pages = Text(page.read_text("utf-8")).pages
    assert re.findall(r"Note \d+", " ".join(pages)) == [f"Note {n}" for n in range(lines)]
    own = [set(re.findall(r"Contacts to look at|Rods|Notes", text)) for text in pages]
    shared = [names for names in own if names]
    assert ("Notes" in shared[0]) == (lines < 40)  # below the rods where there is room
    assert "Rods" in shared[0]
    assert len(shared) == (1 if lines < 40 else 3)
    assert Browser(tmp_path).printed_pages(page) == len(pages)


def test_the_canal_comes_first_on_page_one_and_on_its_screws_page(plan, report):
    pages, html, _ = report
    line = danger_line(plan[1].screw("L1-right"))
    assert re.fullmatch(r"L1 R · [A-E]: \d+\.\d mm in the canal, medial", line)
    first = pages[0]
    assert first.index(IN_CANAL) < first.index(line) < first.index("2 screws")
    assert 'role="alert"' in html
    own = next(p for p in pages if "L1-right" in p and "HU along" not in p and "mm in the" in p)
    assert grade_line(plan[1].screw("L1-right")) in own or own is first
    assert all(IN_CANAL not in page for page in pages[1:])


def test_a_plan_beside_the_canal_raises_no_alarm(plan):
    _, made = plan
    assert in_canal(replace(made, screws=made.screws[:1])) == ()


def test_csv_has_angles_and_pedicle(report):
    rows = list(csv.DictReader((report[2] / "screws.csv").open(encoding="utf-8")))
    for row in rows:
        assert float(row["convergence_deg"]) == pytest.approx(0.0, abs=0.01)
        assert float(row["cranial_deg"]) == pytest.approx(0.0, abs=0.01)
        assert float(row["pedicle_width_mm"]) == 8.0
    assert [float(row["canal_intrusion_mm"]) > 0 for row in rows] == [False, True]
    assert "5.0 mm in 8.0" in report[1]
    assert ">-0" not in report[1]


@pytest.mark.parametrize(
    ("grade", "line"),
    [
        (None, "not graded"),
        (Grade("A", 0.0, None, 1.2), "A"),
        (Grade("B", 1.97, "lateral", -1.97), "B: 1.9 mm lateral"),
        (Grade("E", 6.1, "superior", -6.1, 6.7), "E: 6.7 mm in the canal, medial"),
        (Grade("B", 1.0, "lateral", -1.0, 0.1), "B: 1.0 mm lateral"),  # within the voxels' edge
        (Grade("A", 0.0, None, 0.1, 0.5), "A: 0.5 mm in the canal, medial"),
    ],
)
def test_a_grade_in_words_tells_the_worst_first(plan, grade, line):
    assert grade_line(replace(plan[1].screws[0], grade=grade)) == line


def test_the_label_at_the_head(plan):
    left, right = plan[1].screws
    assert head_label(left) == "L1 L · A"
    assert head_label(right, touches=True) == f"L1 R · {right.grade.letter} · touches"
    assert head_label(replace(left, grade=None)) == "L1 L · not graded"
    assert head_label(replace(left, level="", id="screw-1-left")) == "screw-1-left · A"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shift", [(-8.0, 0.0), (-14.0, 0.0), (-6.0, 9.5), (-12.0, 9.0)])
def test_what_enters_the_canal_breaks_out_medially(plan, screw_in, side, shift):
    """Also past the midline and over the pedicle, where the nearest bone faces another way."""
    spine, _ = plan
    from spinemar.planning.grades.bone import bone_field

    field = bone_field(spine.labels, spine.vertebrae[0])
    inwards, up = shift
    screw = screw_in(spine.vertebrae[0], side, (inwards, 0.0, up), length=24.0)
    found = assess_screw(screw, field)
    assert found.grade.canal_intrusion_mm > 3.0
    assert found.grade.direction == "medial"
    assert np.isfinite(found.breach_mm["medial"])
    if up == 0.0:  # nothing of it lies over the canal
        assert set(found.breach_mm) == {"medial"}
