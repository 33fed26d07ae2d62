"""A catalogue of one's own with every planning option: on the command line and in Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import (
    CageModel,
    Catalogue,
    CrosslinkModel,
    RodModel,
    catalogue_from_json,
    catalogue_to_json,
    load_catalogue,
)
from spinemar.implants.construct_mesh import export_stl
from spinemar.implants.shapes.rod import rod_length_mm
from spinemar.implants.voxelize import voxelize_plan
from spinemar.io import write_labels, write_volume
from spinemar.planning.constructs.assemble import (
    ConstructSettings,
    construct_from_pedicles,
    with_rods,
)
from spinemar.planning.constructs.automatic import (
    PlanSettings,
    plan_construct,
    plan_with_alternatives,
)
from spinemar.planning.constructs.rods import RodSettings, contour_rod, min_bend_radius_mm
from spinemar.planning.grades.contacts.collisions import find_collisions
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json, read_plan
from spinemar.planning.sampling.random_plan import RandomSettings, random_plan
from spinemar.planning.sampling.variation import Spread, vary_plan
from spinemar.planning.trajectories.sites import sites_from_frames
from spinemar.volume import GridGeometry

OWN_ROD = RodModel("own-rod", "Own rod", (6.0,), ("CoCrMo",), None, 300.0, 120.0, 11.0)
OWN_LINK = CrosslinkModel("own-link", "Own crosslink", 5.0, 10.0, 120.0, ("CoCrMo",))
OWN_CAGE = CageModel("own-cage", "Own cage", "block", (26.0,), (22.0,), (5.0, 7.0), (0.0,),
                     ("PEEK",), None)  # fmt: skip


def own_catalogue() -> Catalogue:
    """Nothing in it is called as anything generic: a default that slips in finds nothing."""
    generic = load_catalogue()
    screw = replace(generic.screw("generic-polyaxial"), id="own-screw", diameters_mm=(4.5, 5.5))
    return Catalogue("own", (screw,), (OWN_ROD,), (OWN_CAGE,), (OWN_LINK,))


@pytest.fixture
def own_file(tmp_path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(catalogue_to_json(own_catalogue()))
    return path


SETTINGS = PlanSettings(
    screw_model="own-screw",
    with_crosslink=True,
    crosslink_model="own-link",
    rod=RodSettings("own-rod"),
)


@pytest.fixture(scope="module")
def planned(column):
    """Screws, rods and a crosslink of a catalogue that holds nothing generic, a screw locked."""
    plan = plan_construct(column, None, "T12-L2", own_catalogue(), SETTINGS)
    return replace(plan, screws=(replace(plan.screws[0], locked=True), *plan.screws[1:]))


def check_rods(plan: Plan) -> None:
    assert plan.rods
    for rod in plan.rods:
        assert (rod.model, rod.diameter_mm, rod.material) == ("own-rod", 6.0, "CoCrMo")
        assert min_bend_radius_mm(rod) >= 0.99 * OWN_ROD.min_bend_radius_mm
        assert rod_length_mm(rod) <= OWN_ROD.max_length_mm
    assert {link.model for link in plan.crosslinks} <= {"own-link"}


def test_a_catalogue_travels_as_text():
    assert catalogue_from_json(catalogue_to_json(own_catalogue())) == own_catalogue()


def test_plan_is_of_the_own_catalogue_alone(planned):
    assert {screw.model for screw in planned.screws} == {"own-screw"}
    assert len(planned.rods) == 2
    assert planned.crosslinks[0].diameter_mm == OWN_LINK.diameter_mm
    check_rods(planned)
    assert plan_from_json(plan_to_json(planned)) == planned


def test_overhang_is_the_models(planned):
    ends = [np.asarray(rod.control_points)[:2] for rod in planned.rods]
    assert [np.linalg.norm(b - a) for a, b in ends] == pytest.approx([OWN_ROD.overhang_mm] * 2)


def zigzag(step_mm: float = 14.0) -> Plan:
    """Screws whose entries jump sideways: a rod of 40 mm bend radius follows, a stiff one not."""
    plan, screws = construct_of_line(5), []
    for n, screw in enumerate(plan.screws):
        shift = np.array([step_mm * (n % 2), 0.0, 0.0])
        entry, tip = (tuple((np.asarray(p) + shift).tolist()) for p in (screw.entry, screw.tip))
        screws.append(replace(screw, entry=entry, tip=tip))
    return replace(plan, screws=tuple(screws))


def construct_of_line(count: int) -> Plan:
    from spinemar.planning.plans.plan import Screw

    return Plan(
        screws=tuple(
            Screw(f"s{n}", "", "left", (-15.0, -30.0, -30.0 * n), (-15.0, 10.0, -30.0 * n), 5.5,
                  40.0, model="own-screw")
            for n in range(count)
        )
    )  # fmt: skip


@pytest.mark.parametrize("radius_mm", [30.0, 60.0, 200.0])
def test_bend_radius_is_the_models(radius_mm):
    model = replace(OWN_ROD, min_bend_radius_mm=radius_mm)
    catalogue = replace(own_catalogue(), rods=(model,))
    made = contour_rod(zigzag().screws, catalogue, RodSettings("own-rod"))
    assert min_bend_radius_mm(made.rod) >= 0.98 * radius_mm


def test_a_rod_longer_than_it_is_sold_is_not_made():
    catalogue = replace(own_catalogue(), rods=(replace(OWN_ROD, max_length_mm=100.0),))
    plan = construct_of_line(5)  # 120 mm from the first screw to the last
    with pytest.raises(InputError, match="sold up to 100 mm"):
        contour_rod(plan.screws, catalogue, RodSettings("own-rod"))
    made = with_rods(plan, catalogue, RodSettings("own-rod"))
    assert not made.rods
    assert "sold up to 100 mm" in made.warnings[0]
    assert with_rods(construct_of_line(3), catalogue, RodSettings("own-rod")).rods


@pytest.mark.parametrize(
    ("rod", "word"),
    [
        (RodSettings("own-rod", diameter_mm=5.5), "not made with 5.5"),
        (RodSettings("own-rod", material="316L"), "material"),
        (RodSettings("generic-rod-straight"), "no rod"),
    ],
)
def test_what_a_rod_is_not_made_of_is_refused(column, rod, word):
    settings = replace(SETTINGS, rod=rod)
    with pytest.raises(InputError, match=word):
        plan_construct(column, None, "T12-L1", own_catalogue(), settings)


def test_every_step_after_the_plan_takes_the_same_catalogue(column, planned, tmp_path):
    catalogue = own_catalogue()
    varied = vary_plan(planned, catalogue, Spread(skipped_level=0.0, missing_screw=0.0), 3)
    check_rods(varied)
    assert {link.model for link in varied.crosslinks} == {"own-link"}
    find_collisions(planned, catalogue, column.labels)
    metals = voxelize_plan(planned, column.labels.geometry, catalogue)
    assert metals["CoCrMo"].any()
    assert len(export_stl(tmp_path, planned, catalogue)) == 6 + 2 + 1
    again = plan_with_alternatives(
        column, None, "T12-L2", catalogue, SETTINGS, locked=planned
    ).plan  # fmt: skip
    assert planned.screws[0].entry in [screw.entry for screw in again.screws]
    from_sites = construct_from_pedicles(
        sites_from_frames(column.vertebrae),
        catalogue,
        ConstructSettings("own-screw", with_crosslink=True, crosslink_model="own-link",
                          rod=RodSettings("own-rod")),
    )  # fmt: skip
    check_rods(from_sites)


def test_random_implants_are_of_the_own_catalogue():
    short = replace(OWN_ROD, max_length_mm=60.0, min_bend_radius_mm=20.0)
    catalogue = replace(own_catalogue(), rods=(short,))
    grid = GridGeometry((50, 100, 100), np.diag([2.0, 2.0, 2.0, 1.0]))
    for seed in range(20):
        plan = random_plan(grid, seed, catalogue, settings=RandomSettings(rods=(2, 2)))
        assert {rod.model for rod in plan.rods} == {"own-rod"}
        assert all(rod_length_mm(rod) <= 60.5 for rod in plan.rods)
        assert all(min_bend_radius_mm(rod) >= 20.0 for rod in plan.rods)


def test_plans_of_version_1_are_of_the_generic_models(planned):
    raw = json.loads(plan_to_json(planned))
    raw["version"] = 1
    for item in (*raw["rods"], *raw["crosslinks"]):
        del item["model"]
    old = plan_from_json(json.dumps(raw))
    assert {rod.model for rod in old.rods} == {"generic-rod-straight"}
    assert {link.model for link in old.crosslinks} == {"generic-crosslink"}
    assert plan_from_json(plan_to_json(old)) == old


@pytest.fixture(scope="module")
def ct(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    labels = phantom((1.4, 1.4, 2.0), None, "T12-L1").labels
    hu = np.where(labels.labels > 0, 300.0, 40.0).astype(np.float32)
    hu[:, :5], hu[:, 5:9] = -1000.0, -100.0
    from spinemar.volume import CTVolume

    write_volume(folder / "ct.nrrd", CTVolume(hu, labels.ijk_to_ras))
    write_labels(folder / "labels.nrrd", labels)
    return folder


OPTIONS = {
    "screws alone": ["--no-rods"],
    "rods": [],
    "own rod": ["--rod-model", "own-rod"],
    "own rod by size": ["--rod-model", "own-rod", "--rod-diameter", "6"],
    "crosslink": ["--crosslink"],
    "own crosslink": ["--crosslink", "--crosslink-model", "own-link", "--rod-model", "own-rod"],
    "cage": ["--cage", "T12=own-cage"],
    "another metal": ["--material", "CoCrMo", "--rod-model", "own-rod"],
}


@pytest.mark.parametrize("option", OPTIONS)
def test_command_line_plans_and_goes_on_with_the_own_catalogue(ct, own_file, tmp_path, option):
    from spinemar.cli.main import main

    out, words = tmp_path / "plan.json", OPTIONS[option]
    code = main(["plan", str(ct / "ct.nrrd"), "--labels", str(ct / "labels.nrrd"), "--levels",
                 "T12-L1", "--screw-model", "own-screw", "--catalogue", str(own_file), *words,
                 "-o", str(out), "--json"])  # fmt: skip
    assert code == 0
    plan = read_plan(out)
    assert {screw.model for screw in plan.screws} == {"own-screw"}
    assert len(plan.rods) == (0 if "--no-rods" in words else 2)
    if "own-rod" in words:
        check_rods(plan)
    assert len(plan.crosslinks) == ("--crosslink" in words)
    assert len(plan.cages) == ("--cage" in words)
    if option == "own crosslink":
        _goes_on_with(out, ct, own_file, tmp_path)


def _goes_on_with(out: Path, ct: Path, own_file: Path, tmp_path: Path) -> None:
    from spinemar.cli.main import main

    given = ["--catalogue", str(own_file), "--json"]
    for command in (
        ["grade", str(out), str(ct / "ct.nrrd"), "--labels", str(ct / "labels.nrrd")],
        ["voxelize", str(out), str(ct / "ct.nrrd"), "-o", str(tmp_path / "metal.nrrd")],
        ["simulate", str(ct / "ct.nrrd"), "--implants", str(out), "--slices", "30:31",
         "--without", "noise", "-o", str(tmp_path / "scan.nrrd")],
    ):  # fmt: skip
        assert main([*command, *given]) == 0, command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rod-model", "none"], "no rod"),
        (["--rod-model", "own-rod", "--rod-diameter", "5.5"], "not made with 5.5"),
        (["--crosslink", "--crosslink-model", "none"], "no crosslink"),
    ],
)
def test_what_the_catalogue_lacks_is_refused_early(ct, own_file, tmp_path, capfd, words, said):
    from spinemar.cli.main import main

    out = tmp_path / "plan.json"
    code = main(["plan", str(ct / "ct.nrrd"), "--levels", "T12-L1", "--catalogue", str(own_file),
                 *words, "-o", str(out)])  # fmt: skip
    assert code == 2
    assert said in capfd.readouterr().err
    assert not out.exists()
