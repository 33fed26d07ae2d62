"""The studies' measures against truths that are known in closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spinemar_study.pages.page import TABLES, fill_page  # noqa: E402
from spinemar_study.results import read_result, write_result  # noqa: E402
from spinemar_study.scenes.central_slice import CentralSlice  # noqa: E402
from spinemar_study.scenes.conditions import (  # noqa: E402
    MASKS,
    SCANS,
    Trial,
    base,
    tilted_slab,
)
from spinemar_study.scenes.lesions import KINDS, group_of  # noqa: E402
from spinemar_study.scenes.methods import OPEN_GATE, StudyMethod  # noqa: E402
from spinemar_study.scenes.scan_collection import ScanCollection, Scanned, scan_scene  # noqa: E402
from spinemar_study.scenes.scenes import MIDDLE, Patient, make_scenes, thin_slab  # noqa: E402
from spinemar_study.statistics import (  # noqa: E402
    area_under_curve,
    bootstrap,
    geometric,
    pooled_ratio,
)
from spinemar_study.studies import findings, hu, width  # noqa: E402
from spinemar_study.studies.robustness import score_trial  # noqa: E402
from spinemar_study.study_settings import (  # noqa: E402
    CollectionSettings,
    RobustnessSettings,
)
from spinemar_training.run_settings import read_yaml  # noqa: E402

from spinemar.axial import find_axial_slices  # noqa: E402
from spinemar.errors import InputError  # noqa: E402
from spinemar.mar.correct import correct_volume  # noqa: E402
from spinemar.mar.inpainters.classical import LinearInterpolation  # noqa: E402
from spinemar.planning.trajectories.sites import PedicleSite  # noqa: E402
from spinemar.volume import CTVolume  # noqa: E402

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
PIXEL, SLICE = 1.5, 2.5


@pytest.fixture(scope="module")
def patient() -> Patient:
    """An elliptic body with a column of vertebrae: marrow, cortex, canal, pedicles to the back."""
    k, j, i = np.mgrid[:17, :160, :192].astype(np.float32)
    x, y = (i - 95.5) * PIXEL, (79.5 - j) * PIXEL  # right, anterior
    hu = np.full(k.shape, -1000.0, np.float32)
    hu[(x / 130) ** 2 + (y / 95) ** 2 < 1] = 50
    hu[(x / 21) ** 2 + ((y + 30) / 18) ** 2 < 1] = 700
    hu[(x / 19) ** 2 + ((y + 30) / 16) ** 2 < 1] = 180
    for side in (-1, 1):
        hu[(np.abs(x - 16 * side) < 6) & (y < -40) & (y > -66)] = 500
    hu[(x / 9) ** 2 + ((y + 55) / 8) ** 2 < 1] = 30
    affine = np.diag([PIXEL, -PIXEL, SLICE, 1.0])
    affine[:3, 3] = -95.5 * PIXEL, 79.5 * PIXEL, 0.0
    sites = tuple(
        PedicleSite(
            level,
            side,
            np.array([17.0 * sign, -66.0, z]),
            np.array([16.0 * sign, -52.0, z]),
            np.array([-sign / 14, 1.0, 0.0]) / np.hypot(1 / 14, 1),
            10.0,
            48.0,
            np.array([0.0, -30.0, z]),
            np.array([1.0, 0.0, 0.0]),
            np.array([0.0, 0.0, 1.0]),
        )
        for level, z in (("L1", 28.0), ("L2", 14.0))
        for side, sign in (("left", -1), ("right", 1))
    )
    return Patient("phantom", CTVolume(hu, affine), sites)


@pytest.fixture(scope="module")
def scene(patient):
    settings = CollectionSettings((), scenes=1, metals=("Ti-6Al-4V",), spread=0.0, views=120)
    return make_scenes(patient, settings)[0]


@pytest.fixture(scope="module")
def scanned(scene) -> Scanned:
    return scan_scene(scene)


def test_a_scene_shows_both_screws_of_its_level(scene, scanned):
    assert scene.volume.hu.shape[0] == 3
    assert {s.side for s in scene.plan.screws if s.level == scene.level} == {"left", "right"}
    right = scanned.metal[MIDDLE][:, 96:].sum()
    assert right > 20
    assert scanned.metal[MIDDLE][:, :96].sum() > 20
    again = scan_scene(scene)
    np.testing.assert_array_equal(again.scan.hu, scanned.scan.hu)


def test_the_same_settings_give_the_same_scenes(patient, scene):
    settings = CollectionSettings((), scenes=1, metals=("Ti-6Al-4V",), spread=0.0, views=120)
    other = make_scenes(patient, settings)[0]
    assert other.plan == scene.plan
    assert other.settings == scene.settings


def test_a_thin_slab_keeps_its_place(patient):
    slab = thin_slab(patient.volume, 5)
    np.testing.assert_array_equal(slab.hu[1], patient.volume.hu[5])
    np.testing.assert_allclose(
        slab.geometry.to_ras(np.array([3.0, 4.0, 1.0])),
        patient.volume.geometry.to_ras(np.array([3.0, 4.0, 5.0])),
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_findings_are_where_they_say_and_lower_bone_only(scene, kind):
    lesion = KINDS[kind](scene, np.random.default_rng(3))
    assert lesion.share.min() >= 0
    assert lesion.share.max() <= 1
    assert lesion.share[MIDDLE].sum() > 5
    changed = lesion.applied(scene.volume.hu) - scene.volume.hu
    assert np.all(changed[lesion.share == 0] == 0)
    if kind != "soft-tissue collection":
        assert changed.max() <= 0
        assert changed.min() < -60, "bone gives way"
        canal = scene.volume.hu[MIDDLE] == 30
        assert np.all(changed[MIDDLE][canal] == 0), "nothing in the canal"


def test_the_width_of_a_fracture_is_what_it_says(scene):
    lesion = KINDS["fracture of the body"](scene, np.random.default_rng(3))
    area = lesion.share[MIDDLE].sum() * PIXEL**2
    # Across a body 36 to 42 mm wide, off its middle by 5 mm at most.
    assert 28 * lesion.facts["width_mm"] < area < 43 * lesion.facts["width_mm"]


def test_a_template_finds_itself_and_nothing_else(scene):
    absent = scan_scene(scene)
    present = scan_scene(scene, group_of(scene, "b"))
    template = findings.make_template("soft-tissue collection", present, absent)
    assert template is not None
    signal = present.truth.hu[MIDDLE] - absent.truth.hu[MIDDLE]
    assert template.response(signal) == pytest.approx(1.0)
    assert template.response(0.3 * signal) == pytest.approx(0.3)
    assert template.response(signal + 500) == pytest.approx(1.0), "an offset is no finding"
    assert template.response(np.zeros_like(signal)) == 0
    top, bottom = zip(*template.by_ring(signal), strict=True)
    assert sum(top) == pytest.approx(sum(bottom), rel=1e-3)


def test_a_method_that_erases_everything_is_said_to(scene, tmp_path):
    """Blank every result: all findings are erased; copy the truth: all are kept."""

    class Blank(ScanCollection):
        def scenes(self):
            return [scene]

        def corrected(self, scene, method, variant="clean"):
            found = self.scanned(scene, variant)
            hu = found.truth.hu[MIDDLE] if method.name == "truth" else 0 * found.truth.hu[MIDDLE]
            return type("Result", (), {"hu": hu, "strength": 1.0})()

    bank = Blank(CollectionSettings(()), tmp_path)
    rows = []
    for group in ("a", "b"):
        present, absent = bank.scanned(scene, group), bank.scanned(scene)
        for kind in present.lesions:
            template = findings.make_template(kind, present, absent)
            if template is not None:
                methods = [StudyMethod(n, n, None) for n in ("truth", "blank")]
                made = findings._rows(bank, scene, group, kind, template, methods)
                rows += [{**row, "by_measured_rays": 0.5} for row in made]
    rows += [{**row, "scene": "another"} for row in rows]
    summary = findings.summarise_findings(rows)["all"]
    assert summary["truth"]["kept"]["mean"] == pytest.approx(1.0)
    assert summary["truth"]["erased"]["mean"] == 0
    assert summary["truth"]["auc"]["mean"] == 1.0
    assert summary["truth"]["false_positive"]["mean"] == 0
    assert summary["blank"]["erased"]["mean"] == 1.0
    assert summary["blank"]["auc"]["mean"] == 0.5


def test_profile_width_of_a_box_and_of_a_gaussian():
    x = np.arange(-140, 141) * 0.1
    box = np.clip((3.0 - np.abs(x)) / 0.5 + 0.5, 0, 1)
    assert width.profile_width_mm(box, 0.5, 0.1) == pytest.approx(6.0, abs=1e-6)
    gaussian = np.exp(-0.5 * (x / 2.0) ** 2)
    assert width.profile_width_mm(gaussian, 0.5, 0.1) == pytest.approx(2.3548 * 2.0, abs=0.02)
    assert width.profile_width_mm(0 * x, 0.5, 0.1) == 0.0
    assert np.isnan(width.profile_width_mm(np.ones_like(x), 0.5, 0.1))


def test_true_width_is_the_screws_and_the_scan_shows_it_wider(scene, scanned):
    screw = next(s for s in scene.plan.screws if s.level == scene.level)
    images = {"input": scanned.scan.hu[MIDDLE], "white": 0 * scanned.scan.hu[MIDDLE] + 3000}
    found = width.screw_widths(screw, scene, scanned, images)
    assert found is not None
    # Between the core (two thirds) and the crests of the thread, as pixels of 1.5 mm see it.
    assert 0.6 * screw.diameter_mm < found["true"] < 1.15 * screw.diameter_mm
    assert found["input"] > found["true"]
    assert np.isnan(found["white"]), "no edge in a white image"


def test_discs_lie_in_their_tissue_and_clear_of_metal(scene, scanned):
    discs = hu.place_discs(scene, scanned)
    assert {disc.tissue for disc in discs} == {"vertebral body", "muscle"}
    metal = scanned.metal[MIDDLE]
    for disc in discs:
        assert not (disc.where & metal).any()
        mean = scene.volume.hu[MIDDLE][disc.where].mean()
        assert mean == pytest.approx(180 if disc.tissue == "vertebral body" else 50, abs=20)
    rows = [
        {
            "scene": "a",
            "metal": "316L",
            "tissue": "muscle",
            "hu": {"truth": 50.0, "input": 50.0 + d},
        }
        for d in (-30.0, 10.0, 50.0)
    ]
    entry = hu.summarise_hu(rows)["muscle"]["input"]
    assert entry["bias"]["mean"] == pytest.approx(10.0)
    assert entry["spread"] == pytest.approx(40.0)
    assert entry["limits"] == pytest.approx([10 - 78.4, 10 + 78.4])


def test_the_middle_slice_alone_is_what_the_whole_correction_gives(scanned):
    method = LinearInterpolation()
    whole = correct_volume(scanned.scan, metal_mask=scanned.metal, inpainter=method)
    alone = CentralSlice(scanned.scan, scanned.metal).corrected(method)
    np.testing.assert_allclose(alone.hu, whole.volume.hu[MIDDLE], atol=1.0)
    assert alone.strength == pytest.approx(whole.slices[MIDDLE].strength, abs=1e-4)


@pytest.mark.parametrize(
    ("sweep", "value"),
    [
        ("threshold", 2000.0),
        ("mask", "1 px too small"),
        ("mask", "one part missed"),
        ("mask", "3 px too large"),
        ("mask", "bone taken for metal"),
    ],
)
def test_a_spoiled_mask_leaves_the_scan_and_what_is_scored(scanned, sweep, value):
    usual = Trial(scanned.scan, scanned.truth, scanned.metal, scanned.metal)
    trial = MASKS[sweep](usual, value)
    assert trial.scan is usual.scan
    assert trial.left_out is usual.left_out
    if value != "bone taken for metal":  # there is no such bone in the phantom, but glow
        assert (trial.metal.sum() < usual.metal.sum()) == (
            value in ("1 px too small", "one part missed")
        )


@pytest.mark.parametrize(
    ("sweep", "value"),
    [
        ("kernel", "bone"),
        ("photons", 5e4),
        ("thickness", 1.0),
        ("field of view", 120.0),
        ("tilt", 15.0),
        ("implant", "dental crowns"),
        ("implant", "surgical clips"),
        ("implant", "hip ball and stem"),
    ],
)
def test_every_condition_is_another_scan_of_three_slices(patient, scene, scanned, sweep, value):
    trial = SCANS[sweep](patient, scene, value)
    assert trial.scan.hu.shape == trial.truth.hu.shape == trial.metal.shape
    assert len(trial.scan.hu) == 3
    assert not np.array_equal(trial.scan.hu, scanned.scan.hu)
    assert trial.truth.hu.max() < 2500, "the truth holds no metal"


def test_a_trial_is_scored_before_and_after_with_and_without_gate(scanned):
    trial = Trial(scanned.scan, scanned.truth, scanned.metal, scanned.metal)
    rows = score_trial(trial, [StudyMethod("li", "li", LinearInterpolation())])
    assert [row["method"] for row in rows] == ["input", "li", "li, no gate"]
    assert all(np.isfinite(row["rmse_hu"]) for row in rows)
    perfect = Trial(scanned.truth, scanned.truth, scanned.metal, scanned.metal)
    assert score_trial(perfect, [])[0]["rmse_hu"] == 0


def test_no_motion_is_the_base_condition_and_some_is_not(patient, scene, scanned):
    still = SCANS["motion"](patient, scene, 0.0)
    np.testing.assert_allclose(still.scan.hu, base(scene).scan.hu, atol=1.0)
    moved = SCANS["motion"](patient, scene, 2.0)
    assert np.abs(moved.truth.hu - still.truth.hu).max() > 100


def test_a_tilted_slab_leans_and_passes_through_its_point(patient):
    point = np.array([4.0, -50.0, 20.0])
    slab = tilted_slab(patient.volume, point, 12.0)
    assert abs(find_axial_slices(slab.geometry).tilt_deg) == pytest.approx(12.0)
    assert slab.geometry.to_ijk(point)[2] == pytest.approx(MIDDLE)
    # The phantom is the same in every slice, so its rows only look stretched by 1 / cos.
    column = slab.hu[MIDDLE][:, 95]
    assert (column > -500).sum() == pytest.approx(190 / PIXEL / np.cos(np.radians(12)), abs=2.5)


def test_measured_rays_show_all_where_none_is_lost_and_nothing_where_all_are(scanned):
    j, i = np.indices(scanned.metal[MIDDLE].shape)
    disc = lambda y, x, r: np.where(np.hypot(j - y, i - x) < r, 100.0, 0.0).astype(np.float32)  # noqa: E731
    middle = CentralSlice(scanned.scan, scanned.metal)
    far, wide = disc(40, 30, 6), disc(80, 96, 6)
    kept = middle.of_measured_rays(far)[far > 0].mean()
    assert 85 < kept <= 101, "few rays through a far disc pass the metal"
    rows, columns = np.nonzero(scanned.metal[MIDDLE])
    inside = disc(rows.mean(), columns.mean(), 3)
    assert middle.of_measured_rays(inside)[inside > 0].mean() < kept
    nothing = CentralSlice(scanned.scan, np.zeros_like(scanned.metal))
    np.testing.assert_allclose(nothing.of_measured_rays(wide), wide, atol=1e-3)


def test_the_open_gate_lets_everything_through(scanned):
    middle = CentralSlice(scanned.scan, scanned.metal)
    assert middle.judged(middle.proposed(LinearInterpolation()), OPEN_GATE).strength == 1.0


def test_bootstrap_covers_the_mean_and_draws_groups_together():
    rng = np.random.default_rng(1)
    hits = 0
    for n in range(60):
        found = bootstrap(rng.normal(3.0, 2.0, size=40), seed=n)
        hits += found.low < 3.0 < found.high
    assert hits >= 50
    values = np.repeat(rng.normal(size=10), 20)
    alone, together = bootstrap(values), bootstrap(values, np.repeat(np.arange(10), 20))
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert bootstrap([1.0, float("nan"), 3.0]).cases == 2
    assert np.isnan(bootstrap([]).mean)
    assert geometric([0.5, 2.0]).mean == pytest.approx(1.0)


def test_area_under_the_curve_compares_other_scenes_of_one_kind():
    two, same = ["a", "b"], ["x", "x"]
    assert area_under_curve([2.0, 3.0], [0.0, 1.0], two, same).mean == 1.0
    assert area_under_curve([1.0, 1.0], [1.0, 1.0], two, same).mean == 0.5
    assert area_under_curve([0.0, 0.0], [1.0, 1.0], two, same).mean == 0.0
    # Each case beats its own negative, which says nothing: only the others count.
    assert area_under_curve([1.0, 11.0], [0.0, 10.0], two, same).mean == 0.5
    assert np.isnan(area_under_curve([1.0, 2.0], [0.0, 0.0], two, ["x", "y"]).mean)
    rng = np.random.default_rng(0)
    scenes = np.arange(200)
    found = area_under_curve(
        rng.normal(1.0, 1.0, 200), rng.normal(0.0, 1.0, 200), scenes, ["x"] * 200
    )
    assert found.mean == pytest.approx(0.76, abs=0.05), "normal deviates one apart: Phi(1 / sqrt 2)"
    assert found.low < 0.76 < found.high


def test_a_pooled_ratio_weighs_by_size_and_draws_groups():
    found = pooled_ratio([1.0, 30.0], [2.0, 40.0], ["a", "b"])
    assert found.mean == pytest.approx(31 / 42)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.75)
    assert pooled_ratio([0.0], [0.0], ["a"]).cases == 0


def test_results_and_pages_come_back(tmp_path):
    write_result(
        tmp_path / "regression.json", "regression", {"a": (1, 2)}, [{"x": float("nan")}],
        {"mean_rmse_hu": {"input": 12.345678, "nmar": 3.0}},
        {"name": "spinemar-lumbar", "version": "0.9.0", "sha256": "abc"},
    )  # fmt: skip
    assert read_result(tmp_path / "regression.json")["model"]["version"] == "0.9.0"
    stored = read_result(tmp_path / "regression.json")
    assert stored["rows"] == [{"x": None}]
    assert stored["settings"] == {"a": [1, 2]}
    assert stored["summary"]["mean_rmse_hu"]["input"] == pytest.approx(12.346)
    page = tmp_path / "page.md"
    page.write_text("Words.\n<!-- regression -->\nold\n<!-- end -->\nMore.\n")
    with pytest.raises(ValueError, match="no place for"):
        fill_page(page, tmp_path)
    page.write_text(
        "".join(f"<!-- {name} -->\n<!-- end -->\n" for name in ("regression", "nonsense"))
    )
    with pytest.raises(ValueError, match="nonsense"):
        fill_page(page, tmp_path)
    page.write_text("<!-- nonsense -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="no table"):
        fill_page(page, tmp_path)


def test_the_committed_page_holds_what_the_committed_results_say(tmp_path):
    page, results = ROOT / "Docs" / "evidence.md", ROOT / "Docs" / "results"
    copy = tmp_path / "evidence.md"
    copy.write_text(page.read_text("utf-8"), encoding="utf-8")
    assert set(fill_page(copy, results)) == set(TABLES)
    assert copy.read_text("utf-8") == page.read_text("utf-8"), "run `spinemar-study page`"
    for study in {study for study, _ in TABLES.values()}:
        assert json.loads((results / f"{study}.json").read_text("utf-8"))["model"]["version"]


def test_configurations_are_read_and_typing_errors_refused(tmp_path):
    for name, kind in (("scenes", CollectionSettings), ("robustness", RobustnessSettings)):
        assert read_yaml(kind, ROOT / "Training" / "configs" / f"study-{name}.yaml")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("patients: []\nscnes: 3\n")
    with pytest.raises(InputError, match="scnes"):
        read_yaml(CollectionSettings, wrong)
