"""One pair from a seed: anatomy, implants, scan, correction by the classics, both domains.

A pair is a pure function of the patients, the settings, the seed and its own number, so any
worker can make any pair, and make it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.pair_settings import N_SLICES, PairSettings
from spinemar.dataset.pairs.case import Case, draw_case
from spinemar.dataset.pairs.domains import (
    FIELDS,
    MetalSearch,
    PairArrays,
    post_pair,
    raw_pair,
)
from spinemar.dataset.pairs.encoding import encode_fractions
from spinemar.dataset.pairs.exposure import Layer, measure
from spinemar.dataset.pairs.surroundings import Surroundings, surroundings
from spinemar.dataset.pairs.true_metal import true_metal
from spinemar.dataset.pairs.worth import found_facts, why_worthless
from spinemar.dataset.sampling.anatomy import sample_patient, scan_grid
from spinemar.dataset.sampling.patients import Patient
from spinemar.dataset.sampling.placement import plan_facts
from spinemar.dataset.sampling.protocol import can_be_seen_through, thickest_path
from spinemar.errors import FaultError
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import METALS, STORED_METALS
from spinemar.planning.plans.plan_json import plan_to_json

__all__ = ["FIELDS", "Pair", "make_pair"]

_ATTEMPTS = 60
_LEAST_METAL_MM2 = 4.0
_LEAST_IN_FIELD = 0.9


@dataclass(frozen=True)
class Pair:
    """A training pair.

    Parameters
    ----------
    arrays : dict of str to ndarray
        As stored, see `domains.FIELDS`.
    row : dict
        Its row of the sidecar table: everything needed to make it again, and what was
        measured on it.
    """

    arrays: dict[str, NDArray[Any]]
    row: dict[str, Any]


def make_pair(patients: Sequence[Patient], settings: PairSettings, seed: int, index: int) -> Pair:
    """Make the pair of that number.

    Parameters
    ----------
    patients : sequence of Patient
        Order matters.
    settings : PairSettings
    seed : int
        Of the data set.
    index : int
        Number of the pair.

    Raises
    ------
    FaultError
        If no attempt gave a slice with metal, and a pair worth having.
    """
    worthless: list[str] = []
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, index, attempt])
        case = draw_case(patients, settings, rng)
        if case is None:
            continue
        pixel_mm, slices = _layers(case, settings)
        if not _holds_metal(slices, pixel_mm, case):
            continue
        path = thickest_path(slices[1][0].hu, pixel_mm)
        if not can_be_seen_through(path):
            continue
        case = replace(case, protocol=case.protocol.exposed_for(path))
        measured = measure(slices, pixel_mm, case.protocol.settings, case.scan_seed)
        finish = raw_pair if case.protocol.domain == "raw" else post_pair
        search = MetalSearch(case.threshold_hu, _around(case, settings))
        made = finish(measured, case.protocol, settings, search)
        if made is None:
            worthless.append("metal not found")
            continue
        true = true_metal(
            case.placed.plan, case.patient.catalogue, case.protocol, case.z_mm, settings.matrix
        )
        facts = {**made.facts, **_found(made, true)}
        if reason := why_worthless(facts, settings):
            worthless.append(reason)
            continue
        arrays = {**made.arrays, "metal_fraction": encode_fractions(true)}
        facts["drawn_anew"] = worthless
        return Pair(arrays, _row(case, facts, slices, [seed, index, attempt], true))
    why = ", ".join(sorted(set(worthless)))
    raise FaultError(
        f"No metal could be placed for pair {index}{f' ({why})' if why else ''}.",
        "Check that the CTs' clean range holds vertebrae, and the settings.",
    )


def _around(case: Case, settings: PairSettings) -> Surroundings | None:
    """Draw the slab around, where metal is found by itself; a threshold needs none."""
    if case.threshold_hu is not None:
        return None
    return surroundings(
        case.patient,
        case.deformation,
        case.tissue,
        case.placed.plan,
        case.protocol,
        case.z_mm,
        settings.matrix,
        settings.slab_mm,
    )


def _found(made: PairArrays, true: NDArray[np.float32]) -> dict[str, float]:
    middle = N_SLICES // 2
    found = np.asarray(made.arrays["metal"][middle])
    return found_facts(found, true[middle].sum(axis=0), made.facts["pixel_mm"])


def _layers(case: Case, settings: PairSettings) -> tuple[float, list[list[Layer]]]:
    """Sample the patient and voxelise the implants: layers of each slice, and their pixel."""
    protocol = case.protocol
    size = int(np.ceil(protocol.scan_fov_mm / settings.anatomy_mm))
    pixel_mm = protocol.scan_fov_mm / size
    layer_mm = protocol.slice_mm / protocol.layers
    per_layer = int(np.clip(round(layer_mm / 0.8), 1, 3))
    slices = []
    for step in range(-(N_SLICES // 2), N_SLICES // 2 + 1):
        z = case.z_mm + step * protocol.spacing_mm
        grid = scan_grid(protocol.isocentre_ras, z, size, pixel_mm, protocol.layers, layer_mm)
        hu = case.tissue.applied(sample_patient(case.patient, case.deformation, grid, per_layer))
        implants = voxelize_plan(case.placed.plan, grid, case.patient.catalogue)
        slices.append(
            [
                Layer(hu[k], {name: share[k] for name, share in implants.items()})
                for k in range(protocol.layers)
            ]
        )
    return pixel_mm, slices


def _holds_metal(slices: list[list[Layer]], pixel_mm: float, case: Case) -> bool:
    """Whether the middle slice holds enough metal to be found, and the image nearly all of it."""
    middle, protocol = slices[len(slices) // 2], case.protocol
    shares = [share for layer in middle for name, share in layer.implants.items() if name in METALS]
    if not shares:
        return False
    metal = np.sum(shares, axis=0)
    # Places in the scanned square, as the image's middle sees them: columns run to the left and
    # rows to the back.
    places = (np.arange(len(metal)) - (len(metal) - 1) / 2) * pixel_mm
    off = np.subtract(protocol.isocentre_ras, protocol.image_centre_ras)
    columns, rows = (np.abs(places - each) < protocol.fov_mm / 2 for each in off)
    shown, total = float(metal[np.ix_(rows, columns)].sum()), float(metal.sum())
    least = _LEAST_METAL_MM2 / (2.0 if case.placed.mild else 1.0)
    enough = shown / len(middle) * pixel_mm**2 >= least
    return enough and shown >= _LEAST_IN_FIELD * total


def _row(
    case: Case,
    facts: dict[str, Any],
    slices: list[list[Layer]],
    seeds: list[int],
    true: NDArray[np.float32],
) -> dict[str, Any]:
    protocol = case.protocol
    area_mm2 = true.sum(axis=(2, 3)) * facts["pixel_mm"] ** 2
    return {
        "index": seeds[1],
        "ct": case.patient.name,
        "patient": case.patient.patient,
        "split": case.patient.split,
        "domain": protocol.domain,
        "placement": case.placed.kind,
        "case": "mild" if case.placed.mild else "edge" if case.edge else "usual",
        "seeds": seeds,
        "scan_seed": case.scan_seed,
        "z_mm": case.z_mm,
        **case.row,
        "threshold_hu": case.threshold_hu,
        "materials": _materials(slices),
        "metal_mm2": {
            name: area_mm2[:, n].tolist()
            for n, name in enumerate(STORED_METALS)
            if area_mm2[:, n].any()
        },
        **plan_facts(case.placed.plan),
        **facts,
        **protocol.facts(),
        "anatomy": {
            **case.deformation.facts,
            "bone_density": case.tissue.bone_density,
            "soft_shift_hu": case.tissue.soft_shift_hu,
        },
        "plan": json.loads(plan_to_json(case.placed.plan)),
    }


def _materials(slices: list[list[Layer]]) -> list[str]:
    """Name the materials that the slices hold."""
    shares = [item for layers in slices for layer in layers for item in layer.implants.items()]
    return sorted({name for name, share in shares if share.any()})
