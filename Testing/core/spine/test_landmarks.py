"""The hand-checked landmarks are anatomically possible, whatever the CT."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "Resources" / "Landmarks"
SCHEMA = FOLDER / "schema" / "landmarks.schema.json"
CT_FOLDER = Path(os.environ.get("SPINEMAR_CT_DATA") or ROOT.parent / "shared" / "data" / "ct")
FILES = sorted(FOLDER.glob("*.json"))
ORDER = (
    [f"C{n}" for n in range(1, 8)]
    + [f"T{n}" for n in range(1, 13)]
    + [f"L{n}" for n in range(1, 6)]
)
SPLIT = {
    "lidc0314_lower": "training",
    "crlm_1004": "training",
    "acrin_flt_breast_001_abd": "training",
    "lungfcp_01_0001": "training",
    "crlm_1006": "validation",
    "lidc_idri_0001": "test",
    "cmb_crc_01068": "test",
}


def _load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _vertebrae():
    return [
        pytest.param(v, id=f"{path.stem}-{v['level']}")
        for path in FILES
        for v in _load(path)["vertebrae"]
    ]


def _points(vertebra):
    out = {k: np.array(vertebra[f"{k}_ras"]) for k in ("body_centre", "canal_centre")}
    for side, pedicle in vertebra["pedicles"].items():
        for k in ("isthmus", "entry"):
            out[f"{side}_{k}"] = np.array(pedicle[f"{k}_ras"])
    return out


def _axes(p):
    """Right, forward and up of the plane through both pedicles."""
    right = p["right_isthmus"] - p["left_isthmus"]
    right /= np.linalg.norm(right)
    forward = sum(p[f"{s}_isthmus"] - p[f"{s}_entry"] for s in ("left", "right"))
    forward -= right * (forward @ right)
    forward /= np.linalg.norm(forward)
    return right, forward, np.cross(right, forward)


def test_every_ct_of_the_split_has_its_file():
    assert {p.stem for p in FILES} == set(SPLIT)
    for path in FILES:
        data = _load(path)
        assert data["ct"] == path.stem
        assert data["split"] == SPLIT[path.stem]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_follows_the_schema(path):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(_load(path), _load(SCHEMA))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_levels_follow_each_other_downward_at_plausible_spacing(path):
    vertebrae = _load(path)["vertebrae"]
    numbers = [ORDER.index(v["level"]) for v in vertebrae]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for upper, lower in pairwise(vertebrae):
        for key in ("body_centre_ras", "canal_centre_ras"):
            step = np.array(upper[key]) - np.array(lower[key])
            assert step[2] > 0
            assert 15 < np.linalg.norm(step) < 45


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_vertebrae_grow_downward(path):
    vertebrae = _load(path)["vertebrae"]
    bodies = np.array([v["body_centre_ras"] for v in vertebrae])
    steps = np.linalg.norm(np.diff(bodies, axis=0), axis=1)
    # The measuring error of a step is about two slices, so only the trend is asked for.
    assert np.polyfit(np.arange(len(steps)), steps, 1)[0] > 0


@pytest.mark.parametrize("vertebra", _vertebrae())
def test_left_is_left_and_the_canal_lies_between(vertebra):
    p = _points(vertebra)
    right, _, _ = _axes(p)
    assert p["left_isthmus"][0] < p["canal_centre"][0] < p["right_isthmus"][0]
    assert p["left_entry"][0] < p["right_entry"][0]
    offsets = {s: (p[f"{s}_isthmus"] - p["canal_centre"]) @ right for s in ("left", "right")}
    assert 7 < offsets["right"] < 25
    assert -25 < offsets["left"] < -7
    assert abs(offsets["right"] + offsets["left"]) < 5


@pytest.mark.parametrize("vertebra", _vertebrae())
def test_entry_lies_behind_isthmus_and_canal_behind_body(vertebra):
    p = _points(vertebra)
    _, forward, up = _axes(p)
    for side in ("left", "right"):
        step = p[f"{side}_isthmus"] - p[f"{side}_entry"]
        assert 5 < step @ forward < 22
        assert abs(step @ up) < 5
        assert 3 < vertebra["pedicles"][side]["width_mm"] < 15
    assert 12 < (p["body_centre"] - p["canal_centre"]) @ forward < 32
    # The pedicles spring from the upper half of the body in the thoracic and lumbar spine.
    pedicles = (p["left_isthmus"] + p["right_isthmus"]) / 2
    assert -3 < (pedicles - p["body_centre"]) @ up < 14


@pytest.mark.parametrize("vertebra", _vertebrae())
def test_pedicles_converge_as_much_as_anatomy_allows(vertebra):
    p = _points(vertebra)
    right, forward, _ = _axes(p)
    angles = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        axis = p[f"{side}_isthmus"] - p[f"{side}_entry"]
        angles[side] = np.degrees(np.arctan2(sign * axis @ right, axis @ forward))
    mean = (angles["left"] + angles["right"]) / 2
    limits = {"T1": (12, 35), "L4": (10, 25), "L5": (15, 35)}.get(vertebra["level"], (0, 25))
    assert limits[0] <= mean <= limits[1]


@pytest.mark.shared_data
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_points_lie_on_what_they_name(path):
    data = _load(path)
    ct = CT_FOLDER / data["file"]
    if not ct.exists():
        pytest.skip(f"{data['file']} is not among the developers' CTs here")
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(ct))
    assert list(image.GetSize()) == data["shape_ijk"]
    np.testing.assert_allclose(image.GetSpacing(), data["spacing_mm"], atol=2e-3)
    hu = sitk.GetArrayFromImage(image)

    def ball(point, radius):
        lps = [-point[0], -point[1], point[2]]
        centre = np.array(image.TransformPhysicalPointToContinuousIndex([float(c) for c in lps]))
        reach = np.ceil(radius / np.array(image.GetSpacing()))
        low = np.maximum(np.round(centre - reach), 0).astype(int)
        high = np.round(centre + reach).astype(int) + 1
        return hu[low[2] : high[2], low[1] : high[1], low[0] : high[0]]

    for vertebra in data["vertebrae"]:
        p = _points(vertebra)
        assert np.median(ball(p["canal_centre"], 3)) < 120
        assert np.median(ball(p["body_centre"], 6)) > 60
        for side in ("left", "right"):
            assert ball(p[f"{side}_isthmus"], 4).max() > 300
            entry = ball(p[f"{side}_entry"], 4)
            assert entry.max() > 250
            assert entry.min() < 150


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "endplates").glob("*.json")), ids=lambda p: p.stem
)
def test_endplates_lie_at_their_vertebrae(path):
    document = _load(path)
    assert document["schema"] == "spinemar-endplates/1"
    assert document["split"] == SPLIT[document["ct"]]
    assert document["how"]
    centres = {
        v["level"]: np.array(v["body_centre_ras"])
        for v in _load(FOLDER / f"{document['ct']}.json")["vertebrae"]
    }
    for vertebra in document["vertebrae"]:
        middles = {}
        for name in {"superior", "inferior"} & set(vertebra):
            back, front = (
                np.array(vertebra[name][f"{end}_ras"]) for end in ("posterior", "anterior")
            )
            assert back[0] == front[0]  # one sagittal plane
            assert 15 < np.linalg.norm(front - back) < 45
            assert front[1] > back[1] + 8
            middles[name] = (front + back) / 2
            if vertebra["level"] in centres:
                gap = np.linalg.norm(middles[name] - centres[vertebra["level"]])
                assert 6 < gap < 22
        if len(middles) == 2:
            assert 10 < middles["superior"][2] - middles["inferior"][2] < 36
