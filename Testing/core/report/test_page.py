"""The report: one file, no network, everything in it, nothing unescaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.evaluation import evaluate
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned.inpainter import LearnedInpainter
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.report import ReportContent, ReportedCorrection, write_report
from spinemar.report.chart import line_chart
from spinemar.report.pictures import telling_slices
from spinemar.report.sinogram import SinogramStudy
from spinemar.report.tables import METRICS, score_table
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu
from spinemar.volume import CTVolume

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


def test_report_without_truth_shows_what_changed(content: ReportContent, tmp_path: Path) -> None:
    plain = ReportContent(
        "t", content.before, (ReportedCorrection(content.corrected[0].result),), content.metal
    )
    page = write_report(tmp_path, plain).read_text(encoding="utf-8")
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
