"""Catalogues: the shipped ones, the users' own, and what they may not hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spinemar.errors import InputError
from spinemar.implants import catalogue as module
from spinemar.implants.catalogue import load_catalogue

ROOT = Path(__file__).resolve().parents[3]
RESOURCES = ROOT / "Resources" / "Implants"
SHIPPED = Path(module.__file__).with_name("catalogue.json")


def test_sizes_are_those_of_the_design():
    screw = load_catalogue().screw("generic-polyaxial")
    assert (min(screw.diameters_mm), max(screw.diameters_mm)) == (4.0, 7.5)
    assert (min(screw.lengths_mm), max(screw.lengths_mm)) == (25.0, 60.0)
    for model in load_catalogue().screws:
        assert 0.6 <= model.thread.core_ratio <= 0.75
        # Small screws of the neck have finer threads.
        finest, coarsest = (1.0, 2.0) if model.place == "lateral mass" else (2.0, 4.0)
        assert finest <= model.thread.pitch_mm <= coarsest
        assert max(model.lengths_mm) > max(model.diameters_mm)  # never swapped
        assert (model.head.cone_deg == 0.0) == (model.kind == "monoaxial")
    assert set(load_catalogue().rods[0].diameters_mm) == {5.5, 6.0, 6.35}


@pytest.mark.parametrize("path", [SHIPPED, RESOURCES / "example_catalogue.json"])
def test_catalogues_follow_the_schema(path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((RESOURCES / "schema" / "catalogue.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(path.read_text()), schema)


def test_plans_follow_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    import numpy as np

    from spinemar.planning.plans.plan_json import plan_to_json
    from spinemar.planning.sampling.random_plan import random_plan
    from spinemar.volume import GridGeometry

    schema = json.loads((RESOURCES / "schema" / "plan.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    grid = GridGeometry((50, 100, 100), np.diag([2.0, 2.0, 2.0, 1.0]))
    for seed in range(20):
        raw = json.loads(plan_to_json(random_plan(grid, seed, load_catalogue())))
        jsonschema.validate(raw, schema)
        raw["screws"].append({"id": "half"})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(raw, schema)


def test_a_catalogue_of_ones_own_stands_beside_the_generic_one():
    both = load_catalogue(RESOURCES / "example_catalogue.json")
    assert both.screw("our-polyaxial").diameters_mm == (5.5, 6.5, 7.5)
    assert both.screw("generic-polyaxial") == load_catalogue().screw("generic-polyaxial")
    assert both.rod("our-rod").materials == ("CoCrMo",)


def test_a_model_of_the_same_id_replaces_the_generic_one(tmp_path):
    raw = json.loads(SHIPPED.read_text())
    raw["screws"] = raw["screws"][:1]
    raw["screws"][0]["diameters_mm"] = [9.0]
    path = tmp_path / "own.json"
    path.write_text(json.dumps(raw))
    both = load_catalogue(path)
    assert both.screw("generic-polyaxial").diameters_mm == (9.0,)
    assert len(both.screws) == len(load_catalogue().screws)


def test_sizes_are_chosen_from_below():
    screw = load_catalogue().screw("generic-polyaxial")
    assert screw.diameter_for(6.4) == 6.0
    assert screw.diameter_for(6.5) == 6.5
    assert screw.diameter_for(3.9) is None
    assert screw.length_for(44.9) == 40.0
    assert screw.length_for(10.0) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: s.update(diameters_mm=[45.0, 50.0]), "between"),
        (lambda s: s.update(diameters_mm=[6.0, 5.0]), "rising"),
        (lambda s: s.update(diameters_mm=[]), "missing"),
        (lambda s: s.update(kind="hexaxial"), "kind"),
        (lambda s: s.update(materials=["wood"]), "material"),
        (lambda s: s.update(head_material="wood"), "material"),
        (lambda s: s["thread"].update(core_ratio=1.5), "core"),
        (lambda s: s["thread"].pop("pitch_mm"), "lacks"),
        (lambda s: s["head"].update(slot_mm=13.9), "slot"),
        (lambda s: s.update(price=3), "unknown"),
    ],
)
def test_absurd_models_are_refused(tmp_path, change, word):
    raw = json.loads(SHIPPED.read_text())
    change(raw["screws"][0])
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(InputError, match=word):
        load_catalogue(path)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "spinemar-catalogue", "version": 7}', "{}"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError):
        load_catalogue(path)
    with pytest.raises(InputError):
        load_catalogue(tmp_path / "none.json")


def test_unknown_models_are_named_with_what_there_is():
    with pytest.raises(InputError, match="no screw") as caught:
        load_catalogue().screw("acme-9000")
    assert "generic-polyaxial" in caught.value.remedy
