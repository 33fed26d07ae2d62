"""Scans with their true metal, for the network that outlines it.

A case holds three slices as the scanner would reconstruct them before anything is clipped, and
the volume fraction of metal in every pixel. Scale, clip, blur and orientation are drawn when a
case is trained on, so one scan serves for many. The scanner is drawn far more widely than for
the prior: what has to be learnt is the edge behind the glow, whatever made the glow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.base.boxes import bounding_box
from spinemar_training.metal.prostheses import crowns, hip, port
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.simulate import placement
from spinemar_training.simulate.anatomy import (
    Patient,
    Pose,
    choose,
    cut_slab,
    load_patient,
    vary_density,
)
from spinemar_training.simulate.implants import Primitive, metal_fractions
from spinemar_training.simulate.scan import (
    Projectors,
    Scanner,
    detector_bins,
    draw_scanner,
    scan_metal,
)

SLICES = 3
_SIZE = 512
_VIEWS = 840
_Z_SAMPLES = 3
_MARGIN_MM = 40.0
_TOP_HU = 60000.0
_STEEL_SHARE, _TITANIUM_SHARE = 0.35, 0.35
"""Of all constructs: made wholly of one metal, beside those that are so by their own draw."""


@dataclass(frozen=True)
class MetalCase:
    """Three slices and their metal.

    Parameters
    ----------
    hu : ndarray of float32, shape (3, rows, columns)
        Not clipped.
    fraction : ndarray of float32, same shape
        Share of metal in each pixel's volume.
    pixel_mm : float
    materials : str
        Joined by "+".
    """

    hu: NDArray[np.float32]
    fraction: NDArray[np.float32]
    pixel_mm: float
    materials: str


def _draw_wide_scanner(rng: np.random.Generator) -> Scanner:
    """Draw a scanner whose blur, scatter and starvation reach beyond the prior's."""
    usual = draw_scanner(rng)
    return replace(
        usual,
        n_energies=int(rng.integers(8, 13)),
        photons=float(np.exp(rng.uniform(np.log(4e4), np.log(2.5e6)))),
        focal_blur_bins=float(rng.uniform(0.2, 1.7)),
        view_blur=float(rng.uniform(0, 0.6)),
        scatter=float(rng.uniform(0, 0.15)),
        scatter_corrected=float(rng.uniform(0.3, 1.1)),
        floor_photons=float(np.exp(rng.uniform(np.log(0.5), np.log(200)))),
        kernel_cutoff=float(rng.uniform(0.5, 1.0)),
        kernel_power=float(rng.uniform(0.3, 2.0)),
        clip_hu=(-np.inf, np.inf),
    )


