"""The report: one file, no network, everything in it, nothing unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from spinemar import __version__
from spinemar.errors import InputError
from spinemar.evaluation import evaluate
from spinemar.io.study import Study
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned.inpainter import LearnedInpainter
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.report import ReportContent, ReportedCorrection, write_report
from spinemar.report.chart import line_chart
from spinemar.report.pictures import slice_groups, telling_slices
from spinemar.report.sinogram import SinogramStudy
from spinemar.report.tables import METRICS, score_table
from spinemar.report.warnings import warnings_of
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu
from spinemar.volume import CTVolume
from Testing.core.report.browser import Browser

SIDE = 128


@pytest.fixture(scope="module")
def content() -> ReportContent:
    """A phantom with two bright implants and a dark band between them, corrected by NMAR."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    truth = np.where((x / 56) ** 2 + (y / 44) ** 2 < 1, 40.0, -1000.0)
    truth[np.hypot(x, y - 12) < 14] = 350
    rng = np.random.default_rng(0)
    clean = np.stack([ndimage.gaussian_filter(truth, 0.7)] * 4) + rng.normal(0, 8, (4, SIDE, SIDE))
    metal = np.zeros(clean.shape, dtype=bool)
    metal[1:3] = (np.hypot(x - 16, y - 10) < 4) | (np.hypot(x + 16, y - 10) < 4)
    scan = clean.copy()
    band = (np.abs(y - 10) < 5) & (np.abs(x) < 50) & (truth > -500)
    scan[1:3, band] -= 250
    scan[metal] = 3071
    affine = np.diag([-2.5, -2.5, 3.0, 1.0])
    before = CTVolume(scan.astype(np.float32), affine)
    clean_ct = CTVolume(clean.astype(np.float32), affine)
    result = correct_volume(before, method="nmar", metal_mask=metal)
    study = SinogramStudy(before, metal)
    return ReportContent(
        title="Slices <of> one & two",
        before=before,
        corrected=(
            ReportedCorrection(
                result, evaluate(clean_ct, result.volume, metal), study.filled("li")
            ),
        ),
        metal=metal,
        truth=clean_ct,
        scores_before=evaluate(clean_ct, before, metal),
        sinogram=study.before(),
        facts={"Input": "a<b>.nrrd"},
    )


class Tags(HTMLParser):
    """Collects tags, and checks that they are closed in order."""

    VOID = ("meta", "img")
    SHAPES = ("line", "polyline", "polygon")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing to close."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_file_without_network(content: ReportContent, tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "folder", content)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    page = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    # 1 to 2 slices, 3 rows each of before, NMAR, truth (differences: before, NMAR), 2 reformats
    assert len(tags.sources) >= 2 * 8 + 2 * 3 + 3
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert not re.search(r"(https?:)?//\w", re.sub(r"data:[^\"]+", "", page))
    for text in ("Bone window", "Soft-tissue window", "Error", "Sinogram", "RMSE", "NMAR"):
        assert text in page


def test_names_are_escaped(content: ReportContent, tmp_path: Path) -> None:
    page = write_report(tmp_path, content).read_text(encoding="utf-8")
    assert "Slices &lt;of&gt; one &amp; two" in page
    assert "a<b>.nrrd" not in page


def plain(content: ReportContent, **others) -> ReportContent:
    """The same without truth, as a user's own scan."""
    one = content.corrected[0]
    return ReportContent(
        "t", content.before, (ReportedCorrection(one.result),), content.metal, **others
    )


def reported(content: ReportContent, **changes) -> ReportContent:
    """The same with other facts for its slices."""
    result = content.corrected[0].result
    slices = tuple(replace(s, **changes) for s in result.slices)
    one = replace(content.corrected[0], result=replace(result, slices=slices))
    return replace(content, corrected=(one,))


def test_every_page_says_whose_it_is(content: ReportContent, tmp_path: Path) -> None:
    study = Study("Spine 1.0 B70", "2024-05-17")
    page = write_report(tmp_path, replace(content, study=study)).read_text(encoding="utf-8")
    sheets = page.split('<section class="page')[1:]
    assert len(sheets) >= 6
    hashes = set()
    for n, sheet in enumerate(sheets, 1):
        for text in ("Spine 1.0 B70", "2024-05-17", __version__, f"page {n} of {len(sheets)}"):
            assert text in sheet
        assert re.findall(r">(\w+) <i>", sheet) == ["Name", "ID", "Signature"]
        hashes |= set(re.findall(r"Result <b>(\w+)</b>", sheet))
    assert len(hashes) == 1
    assert "no name or number of the patient" in page


