"""What the network that fuses the earlier CT learns from: slices of the training patients.

As the judge's pairs are made, but on other patients, and cheaper: a few slices with metal alone,
and an earlier CT that is not registered but lies where a registration would leave it, each
vertebra off by tenths of a millimetre to two millimetres, soft tissue by more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.mar.correct import correct_volume
from spinemar.mar.earlier.candidates import PIXEL_MM, Candidate, candidates
from spinemar.mar.earlier.fusion import NONE_MM, Earlier
from spinemar.mar.inpainters.learned.inpainter import LearnedInpainter
from spinemar.mar.inpainters.learned.pictures import PriorPictures
from spinemar.mar.inpainters.learned.resample import window_around
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.physics.scanner import simulate_scan
from spinemar.volume import GridGeometry
from Testing.benchmarks.earlier_ct.making.anatomy import Anatomy, operate
from Testing.benchmarks.earlier_ct.making.earlier import (
    body_width_mm,
    draw_protocol,
    plane_of,
    read_out,
    without_surroundings,
)
from Testing.benchmarks.earlier_ct.making.pairs import around, drawn_plan, scan_grid
from Testing.benchmarks.earlier_ct.making.patients import SPLITS, CleanPatient, load_patient
from Testing.benchmarks.earlier_ct.making.posture import draw_residuals
from Testing.benchmarks.earlier_ct.making.scanning import draw_scanner, with_metal
from Testing.benchmarks.earlier_ct.making.specs import PairSpec

PATIENTS = ("lidc0314_lower", "acrin_flt_breast_001_abd", "crlm_1004", "lungfcp_01_0001")
LESSONS = "lessons"
"""Folder of the lessons."""
_METALS = ("Ti-6Al-4V", "316L", "CoCrMo", "316L", "Ti-6Al-4V")
_SLICES_MM = (2.5, 5.0, 3.0, 2.0, 4.0, 1.25, 2.5)
_SLICES, _DRAWS = 6, 3
_MULTIPLE = 32
_CHANGED_HU = 80.0
_EXTENDED_SHARE, _BESIDE_MM = 0.25, 12.0


def make_lessons(patient: str, numbers: Sequence[int], output: Path, home: Path) -> Iterator[str]:
    """Make the lessons of one patient that are not there yet, a file each; yields names.

    Raises
    ------
    InputError
        If the patient judges.
    """
    if patient in SPLITS:
        raise InputError(
            f"{patient} is a patient of the {SPLITS[patient]}: nothing learns from it.",
            f"Choose one of {', '.join(PATIENTS)}.",
        )
    output.mkdir(parents=True, exist_ok=True)
    whole = load_patient(patient, home)
    for number in numbers:
        path = output / f"{patient}-{number:03d}.npz"
        if not path.is_file():
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **_lesson(_spec(patient, number), whole))
        yield path.stem


def _spec(patient: str, number: int) -> PairSpec:
    metal, thick = _METALS[number % len(_METALS)], _SLICES_MM[number % len(_SLICES_MM)]
    return PairSpec(f"lesson-{patient}-{number}", "own", patient, number, metal, thick)


def _lesson(spec: PairSpec, whole: CleanPatient) -> Mapping[str, NDArray[Any]]:
    rng = np.random.default_rng(spec.seed)
    choices = whole.neighbours()
    levels = choices[int(rng.integers(len(choices)))]
    sites = [s for s in whole.sites if s.level in levels]
    patient, (low, high) = around(whole, sites)
    thick = max(spec.slice_mm, patient.volume.spacing_mm[2] / 2)
    grid = scan_grid(patient.volume, low, high, thick)
    plan = drawn_plan(spec, sites, rng)
    scanner = draw_scanner(rng)
    if rng.random() < _EXTENDED_SHARE:
        scanner = replace(scanner, hu_scale="extended")
    anatomy = operate(patient, levels, plan, grid, rng)
    implants = voxelize_plan(plan, grid, load_catalogue())
    first, last = with_metal(anatomy.later, implants)
    start = int(rng.integers(first, max(first, last - _SLICES) + 1))
    part = slice(start, min(start + _SLICES, last))
    made = simulate_scan(anatomy.later, implants, scanner, spec.seed, slices=part)
    assert made.truth is not None
    notes = _Notes(_laid(patient, anatomy, grid, part, rng), made.truth.hu, _changed(anatomy, part))
    inpainter = make_inpainter("generator", None, "cpu")
    assert isinstance(inpainter, LearnedInpainter)
    taking = inpainter.with_pictures(_TakingNotes(inpainter.pictures, notes))
    correct_volume(made.volume, inpainter=taking, threads=1)
    return {f"slice_{n}": row for n, row in enumerate(notes.rows)}


def _changed(anatomy: Anatomy, part: slice) -> NDArray[np.bool_]:
    """Where scans before and after the operation differ."""
    change = np.abs(anatomy.removed[part])
    for one in anatomy.findings:
        if one.new:
            change = change + np.abs(one.contrast[part])
    return np.asarray(change > _CHANGED_HU)


def _laid(
    patient: CleanPatient,
    anatomy: Anatomy,
    grid: GridGeometry,
    part: slice,
    rng: np.random.Generator,
) -> list[NDArray[np.float32]]:
    """Draw earlier CTs as they lie after a registration, each of the slices' shape."""
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] = grid.to_ras(np.array([0.0, 0.0, float(part.start)]))
    here = GridGeometry((part.stop - part.start, *grid.shape[1:]), affine)
    ends = here.to_ras(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, here.shape[0] - 1.0]]))[:, 2]
    near = replace(patient, volume=anatomy.before).between(
        float(ends[0]) - _BESIDE_MM, float(ends[1]) + _BESIDE_MM
    )
    alone, width = without_surroundings(near.volume), body_width_mm(near.volume)
    found = []
    for residual in draw_residuals(near.labels, _DRAWS, rng):
        protocol = draw_protocol(width, rng)
        thick_mm = max(protocol.slice_mm, grid.spacing_mm[2])
        planes = max(2, round(thick_mm / 1.5))
        offsets = (np.arange(planes) - (planes - 1) / 2) / planes * thick_mm / grid.spacing_mm[2]
        hu = [
            np.mean([plane_of(alone, residual, here, k + float(o)) for o in offsets], axis=0)
            for k in range(here.shape[0])
        ]
        on_scan = replace(protocol, pixel_mm=grid.spacing_mm[0])
        found.append(read_out(np.stack(hu).astype(np.float32), on_scan, rng))
    return found


