"""Plans of real patients on our own segmentation, judged by hand-checked landmarks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VALIDATION = "crlm_1006"
WITH_SACRUM = "acrin_flt_breast_001_abd"


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory):
    path = ROOT / "Testing" / "benchmarks" / "plan_accuracy.py"
    spec = importlib.util.spec_from_file_location("plan_accuracy", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["plan_accuracy"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    if not (module.DATA / f"{VALIDATION}.nii.gz").exists():
        pytest.skip("the developers' CTs are not here")
    # Never what an earlier version of the segmentation left in build/.
    module.KEPT = tmp_path_factory.mktemp("segmentations")
    return module


@pytest.mark.slow
@pytest.mark.shared_data
def test_nine_of_ten_pedicles_get_a_good_screw(accuracy):
    results, (own_words,) = accuracy.evaluate(VALIDATION)
    assert len(results) == 14
    assert own_words.endswith("| none |")  # no collision
    assert sum(r.good for r in results) >= 0.9 * len(results), accuracy.details(results)
    assert not any(r.medial_mm >= 2.0 for r in results)


@pytest.mark.slow
@pytest.mark.shared_data
def test_a_whole_sacrum_gets_good_screws_in_dense_bone(accuracy):
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.io import read_volume
    from spinemar.planning.alignment.curves import alignment_of
    from spinemar.planning.constructs.automatic import PlanSettings, plan_construct
    from spinemar.planning.grades.hu_profile import hu_profile
    from spinemar.spine.segmentation.segment import segment_spine

    path = accuracy.DATA / f"{WITH_SACRUM}.nii.gz"
    if not path.exists():
        pytest.skip("the one CT with a whole sacrum is not here")
    volume = read_volume(path)
    spine = segment_spine(volume, first_level="T9")
    assert spine.vertebra("S1").agreement.doubts == ()
    settings = PlanSettings(pelvic="S2AI")
    plan = plan_construct(spine, volume, "L4-S1", load_catalogue(), settings)
    assert len(plan.rods) == 2
    for side in ("left", "right"):
        screw = plan.screw(f"S1-{side}")
        assert screw.grade.letter in "AB"
        assert screw.canal_intrusion_mm < 0.25
        # The CT itself, not the labels, says that it lies in bone, and what is dense there.
        assert hu_profile(screw, volume, spine.vertebra("S1")).mean_hu > 150
        into_ilium = plan.screw(f"S2AI-{side}")
        assert into_ilium.grade.letter in "AB"
        assert into_ilium.length_mm >= 70
        assert into_ilium.grade.notch_mm > 5
        assert into_ilium.grade.acetabulum_mm > 5
    # Both heads are there, and what follows from them is possible in man.
    assert all(19 <= head.radius_mm <= 30 for head in spine.femoral_heads)
    found = alignment_of(spine.vertebrae, (), spine.femoral_heads)
    assert 30 < found.pelvic_incidence_deg < 85
    assert found.pelvic_incidence_deg == pytest.approx(
        found.pelvic_tilt_deg + found.sacral_slope_deg
    )