def test_the_hash_is_that_of_the_result(content: ReportContent, tmp_path: Path) -> None:
    def digest(one: ReportContent) -> str:
        page = write_report(tmp_path, one).read_text(encoding="utf-8")
        return re.findall(r"Result <b>(\w+)</b>", page)[0]

    result = content.corrected[0].result
    hu = result.volume.hu.copy()
    hu[0, 0, 0] += 1
    other = replace(content.corrected[0], result=replace(result, volume=result.volume.with_hu(hu)))
    assert digest(content) == digest(content)
    assert digest(content) != digest(replace(content, corrected=(other,)))


def test_the_patient_stands_on_every_page_where_asked_for(content, tmp_path) -> None:
    study = Study("s", "", {"Name": "Roe Jane", "ID": "12345", "Born": "1961-02-03"})
    page = write_report(tmp_path, plain(content, study=study)).read_text(encoding="utf-8")
    for sheet in page.split('<section class="page')[1:]:
        assert "<b>Roe Jane</b>" in sheet
        assert "<b>12345</b>" in sheet
    assert "as ticked: Name, ID, Born" in page


def test_the_worst_news_is_first(content: ReportContent, tmp_path: Path) -> None:
    """Slices left alone, thick outlines and rising errors, on page one, above all pictures."""
    worse = replace(
        content,
        scores_before=replace(
            content.scores_before,
            slices=tuple(replace(s, rmse_hu=0.1) for s in content.scores_before.slices),
        ),
    )
    both = reported(worse, corrected=True, strength=1.0, outline="threshold")
    page = write_report(tmp_path, both).read_text(encoding="utf-8")
    first = page[: page.index("<img")]
    assert "The error rises in slices 2 to 3" in first
    assert "Metal looks too thick in slices 2 to 3" in first
    assert first.index("error rises") < first.index("too thick")
    assert page.count('<tr class="rises">') == 2
    assert page.count('class="mark series1"') == 2
    alone = reported(plain(content), corrected=False, reason="Because.")
    page = write_report(tmp_path, alone).read_text(encoding="utf-8")
    assert "Left as scanned" in page[: page.index("<img")]


def test_what_was_left_alone_is_said_and_no_grey_is_shown(content, tmp_path) -> None:
    """Of the two slices one was left as it was: its difference is words, the other's a picture."""
    result = content.corrected[0].result
    hu = content.before.hu.copy()
    hu[2] += 60
    slices = tuple(replace(s, corrected=s.index != 1, strength=1.0) for s in result.slices)
    half = replace(result, volume=result.volume.with_hu(hu), slices=slices)
    shown = replace(plain(content), corrected=(ReportedCorrection(half),))
    first, second = (group.rows[-1].pictures[0] for group in slice_groups(shown))
    assert first.caption == "NMAR (slice left alone): nothing changed"
    assert not first.uri
    assert second.caption == "NMAR − before"
    assert second.uri.startswith("data:image/png")
    page = write_report(tmp_path, shown)
    text = page.read_text(encoding="utf-8")
    assert text.count("nothing changed") == 1
    assert 'src=""' not in text
    assert Browser(tmp_path).printed_pages(page) == text.count('<section class="page')


def test_no_news_is_no_warning(content: ReportContent, tmp_path: Path) -> None:
    good = reported(plain(content), corrected=True, strength=1.0, outline="network")
    assert warnings_of(good) == []
    assert "Look here first" not in write_report(tmp_path, good).read_text(encoding="utf-8")


def test_pictures_come_before_tables(content: ReportContent, tmp_path: Path) -> None:
    page = write_report(tmp_path, content).read_text(encoding="utf-8")
    assert page.index("<table") > page.rindex("<img")


def test_long_lists_of_slices_are_cut(content: ReportContent) -> None:
    result = content.corrected[0].result
    slices = tuple(
        replace(result.slices[0], index=k, corrected=k % 2 == 0, outline="network")
        for k in range(60)
    )
    many = replace(content.corrected[0], result=replace(result, slices=slices), scores=None)
    lines = warnings_of(replace(plain(content), corrected=(many,)))
    assert lines == [
        "Left as scanned, artifacts and all: slices 2, 4, 6, 8, 10, 12, 14, 16 and 22 more. "
        "The table says why."
    ]


@pytest.mark.parametrize("known", [True, False])
def test_each_sheet_fits_its_page(content, tmp_path, known) -> None:
    """With a truth and four methods, and without; long words and many slices in both."""
    browser = Browser(tmp_path)
    one = content.corrected[0]
    slices = tuple(replace(one.result.slices[0], index=k) for k in range(90))
    long = replace(one, result=replace(one.result, slices=slices))
    words = "Words, and more of them than anybody needs to know. " * 8
    shown = replace(content, corrected=(one, one, one, long), introduction=words)
    if not known:
        shown = replace(plain(content, introduction=words), corrected=(replace(long, scores=None),))
    path = write_report(tmp_path, shown)
    pages = re.findall(r"page \d+ of (\d+)", path.read_text(encoding="utf-8"))
    assert browser.printed_pages(path) == int(pages[0]) == len(pages)


