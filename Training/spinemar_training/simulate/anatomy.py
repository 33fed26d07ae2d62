"""Patients on the GPU, and slabs cut from them with a new pose, size and shape each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own convention
from torch import Tensor

from spinemar_training.simulate.placement import Pedicle


@dataclass(frozen=True)
class Patient:
    """A CT in memory: HU and depth below the skin, both (1, 1, k, j, i), LPS mm geometry.

    `clean_z_mm` is the range of slice positions without metal of the patient's own.
    """

    name: str
    hu: Tensor
    depth_mm: Tensor
    origin_mm: Tensor
    spacing_mm: Tensor
    pedicles: tuple[Pedicle, ...]
    clean_z_mm: tuple[float, float]


def load_patient(path: Path, device: torch.device | str) -> Patient:
    """Read a patient file written by `spinemar-train patients`."""
    with np.load(path, allow_pickle=False) as stored:
        hu = torch.from_numpy(stored["hu"].astype(np.float32)).to(device)
        depth = torch.from_numpy(stored["depth_mm"].astype(np.float32)).to(device)
        pedicles = tuple(
            Pedicle(str(level), str(side), points[0], points[1], points[2])
            for level, side, points in zip(
                stored["levels"], stored["sides"], stored["points"], strict=True
            )
        )
        low, high = stored["clean_z_mm"]
        return Patient(
            path.stem,
            hu[None, None],
            depth[None, None],
            torch.from_numpy(stored["origin_mm"].astype(np.float32)).to(device),
            torch.from_numpy(stored["spacing_mm"].astype(np.float32)).to(device),
            pedicles,
            (float(low), float(high)),
        )


@dataclass(frozen=True)
class Slab:
    """Adjacent slices of a deformed patient.

    hu, depth_mm : (slices, size, size); source_mm : (slices, size, size, 3), where each pixel
    came from in the patient (LPS mm), so that implants planned there move with the anatomy.
    """

    hu: Tensor
    depth_mm: Tensor
    source_mm: Tensor
    pixel_mm: float
    slice_mm: float


@dataclass(frozen=True)
class Pose:
    """How far anatomy may stray from the patient's own."""

    rotation_deg: float = 10.0
    tilt_deg: float = 4.0
    zoom: tuple[float, float] = (0.8, 1.25)
    warp_mm: float = 5.0
    mirror: bool = True


def _rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.eye(3)
    a, b = [n for n in range(3) if n != axis]
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def _sample(volume: Tensor, patient: Patient, points_mm: Tensor, outside: float) -> Tensor:
    """Trilinear values of a patient's volume at points (..., 3), LPS mm."""
    index = (points_mm - patient.origin_mm) / patient.spacing_mm
    size = torch.tensor(volume.shape[:1:-1], device=index.device, dtype=index.dtype)
    grid = 2 * index / (size - 1) - 1
    shifted = F.grid_sample(
        volume - outside, grid[None], mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return shifted[0, 0] + outside


def cut_slab(
    patient: Patient,
    centre_mm: np.ndarray,
    *,
    n_slices: int,
    size: int,
    pixel_mm: float,
    slice_mm: float,
    z_samples: int,
    pose: Pose,
    rng: np.random.Generator,
) -> tuple[Slab, Tensor]:
    """Sample a slab around `centre_mm`, and the source points of its z sub-samples.

    Returns
    -------
    Slab
    Tensor, shape (slices, z_samples, size, size, 3)
        Source points within each slice's thickness, for the implants' partial volume.
    """
    device = patient.hu.device
    zoom = rng.uniform(*pose.zoom)
    linear = (
        _rotation(2, rng.normal(scale=pose.rotation_deg / 2))
        @ _rotation(0, rng.normal(scale=pose.tilt_deg / 2))
        @ _rotation(1, rng.normal(scale=pose.tilt_deg / 2))
    ) * np.array([1 / zoom, rng.uniform(0.93, 1.07) / zoom, 1 / zoom])
    if pose.mirror and rng.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0, 1.0])
    axis = (torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2) * pixel_mm
    n_z = n_slices * z_samples
    z = (torch.arange(n_z, device=device, dtype=torch.float32) - (n_z - 1) / 2) * (
        slice_mm / z_samples
    )
    target = torch.stack(
        [
            axis[None, None, :].expand(n_z, size, size),
            axis[None, :, None].expand(n_z, size, size),
            z[:, None, None].expand(n_z, size, size),
        ],
        -1,
    )
    matrix = torch.from_numpy(linear.astype(np.float32)).to(device)
    centre = torch.from_numpy(centre_mm.astype(np.float32)).to(device)
    source = target @ matrix.T + centre
    coarse = torch.from_numpy(
        rng.normal(scale=rng.uniform(0, pose.warp_mm), size=(1, 3, 2, 6, 6)).astype(np.float32)
    ).to(device)
    plane = F.interpolate(coarse, size=(2, size // 8, size // 8), mode="trilinear")
    plane = F.interpolate(plane, size=(n_z, size, size), mode="trilinear")
    source = source + plane[0].permute(1, 2, 3, 0)
    hu = _sample(patient.hu, patient, source, -1000.0)
    hu = hu.reshape(n_slices, z_samples, size, size).mean(1)
    middle = source.reshape(n_slices, z_samples, size, size, 3)
    central = middle[:, z_samples // 2]
    depth = _sample(patient.depth_mm, patient, central, 0.0)
    return Slab(hu, depth, central, pixel_mm, slice_mm), middle


def vary_density(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Make bone denser or thinner (osteopenic to sclerotic) and shift soft tissue a little."""
    bone = (hu - 150).clamp(min=0)
    soft = ((hu > -300) & (hu < 150)).float()
    return hu + bone * (rng.uniform(0.6, 1.5) - 1) + soft * rng.normal(scale=10)


def choose(items: Sequence, rng: np.random.Generator):  # type: ignore[no-untyped-def,type-arg]
    """Draw one item."""
    return items[int(rng.integers(len(items)))]
