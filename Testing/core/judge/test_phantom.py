"""Maps of materials and constructs of the judge, without the simulator."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.planning.plans.plan import Plan, Rod
from spinemar.planning.trajectories.sites import sites_from_landmarks
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.cases import find_patient, read_cases
from Testing.benchmarks.xcist.constructs import (
    COBALT,
    CONSTRUCTS,
    STEEL,
    TITANIUM,
    height_mm,
    plan_of,
)
from Testing.benchmarks.xcist.phantom import make_phantom, slice_affine, tissue_maps, write_phantom

ROOT = Path(__file__).resolve().parents[3]
AFFINE = np.array([[-0.8, 0, 0, 30.0], [0, -0.8, 0, 25.0], [0, 0, 5.0, -10.0], [0, 0, 0, 1.0]])
ROD = Rod("rod", "left", ((10.0, 5.0, -30.0), (10.0, 5.0, 30.0)), 6.0, "316L")


def patient() -> CTVolume:
    hu = np.full((5, 64, 76), -1000.0, np.float32)
    hu[:, 6:58, 6:70] = 40.0
    hu[:, 20:40, 20:40] = 400.0
    hu[3] += 100.0
    return CTVolume(hu, AFFINE)


def test_tissue_adds_up_to_its_attenuation() -> None:
    hu = np.array([-1000.0, -700, -100, 0, 60, 500, 1560])
    maps = tissue_maps(hu)
    # In units of water: mixed by volume from tissue of 60 HU and bone of 1560 HU.
    total = maps["water"] + 2.56 * maps["bone"]
    np.testing.assert_allclose(total, 1 + hu / 1000, atol=1e-5)
    assert maps["bone"][-1] == pytest.approx(1)
    assert maps["water"][-1] == pytest.approx(0)


def test_metal_lies_where_the_plan_has_it_and_displaces_its_tissue() -> None:
    phantom = make_phantom(patient(), Plan(rods=(ROD,)), height_mm=0.0, slice_mm=2.0)
    fraction = phantom.metal_fraction()
    area = fraction.sum() * 0.8**2
    assert area == pytest.approx(np.pi * 3**2, rel=0.01)
    rows, columns = np.indices(fraction.shape)
    centre = [(index * fraction).sum() / fraction.sum() for index in (rows, columns)]
    np.testing.assert_allclose(centre, [(25 - 5) / 0.8, (30 - 10) / 0.8], atol=0.05)
    displaced = sum(phantom.displaced.values())
    assert (displaced > 0).sum() == (phantom.metal["316L"] > 0).sum()


def test_a_slice_between_the_patients_is_their_mean() -> None:
    volume = patient()
    phantom = make_phantom(volume, Plan(rods=(ROD,)), height_mm=2.5, slice_mm=2.0)
    wanted = tissue_maps(0.5 * (volume.hu[2] + volume.hu[3]))
    np.testing.assert_allclose(phantom.tissue["water"], wanted["water"], atol=1e-6)


def test_the_written_maps_say_where_the_isocentre_is(tmp_path: Path) -> None:
    phantom = make_phantom(patient(), Plan(rods=(ROD,)), height_mm=0.0, slice_mm=2.0)
    write_phantom(tmp_path, phantom)
    facts = json.loads((tmp_path / "metal.json").read_text())
    assert facts["mat_name"] == ["water", "ICRU_skeleton_cortical_bone_adult", "316L"]
    rows, columns = facts["rows"][0], facts["cols"][0]
    steel = np.fromfile(tmp_path / facts["volumefractionmap_filename"][2], np.float32)
    steel = steel.reshape(rows, columns)
    j, i = np.indices(steel.shape)
    size = facts["x_size"][0]
    # XCIST counts from 1, and its y against the rows.
    x = ((i * steel).sum() / steel.sum() + 1 - facts["x_offset"][0]) * size
    y = (rows - (j * steel).sum() / steel.sum() - facts["y_offset"][0]) * size
    middle = [(n - 1) / 2 for n in phantom.shape]
    np.testing.assert_allclose([x, -y], [(25 - middle[1]) * 0.8, (25 - middle[0]) * 0.8], atol=0.05)
    less = np.fromfile(tmp_path / facts["volumefractionmap_filename"][0], np.float32)
    assert less.min() < 0 >= less.max()


def test_seventeen_constructs_of_the_wanted_metals_fit_the_patient() -> None:
    landmarks = ROOT / "Resources" / "Landmarks" / "crlm_1006.json"
    sites = sites_from_landmarks(json.loads(landmarks.read_text("utf-8")))
    metals = Counter()
    for construct in CONSTRUCTS:
        plan = plan_of(construct, sites)
        assert len(plan.screws) == len(construct.levels) * len(construct.sides), construct.name
        assert len(plan.rods) == len(construct.sides), construct.name
        heights = [site.isthmus[2] for site in sites if site.level in construct.levels]
        assert min(heights) - 5 < height_mm(construct, plan, sites) < max(heights) + 5
        alloys = {construct.screws, construct.rods}
        metals[max(alloys, key=(TITANIUM, COBALT, STEEL).index)] += 1
    assert metals == {TITANIUM: 7, COBALT: 3, STEEL: 7}
    assert len({construct.name for construct in CONSTRUCTS}) == 17


def test_the_stored_slices_lie_at_their_height() -> None:
    affine = slice_affine(patient(), 3.0, 2.0)
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [30, 25, 3, 1])
    assert affine[2, 2] == 2.0


def test_a_missing_patient_or_case_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="--patient"):
        find_patient(tmp_path / "none.nii.gz")
    monkeypatch.setenv("SPINEMAR_JUDGE_PATIENT", str(tmp_path / "other.nii.gz"))
    with pytest.raises(InputError, match="other"):
        find_patient(None)
    with pytest.raises(InputError, match="xcist make"):
        list(read_cases(tmp_path))
