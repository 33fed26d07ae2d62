"""What is drawn of a pair before anything is scanned: patient, shape, implants, scanner, height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.anatomy import Tissue
from spinemar.dataset.sampling.anchors import draw_anchor, screws_at_levels
from spinemar.dataset.sampling.deformation import Deformation, FloatArray, draw_deformation
from spinemar.dataset.sampling.patients import Patient
from spinemar.dataset.sampling.pelvis import moved_way
from spinemar.dataset.sampling.placement import (
    Placed,
    draw_from_plan,
    draw_height,
    draw_random,
    draw_realistic,
)
from spinemar.dataset.sampling.protocol import ScanProtocol, draw_protocol
from spinemar.physics.scans.stored_values import stored_hu

_HEIGHTS = 12
_BELOW_END_HU = 71.0  # no threshold lies in the last steps of a scale, where nothing is above it
_REACH_MM = ((0.0, 0.0), (60.0, 0.0), (-60.0, 0.0), (0.0, 90.0), (0.0, -60.0))


@dataclass(frozen=True)
class Case:
    """A patient with implants before the scan.

    Parameters
    ----------
    patient : Patient
    deformation : Deformation
    placed : Placed
    protocol : ScanProtocol
    tissue : Tissue
    z_mm : float
        Height of the middle slice in the new patient.
    edge : bool
        Whether that is an end of the metal.
    scan_seed : int
        Of the scan's noise.
    threshold_hu : float or None
        Metal is found above it; None finds it by itself.
    row : dict
        What the pair's row says of the draw.
    """

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


def draw_case(
    patients: Sequence[Patient], settings: PairSettings, rng: np.random.Generator
) -> Case | None:
    """Draw everything about a pair; None where it does not fit the CT.

    Parameters
    ----------
    patients : sequence of Patient
    settings : PairSettings
    rng : numpy.random.Generator
        New from the pair's seeds: the same seeds draw the same case.
    """
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
    return Case(
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


def moved_levels(patient: Patient, deformation: Deformation) -> tuple[list[str], FloatArray]:
    """Return names and places (n, 3), RAS mm of the new patient, of all that marks a vertebra."""
    levels = [(site.level, site.body_centre) for site in patient.sites]
    if patient.plan is not None:
        levels += screws_at_levels(patient.plan)
    return [name for name, _ in levels], deformation.to_new(np.array([at for _, at in levels]))


def _level_at(patient: Patient, deformation: Deformation, z_mm: float) -> str:
    """Name the vertebra whose body lies nearest to a height."""
    names, places = moved_levels(patient, deformation)
    return names[int(np.argmin(np.abs(places[:, 2] - z_mm)))]


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