def _parts(
    patient: Patient, level: str, body: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> list[Primitive]:
    kind = rng.random()
    if kind < 0.68:
        parts = placement.realistic(patient.pedicles, level, rng)
    elif kind < 0.82:
        anchor = np.array([*(body if rng.random() < 0.6 else centre)[:2], centre[2]])
        parts = placement.random_bodies(anchor, rng)
    elif kind < 0.88:
        parts = hip(centre, rng)
    elif kind < 0.94:
        parts = port(centre, rng)
    else:
        parts = crowns(centre, rng)
    metal = rng.random()
    if metal < _TITANIUM_SHARE:
        parts = [replace(part, material="Ti-6Al-4V") for part in parts]
    elif metal < _TITANIUM_SHARE + _STEEL_SHARE:
        parts = [replace(part, material="316L") for part in parts]
    return parts


class CaseMaker:
    """Makes cases from seeds on the CPU.

    Parameters
    ----------
    patient_files : sequence of Path
        Prepared by `spinemar-train patient`.
    """

    def __init__(self, patient_files: Sequence[Path]) -> None:
        self._patients = [load_patient(path, "cpu") for path in patient_files]
        bins = detector_bins(_SIZE)
        self._projectors = Projectors(
            NufftRadon(2 * _SIZE, _VIEWS, 2 * bins, threads=1),
            NufftRadon(_SIZE, _VIEWS, bins, threads=1),
        )

    def make(self, seed: int) -> MetalCase:
        """Make the case of a seed; draws without metal in the middle slice are drawn anew."""
        rng = np.random.default_rng([20261128, seed])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        while True:
            case = self._attempt(rng, generator)
            if case is not None:
                return case

    def _attempt(self, rng: np.random.Generator, generator: torch.Generator) -> MetalCase | None:
        patient = choose(self._patients, rng)
        pedicle = choose(patient.pedicles, rng)
        low, high = patient.clean_z_mm
        z = float(np.clip(pedicle.isthmus[2] + rng.normal(scale=8), low + 3, high - 3))
        centre = np.array([pedicle.body[0], pedicle.body[1] - 35.0, z])
        targeted = rng.random() < 0.45
        fine_mm = float(rng.uniform(330, 510)) / (2 * _SIZE)
        slab, source = cut_slab(
            patient,
            centre + np.array([*rng.normal(scale=12, size=2), 0]),
            n_slices=SLICES,
            size=2 * _SIZE,
            pixel_mm=fine_mm,
            slice_mm=float(rng.choice([0.8, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0])),
            z_samples=_Z_SAMPLES,
            pose=Pose(),
            rng=rng,
        )
        parts = _parts(patient, pedicle.level, pedicle.body, centre, rng)
        fractions = metal_fractions(source, parts, fine_mm)
        metals = {name: share.mean(1) for name, share in fractions.items() if share.max() > 0}
        if not metals or float(sum(m[1].sum() for m in metals.values())) < 40:
            return None
        hu = vary_density(slab.hu, rng)
        scanner = _draw_wide_scanner(rng)
        dirty = scan_metal(hu, metals, fine_mm, scanner, self._projectors, targeted, generator)
        whole = torch.clamp(sum(metals.values()), max=1)
        pixel_mm = fine_mm
        if not targeted:
            whole = torch.nn.functional.avg_pool2d(whole[:, None], 2)[:, 0]
            pixel_mm = 2 * fine_mm
        return cropped(dirty.numpy(), whole.numpy(), pixel_mm, "+".join(metals))


def cropped(
    hu: NDArray[np.float32], fraction: NDArray[np.float32], pixel_mm: float, materials: str
) -> MetalCase:
    """Keep what lies within 40 mm of metal.

    Parameters
    ----------
    hu, fraction : ndarray, shape (3, rows, columns)
    pixel_mm : float
    materials : str
    """
    metal: NDArray[np.bool_] = np.any(fraction > 0, axis=0)
    margin = int(_MARGIN_MM / pixel_mm)
    box = bounding_box(metal, (margin, margin))
    assert box is not None
    view = (slice(None), *box)
    clipped = np.clip(hu[view], -20000.0, _TOP_HU)
    return MetalCase(clipped.astype(np.float32), fraction[view], pixel_mm, materials)


def save_case(path: Path, case: MetalCase) -> None:
    """Write one case, at once or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            hu=case.hu.astype(np.float16),
            fraction=np.round(case.fraction * 255).astype(np.uint8),
            pixel_mm=case.pixel_mm,
            materials=case.materials,
        )


def load_case(path: Path) -> MetalCase:
    """Read a case."""
    with np.load(path, allow_pickle=False) as stored:
        return MetalCase(
            stored["hu"].astype(np.float32),
            stored["fraction"].astype(np.float32) / 255,
            float(stored["pixel_mm"]),
            str(stored["materials"]),
        )


def make_cases(patient_files: Sequence[Path], output: Path, count: int) -> None:
    """Make cases 0 to `count` in a folder; those that are there are kept."""
    output.mkdir(parents=True, exist_ok=True)
    maker = CaseMaker(patient_files)
    for seed in range(count):
        path = output / f"{seed:05d}.npz"
        if not path.exists():
            save_case(path, maker.make(seed))
