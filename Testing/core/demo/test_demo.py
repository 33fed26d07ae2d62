"""The demonstration on a small patient: every file is there, and agrees with the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from spinemar.demo.run import DemoResult, methods_at_hand, planned, run_demo, sample_plan
from spinemar.errors import CancelledError, InputError
from spinemar.evaluation import evaluate
from spinemar.io import read_mask, read_volume
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.plans.plan_json import read_plan
from spinemar.progress import CancelToken, Progress
from spinemar.volume import CTVolume

SHAPE = (16, 96, 112)
AFFINE = np.array([[-2.0, 0, 0, 112], [0, -2.2, 0, 105], [0, 0, 3.0, -24], [0, 0, 0, 1]])


def patient() -> CTVolume:
    j, i = SHAPE[1:]
    y, x = (np.mgrid[:j, :i] - np.array([[[j / 2]], [[i / 2]]])) * [[[2.2]], [[2.0]]]
    body = np.where((x / 95) ** 2 + (y / 80) ** 2 < 1, 40.0, -1000.0)
    body[np.hypot(x, y - 15) < 20] = 250
    noise = np.random.default_rng(0).normal(0, 5, SHAPE)
    return CTVolume(ndimage.gaussian_filter(body, 0.6) + noise, AFFINE)


def plan() -> Plan:
    def screw(side: str, x: float) -> Screw:
        entry, tip = (x, -50.0, 0.0), (x, -10.0, 3.0)
        length = float(np.linalg.norm(np.subtract(tip, entry)))
        return Screw(f"L1-{side}", "L1", side, entry, tip, 6.5, length)

    return Plan(levels=("L1",), screws=(screw("left", -15.0), screw("right", 15.0)))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    folder = tmp_path_factory.mktemp("demo") / "made" / "here"
    settings = ScannerSettings(n_views=180, photons_per_ray=3e5)
    return run_demo(folder, patient=patient(), plan=plan(), settings=settings)


def test_everything_is_written(demo: DemoResult) -> None:
    folder = demo.report.parent
    wanted = {"scan.nii.gz", "truth.nii.gz", "metal_mask.nii.gz", "plan.json", "report.html"}
    wanted |= {f"corrected_{method}.nii.gz" for method in methods_at_hand()}
    assert {p.name for p in folder.iterdir()} == wanted
    assert read_plan(demo.files["plan"]) == plan()


def test_metal_is_where_the_plan_put_it(demo: DemoResult) -> None:
    scan = read_volume(demo.files["scan"])
    metal = read_mask(demo.files["metal_mask"], scan.geometry)
    ras = scan.geometry.to_ras(np.argwhere(metal)[:, ::-1].astype(float))
    assert np.abs(np.abs(ras[:, 0]) - 15).max() < 14
    assert ras[:, 1].max() < -10 + 3
    assert scan.hu[metal].mean() > 1500
    # Only slices near the screws are scanned.
    assert scan.hu.shape[0] < SHAPE[0]


def test_truth_is_the_patient_and_streaks_are_added(demo: DemoResult) -> None:
    truth = read_volume(demo.files["truth"])
    whole = patient()
    k = round(float(whole.geometry.to_ijk(truth.geometry.to_ras(np.zeros(3)))[2]))
    inside = np.s_[40:60, 40:70]
    assert abs(float(np.mean(truth.hu[3][inside] - whole.hu[k + 3][inside]))) < 15
    assert demo.scores["before"].rmse_near_hu > 40


def test_scores_are_those_of_the_files(demo: DemoResult) -> None:
    truth, scan = read_volume(demo.files["truth"]), read_volume(demo.files["scan"])
    metal = read_mask(demo.files["metal_mask"], scan.geometry)
    assert evaluate(truth, scan, metal).rmse_hu == pytest.approx(demo.scores["before"].rmse_hu)
    result = read_volume(demo.files["nmar"])
    assert evaluate(truth, result, metal).rmse_hu == pytest.approx(demo.scores["nmar"].rmse_hu)


def test_cancel_and_a_plan_beside_the_patient(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(step: Progress) -> None:
        if step.stage == "Implants":
            token.cancel()

    with pytest.raises(CancelledError):
        run_demo(tmp_path, patient=patient(), plan=plan(), progress=stop, cancel=token)
    assert list(tmp_path.iterdir()) == []
    far = Screw("L1-left", "L1", "left", (900.0, 0, 0), (900.0, 40.0, 0), 6.5, 40.0)
    with pytest.raises(InputError, match="outside the CT"):
        run_demo(tmp_path, patient=patient(), plan=Plan(("L1",), (far,)))


def test_sample_plan_has_two_levels_of_screws_and_rods() -> None:
    kept = sample_plan()
    assert kept.levels == ("L1", "L2")
    assert {(s.level, s.side) for s in kept.screws} == {
        (level, side) for level in ("L1", "L2") for side in ("left", "right")
    }
    assert {r.side for r in kept.rods} == {"left", "right"}


@pytest.mark.slow
def test_the_kept_plan_is_what_the_planner_makes_today() -> None:
    from spinemar.demo.sample_data import sample_ct
    from spinemar.planning.plans.compare import compare_plans

    try:
        ct = read_volume(sample_ct())
    except InputError as error:
        pytest.skip(f"no sample CT: {error.problem[:80]}")
    today = planned(ct, "L1-L2")
    found = compare_plans(sample_plan(), today)
    assert not found.only_first
    assert not found.only_second
    assert max(d.entry_mm for d in found.differences) < 2.0
    assert max(d.angle_deg for d in found.differences) < 5.0
    assert {s.grade.letter for s in today.screws} <= {"A", "B"}  # type: ignore[union-attr]


@pytest.mark.slow
def test_demo_on_the_sample_ct(tmp_path: Path) -> None:
    """What the issue asks of NMAR, on the real patient."""
    from spinemar.demo.sample_data import sample_ct

    try:
        sample_ct()
    except InputError as error:
        pytest.skip(f"no sample CT: {error.problem[:80]}")
    scores = run_demo(tmp_path).scores
    before, li, nmar = scores["before"], scores["li"], scores["nmar"]
    assert nmar.rmse_hu < li.rmse_hu
    assert nmar.rmse_hu < before.rmse_hu
    assert nmar.streak_hu < before.streak_hu
    assert nmar.sharpness >= 0.98
    for one, old in zip(nmar.slices, before.slices, strict=True):
        assert one.rmse_hu <= 1.01 * old.rmse_hu, f"slice {one.index} got worse"
