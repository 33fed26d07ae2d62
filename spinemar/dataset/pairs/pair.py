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
from spinemar.dataset.sampling.anatomy import Tissue, sample_patient, scan_grid
from spinemar.dataset.sampling.anchors import draw_anchor, screws_at_levels
from spinemar.dataset.sampling.deformation import Deformation, draw_deformation
from spinemar.dataset.sampling.patients import Patient
from spinemar.dataset.sampling.pelvis import moved_way
from spinemar.dataset.sampling.placement import (
    Placed,
    draw_from_plan,
    draw_height,
    draw_random,
    draw_realistic,
    plan_facts,
)
from spinemar.dataset.sampling.protocol import (
    ScanProtocol,
    can_be_seen_through,
    draw_protocol,
    thickest_path,
)
from spinemar.errors import FaultError
from spinemar.implants.voxelize import voxelize_plan
from spinemar.physics.materials import METALS, STORED_METALS
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.planning.plans.plan_json import plan_to_json

__all__ = ["FIELDS", "Pair", "make_pair"]

_ATTEMPTS = 60
_HEIGHTS = 12
_LEAST_METAL_MM2 = 4.0
_LEAST_IN_FIELD = 0.9
_BELOW_END_HU = 71.0  # no threshold lies in the last steps of a scale, where nothing is above it
_REACH_MM = ((0.0, 0.0), (60.0, 0.0), (-60.0, 0.0), (0.0, 90.0), (0.0, -60.0))


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


@dataclass(frozen=True)
class _Case:
    """A patient with implants before the scan."""

    patient: Patient
    deformation: Deformation
    placed: Placed
    protocol: ScanProtocol
    tissue: Tissue
    z_mm: float
    edge: bool
    scan_seed: int
    threshold_hu: float | None
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
        case = _draw_case(patients, settings, rng)
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


def _around(case: _Case, settings: PairSettings) -> Surroundings | None:
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


def _draw_case(
    patients: Sequence[Patient], settings: PairSettings, rng: np.random.Generator
) -> _Case | None:
    """Draw everything about a pair; None where it does not fit the CT."""
    anchor = draw_anchor(patients, settings, rng)
    patient, pivot = anchor.patient, anchor.point
    realistic = bool(rng.random() < settings.realistic_share)
    kind = rng.random()
    edge = bool(kind < settings.edge_share)
    mild = bool(settings.edge_share <= kind < settings.edge_share + settings.mild_share)
    deformation = draw_deformation(pivot, settings, rng)
    spine = deformation.to_new(pivot)
    placed: Placed | None
    if not realistic:
        placed = draw_random(spine, patient.catalogue, mild, rng)
    elif patient.plan is not None:
        placed = draw_from_plan(patient.plan, deformation, patient.catalogue, mild, rng)
    else:
        sites = [deformation.moved_site(site) for site in patient.sites]
        ways = [moved_way(way, deformation) for way in patient.ways]
        placed = draw_realistic(sites, anchor.level, patient.catalogue, settings, mild, rng, ways)
    if placed is None:
        return None
    protocol = draw_protocol(patient, deformation, spine, settings, mild, rng)
    z_mm = _fitting_height(placed, patient, deformation, protocol, edge, rng)
    if z_mm is None:
        return None
    tissue = Tissue(rng.uniform(*settings.bone_density), rng.normal(scale=8.0))
    return _Case(
        patient,
        deformation,
        placed,
        protocol,
        tissue,
        z_mm,
        edge,
        int(rng.integers(2**31)),
        _draw_threshold(protocol, settings, rng),
        {"anchor": anchor.level, "slice_level": _level_at(patient, deformation, z_mm)},
    )


def _draw_threshold(
    protocol: ScanProtocol, settings: PairSettings, rng: np.random.Generator
) -> float | None:
    """Draw a threshold that the scale of the scan reaches, None for finding metal by itself."""
    automatic, drawn = rng.random() < settings.automatic_share, rng.uniform(*settings.threshold_hu)
    if automatic:
        return None
    end = float(stored_hu(np.array(np.inf), protocol.settings.hu_scale))
    return float(min(drawn, end - _BELOW_END_HU))


def _level_at(patient: Patient, deformation: Deformation, z_mm: float) -> str:
    """Name the vertebra whose body lies nearest to a height."""
    levels = [(site.level, site.body_centre) for site in patient.sites]
    if patient.plan is not None:
        levels += screws_at_levels(patient.plan)
    heights = deformation.to_new(np.array([point for _, point in levels]))[:, 2]
    return levels[int(np.argmin(np.abs(heights - z_mm)))][0]


def _fitting_height(
    placed: Placed,
    patient: Patient,
    deformation: Deformation,
    protocol: ScanProtocol,
    edge: bool,
    rng: np.random.Generator,
) -> float | None:
    """Draw slices through the metal whose tissue comes from clean slices of the CT."""
    low, high = patient.clean_mm
    half = protocol.spacing_mm + protocol.slice_mm / 2
    for _ in range(_HEIGHTS):
        z = draw_height(placed.plan, edge, rng)
        centre = np.array([deformation.pivot[0], deformation.pivot[1]])
        corners = np.array(
            [[*(centre + shift), z + step] for shift in _REACH_MM for step in (-half, half)]
        )
        heights = deformation.to_source(corners)[:, 2]
        if low <= heights.min() and heights.max() <= high:
            return z
    return None


def _layers(case: _Case, settings: PairSettings) -> tuple[float, list[list[Layer]]]:
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


def _holds_metal(slices: list[list[Layer]], pixel_mm: float, case: _Case) -> bool:
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
    case: _Case,
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