@dataclass
class _Notes:
    """What the fusion would see of each slice, beside the truth."""

    laid: list[NDArray[np.float32]]
    truth: NDArray[np.float32]
    changed: NDArray[np.bool_]
    rows: list[NDArray[np.float16]] = field(default_factory=list)

    def take(self, slice_cache: SliceCache, k: int, one: Candidate) -> None:
        window = window_around(
            slice_cache.metal_slices[k],
            slice_cache.radon.pixel_mm,
            PIXEL_MM,
            margin_mm=NONE_MM,
            multiple=_MULTIPLE,
        )
        changed = self.changed[k].astype(np.float32)
        maps = np.stack([one.ground, one.coarse, one.fine, self.truth[k], changed])
        stack = np.concatenate([one.features, maps]).astype(np.float32)
        self.rows.append(window.into(stack).astype(np.float16))


class _TakingNotes:
    """Passes pictures on, and takes notes of what each draw of the earlier CT would lend."""

    def __init__(self, source: PriorPictures, notes: _Notes) -> None:
        self._source, self._notes = source, notes

    def of(
        self, slice_cache: SliceCache, traces: Mapping[int, NDArray[np.bool_]]
    ) -> dict[int, NDArray[np.float32]]:
        """Return the source's pictures."""
        grounds = self._source.of(slice_cache, traces)
        for unit in dict.fromkeys(slice_cache.unit(k) for k in traces):
            ks = [k for k in unit if k in traces]
            for hu in self._notes.laid:
                earlier = [Earlier(hu[k], np.ones(hu[k].shape, bool)) for k in ks]
                seen = candidates(
                    slice_cache, ks, [grounds[k] for k in ks], earlier, [traces[k] for k in ks]
                )
                for k, one in zip(ks, seen, strict=True):
                    self._notes.take(slice_cache, k, one)
        return grounds
