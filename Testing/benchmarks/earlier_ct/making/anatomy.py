"""The patient before and after the operation, on the grids of both scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spinemar_study.scenes.lesions import Lesion
from spinemar_study.scenes.scenes import Scene

from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan
from spinemar.volume import CTVolume, GridGeometry, LabelVolume
from Testing.benchmarks.earlier_ct.making import operation
from Testing.benchmarks.earlier_ct.making.pair import Finding
from Testing.benchmarks.earlier_ct.making.patients import CleanPatient

_PLANE_MM, _WINDOW_MM = 1.5, 75.0
_ARCH_SHARE, _NEW_FINDINGS = 0.7, 2
_SEEN_HU = 1.0


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What happened to a patient.

    Parameters
    ----------
    before : CTVolume
        On the patient's own grid, with the old finding.
    later : CTVolume
        On the grid of the scan with metal, operated.
    labels : ndarray of int16
        Vertebrae there, VerSe numbers.
    removed : ndarray of float32
        HU that the operation took away there, and no new finding took the place of.
    findings : tuple of Finding
    """

    before: CTVolume
    later: CTVolume
    labels: NDArray[np.int16]
    removed: NDArray[np.float32]
    findings: tuple[Finding, ...]


def operate(
    patient: CleanPatient,
    levels: Sequence[str],
    plan: Plan,
    grid: GridGeometry,
    rng: np.random.Generator,
) -> Anatomy:
    """Add an old finding, take the arch away in most patients, add new findings.

    Parameters
    ----------
    patient : CleanPatient
    levels : sequence of str
        Instrumented; findings lie at one of them.
    plan : Plan
    grid : GridGeometry
        Of the scan with metal, on the patient's pixels.
    rng : numpy.random.Generator
    """
    planes = max(1, round(grid.spacing_mm[2] / _PLANE_MM))
    level = str(rng.choice(list(levels)))
    draw = operation.OLD[int(rng.integers(len(operation.OLD)))]
    before, old = _with(patient.volume, draw, patient, level, plan, rng)
    intact = operation.resampled(before, grid, planes)
    there = intact - operation.resampled(patient.volume, grid, planes)
    findings = [Finding(old.kind, False, there)]
    later, removed = CTVolume(intact, grid.ijk_to_ras), np.zeros(grid.shape, np.float32)
    if rng.random() < _ARCH_SHARE:
        opened = operation.bed(before, _arches(patient, levels), rng)
        later = later.with_hu(operation.resampled(opened, grid, planes))
        removed = np.asarray(intact - later.hu, np.float32)
    for n in rng.permutation(len(operation.NEW))[:_NEW_FINDINGS]:
        changed, new = _with(later, operation.NEW[int(n)], patient, level, plan, rng)
        contrast = changed.hu - later.hu
        removed[np.abs(contrast) > _SEEN_HU] = 0.0
        findings.append(Finding(new.kind, True, contrast))
        later = changed
    return Anatomy(before, later, _on_grid(patient.labels, grid), removed, tuple(findings))


def _with(
    volume: CTVolume,
    draw: operation.DrawLesion,
    patient: CleanPatient,
    level: str,
    plan: Plan,
    rng: np.random.Generator,
) -> tuple[CTVolume, Lesion]:
    """Put a finding at a level into a volume."""
    sites = {site.side: site for site in patient.sites if site.level == level}
    part, (rows, columns) = operation.window(volume, sites["left"].body_centre, _WINDOW_MM)
    # A finding asks for no scanner and no seed.
    scene = Scene(patient.name, part, plan, level, sites, ScannerSettings(), 0, {})
    lesion = draw(scene, rng)
    hu = volume.hu.copy()
    hu[:, rows, columns] = lesion.applied(hu[:, rows, columns])
    return volume.with_hu(hu), lesion


def _arches(patient: CleanPatient, levels: Sequence[str]) -> NDArray[np.bool_]:
    gone = np.zeros(patient.labels.labels.shape, bool)
    for level in levels:
        site = next(site for site in patient.sites if site.level == level)
        gone |= operation.removed_arch(patient.labels, level, site, patient.canal[level])
    return gone


def _on_grid(labels: LabelVolume, grid: GridGeometry) -> NDArray[np.int16]:
    """Nearest slice; the pixels are the same."""
    heights = grid.ijk_to_ras[2, 3] + grid.ijk_to_ras[2, 2] * np.arange(grid.shape[0])
    at = (heights - labels.ijk_to_ras[2, 3]) / labels.ijk_to_ras[2, 2]
    chosen = np.clip(np.rint(at).astype(int), 0, len(labels.labels) - 1)
    return np.asarray(labels.labels[chosen], np.int16)