def test_light_dark_and_a_phone(content: ReportContent, tmp_path: Path) -> None:
    browser = Browser(tmp_path)
    path = write_report(tmp_path, content)
    light = browser.picture(path, 1200, 900)
    dark = browser.picture(path, 1200, 900, dark=True)
    assert light[2, 2].min() > 240
    assert dark[2, 2].max() < 50
    head = slice(20, 120)  # title and identity: dark on light, light on dark
    assert light[head].min() < 90
    assert dark[head].max() > 180
    # Nothing is cut off at the right: the last columns hold nothing but paper.
    phone = browser.picture(path, 500, 3000)
    assert np.ptp(phone[:, -8:].reshape(-1, 3), axis=0).max() < 12
    # Half of a phone's width for a picture is more than a fifth of it.
    black = (phone[:, :, :].max(axis=-1) < 20).sum(axis=1)
    assert black.max() > 350


def test_report_without_truth_shows_what_changed(content: ReportContent, tmp_path: Path) -> None:
    page = write_report(tmp_path, plain(content)).read_text(encoding="utf-8")
    assert "What the correction changed" in page
    assert "Truth" not in page
    assert "RMSE" not in page


def test_report_of_a_scan_without_metal(content: ReportContent, tmp_path: Path) -> None:
    assert content.truth is not None
    none = np.zeros(content.truth.hu.shape, dtype=bool)
    result = correct_volume(content.truth, method="li")
    page = write_report(
        tmp_path, ReportContent("t", content.truth, (ReportedCorrection(result),), none)
    ).read_text(encoding="utf-8")
    assert "No metal was found" in page


def test_folder_that_cannot_be_made(content: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        write_report(tmp_path / "file" / "report", content)


def test_best_scores_are_found_by_their_own_direction(content: ReportContent) -> None:
    before, after = content.scores_before, content.corrected[0].scores
    assert before is not None
    assert after is not None
    table = score_table([("Before", before), ("After", after)], METRICS)
    for metric, best in zip(METRICS, table.best, strict=True):
        values = [metric.value(before), metric.value(after)]
        if metric.good is None:
            assert best == int(np.argmax(values))
        else:
            assert best == int(np.argmin(np.abs(np.array(values) - metric.good)))


def test_telling_slices_have_metal_and_are_spread() -> None:
    metal = np.zeros((30, 4, 4), dtype=bool)
    metal[5:26, 0, 0] = True
    metal[[8, 15, 22], :2, :2] = True
    assert telling_slices(metal) == [8, 15, 22]
    assert telling_slices(metal[:6]) == [5]
    assert telling_slices(np.zeros((9, 4, 4), dtype=bool)) == [4]


def test_chart_survives_gaps_and_nothing() -> None:
    assert line_chart({}, "x", "y") == ""
    assert line_chart({"a": [(1, float("nan"))]}, "x", "y") == ""
    assert "<polyline" in line_chart({"a & b": [(3, 0.0)]}, "x", "y")
    gap = line_chart({"a": [(1, 2.0), (2, float("nan")), (3, 4.0)]}, "x", "y")
    assert "nan" not in gap


@pytest.mark.parametrize("scale", ["12-bit", "extended"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_report_draws_the_rays_that_were_corrected(scale, raw) -> None:
    """On both HU scales and for raw data: the same lost rays, filled with the same values."""
    shape = (3, SIDE, SIDE)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    body = np.where((x / 56) ** 2 + (y / 44) ** 2 < 1, 40.0, -1000.0)
    steel = ((np.hypot(x - 14, y - 8) < 3) | (np.hypot(x + 14, y - 8) < 3)).astype(np.float32)
    clean = CTVolume(np.stack([body] * 3).astype(np.float32), np.diag([-2.5, -2.5, 3.0, 1.0]))
    scanned = simulate_scan(
        clean, {"316L": np.broadcast_to(steel, shape)}, ScannerSettings(hu_scale=scale), 1
    ).volume
    measured = None
    if raw:
        rays = RadonTransform((SIDE, SIDE), (2.5, 2.5))
        measured = rays.forward(hu_to_mu(scanned.hu)) + np.float32(0.01)
    seen: dict[int, np.ndarray] = {}

    class Spy(LearnedInpainter):
        def inpaint(self, slab):
            filled = super().inpaint(slab)
            seen.update(zip(slab.core_only.indices, filled, strict=True))
            return filled

    manifest = load_manifest(shipped_model())  # type: ignore[arg-type]
    done = correct_volume(scanned, inpainter=Spy(manifest), measured=measured)
    study = SinogramStudy(scanned, done.metal_mask, measured)
    drawn = study.filled("generator")
    k = study.before().index
    assert np.abs(drawn - seen[k]).max() < 1e-3
