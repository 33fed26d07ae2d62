"""One training case: a slab of a patient with new anatomy, metal, scanner and field of view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.simulate import placement
from spinemar_training.simulate.anatomy import Patient, Pose, choose, cut_slab, vary_density
from spinemar_training.simulate.classical import classical
from spinemar_training.simulate.implants import Primitive, metal_fractions
from spinemar_training.simulate.scan import Projectors, draw_scanner, scan

CHANNELS = ("input", "nmar", "li", "metal", "saturated", "truth")


@dataclass(frozen=True)
class SlabSettings:
    """What cases look like.

    Parameters
    ----------
    size : int
        Pixels a side of the reconstructed image.
    n_slices : int
        Adjacent slices of a slab.
    z_samples : int
        Sub-samples of the implants over a slice's thickness.
    realistic_share : float
        Share of cases with metal where a surgeon would put it; the others are random bodies.
    scan_views : int
        Views over half a turn of the simulated scan; not those of the correction.
    targeted_share : float
        Share of cases with a field of view of half the scanned one (a truncated body).
    severe_share : float
        Share of cases that are drawn again until at least `severe_lost_share` of the rays through
        the body are lost in a slice with metal.
    severe_lost_share : float
    """

    size: int = 512
    n_slices: int = 5
    z_samples: int = 3
    realistic_share: float = 0.75
    targeted_share: float = 0.3
    scan_views: int = 840
    severe_share: float = 0.0
    severe_lost_share: float = 0.12
    pose: Pose = field(default_factory=Pose)


@dataclass(frozen=True)
class TrainingSlab:
    """Images (slices, channels, size, size) in the order of `CHANNELS`, float16 HU or 0/1."""

    images: Tensor
    pixel_mm: float
    slice_mm: float


def _centre(patient: Patient, rng: np.random.Generator) -> tuple[np.ndarray, str, np.ndarray]:
    """Pick the field's centre, the level it is near, and that level's canal side point."""
    pedicle = choose(patient.pedicles, rng)
    low, high = patient.clean_z_mm
    z = float(np.clip(pedicle.isthmus[2] + rng.normal(scale=9), low + 3, high - 3))
    slices = patient.depth_mm.shape[2]
    index = int((z - float(patient.origin_mm[2])) / float(patient.spacing_mm[2]))
    body = patient.depth_mm[0, 0, min(max(index, 0), slices - 1)] > 0
    rows, columns = torch.nonzero(body, as_tuple=True)
    x = float(columns.float().mean() * patient.spacing_mm[0] + patient.origin_mm[0])
    y = float(rows.float().mean() * patient.spacing_mm[1] + patient.origin_mm[1])
    return np.array([x, y, z]), pedicle.level, pedicle.body


def _metal(
    patient: Patient,
    settings: SlabSettings,
    level: str,
    spine: np.ndarray,
    centre: np.ndarray,
    rng: np.random.Generator,
) -> list[Primitive]:
    if rng.random() < settings.realistic_share:
        return placement.realistic(patient.pedicles, level, rng)
    anchor = np.array([*(spine if rng.random() < 0.6 else centre)[:2], centre[2]])
    return placement.random_bodies(anchor, rng)


def make_slab(
    patients: Sequence[Patient],
    settings: SlabSettings,
    projectors: Projectors,
    radon: TorchRadon,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> TrainingSlab | None:
    """Make one case; None when no slice of it holds metal (draw again)."""
    patient = choose(patients, rng)
    centre, level, spine = _centre(patient, rng)
    parts = _metal(patient, settings, level, spine, centre, rng)
    size = settings.size
    field_mm = float(rng.uniform(310, 510))
    fine_mm = field_mm / (2 * size)
    slice_mm = float(rng.choice([0.8, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0]))
    slab, source = cut_slab(
        patient,
        centre + np.array([*rng.normal(scale=12, size=2), 0]),
        n_slices=settings.n_slices,
        size=2 * size,
        pixel_mm=fine_mm,
        slice_mm=slice_mm,
        z_samples=settings.z_samples,
        pose=settings.pose,
        rng=rng,
    )
    # Only pixels within a generous box around the spine can hold implants: skip the others.
    fractions = metal_fractions(source, parts, fine_mm)
    metals = {name: share.mean(1) for name, share in fractions.items() if share.max() > 0}
    del source, fractions
    if not metals:
        return None
    hu = vary_density(slab.hu, rng)
    scanner = draw_scanner(rng)
    targeted = rng.random() < settings.targeted_share
    dirty, clean = scan(hu, metals, fine_mm, scanner, projectors, targeted, generator)
    depth = slab.depth_mm
    if targeted:
        top = _window_start(2 * size, size, spine[1] - centre[1], fine_mm, rng)
        left = _window_start(2 * size, size, spine[0] - centre[0], fine_mm, rng)
        view = (slice(None), slice(top, top + size), slice(left, left + size))
        dirty, clean, depth = dirty[view], clean[view], depth[view]
        pixel_mm = fine_mm
    else:
        depth = depth[:, ::2, ::2]
        pixel_mm = 2 * fine_mm
    low, high = scanner.clip_hu
    dirty, clean = dirty.clamp(low, high).round(), clean.clamp(low, high).round()
    threshold = float(rng.choice([2500.0, rng.uniform(2000, 3000)]))
    result = classical(dirty, radon, pixel_mm, threshold, depth, low > -1100)
    if not bool(result.metal.any()):
        return None
    images = torch.stack(
        [
            dirty.clamp(-9000, 30000),
            result.nmar.clamp(-9000, 30000),
            result.li.clamp(-9000, 30000),
            result.metal.float(),
            result.saturated.float(),
            clean.clamp(-1100, 8000),
        ],
        1,
    ).half()
    return TrainingSlab(images, pixel_mm, slice_mm)


def _window_start(
    full: int, size: int, offset_mm: float, pixel_mm: float, rng: np.random.Generator
) -> int:
    """First row or column of a targeted field roughly centred on the spine."""
    middle = full / 2 + offset_mm / pixel_mm + rng.normal(scale=0.05 * full)
    return int(np.clip(round(middle - size / 2), 0, full - size))
