"""Conditions of the robustness study: each makes a scan, its truth and its metal mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.shapes.solids import Solid, Sphere, cylinder, unit
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume
from spinemar_study.scenes.scenes import MIDDLE, SLICES, Patient, Scene

Mask = NDArray[np.bool_]
Implants = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Trial:
    """A scan under one condition.

    Parameters
    ----------
    scan, truth : CTVolume
        Three slices each.
    metal : ndarray of bool
        What the correction is told.
    left_out : ndarray of bool
        What is not scored: the metal that the scanner shows, whatever the mask says.
    """

    scan: CTVolume
    truth: CTVolume
    metal: Mask
    left_out: Mask


def base(scene: Scene) -> Trial:
    """Scan as in the other studies; metal found automatically."""
    return _trial(*_scan(scene.volume, _implants(scene, scene.volume), scene.settings, scene.seed))


def threshold(trial: Trial, value: float) -> Trial:
    """Take all above a fixed threshold as metal."""
    return dataclasses.replace(trial, metal=segment_metal(trial.scan, float(value)).mask)


def mask(trial: Trial, value: str) -> Trial:
    """Spoil the mask: metal missed, or tissue taken for it."""
    return dataclasses.replace(trial, metal=_SPOILED[value](trial.metal, trial.scan))


def kernel(patient: Patient, scene: Scene, value: str) -> Trial:
    """Reconstruct with another kernel."""
    return _rescanned(scene, kernel=value)


def photons(patient: Patient, scene: Scene, value: float) -> Trial:
    """Scan with another dose."""
    return _rescanned(scene, photons_per_ray=float(value))


def thickness(patient: Patient, scene: Scene, value: float) -> Trial:
    """Average over a slice so many times as thick as the spacing."""
    return _rescanned(scene, slice_thickness_mm=float(value) * scene.volume.spacing_mm[2])


def field_of_view(patient: Patient, scene: Scene, value: float) -> Trial:
    """Reconstruct a targeted field of view about the spine, mm; the body is truncated."""
    volume = _centred(scene)
    settings = dataclasses.replace(scene.settings, reconstruction_fov_mm=float(value), matrix=512)
    return _trial(*_scan(volume, _implants(scene, volume), settings, scene.seed))


def tilt(patient: Patient, scene: Scene, value: float) -> Trial:
    """Lean the gantry by so many degrees."""
    site = next(iter(scene.sites.values()))
    volume = tilted_slab(patient.volume, np.asarray(site.isthmus), float(value))
    return _trial(*_scan(volume, _implants(scene, volume), scene.settings, scene.seed))


def motion(patient: Patient, scene: Scene, value: float) -> Trial:
    """Let the patient move forwards by so many mm in the middle of the scan."""
    from spinemar.physics.scans.acquisition import Exposure
    from spinemar.physics.scans.slice_scan import expose_slice, prepare, slice_noise, stored_slice

    implants = _implants(scene, scene.volume)
    shift = (0.0, float(value) / scene.volume.spacing_mm[1], 0.0)

    def moved(array: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        found = ndimage.shift(array, shift, order=1, mode="constant", cval=outside)
        return np.asarray(found, dtype=np.float32)

    later = scene.volume.with_hu(moved(scene.volume.hu, -1000.0))
    later_implants = {name: moved(share, 0.0) for name, share in implants.items()}
    benches = [
        prepare(volume, parts, scene.settings, scene.seed, with_truth=True)
        for volume, parts in ((scene.volume, implants), (later, later_implants))
    ]

    def joined(first: Exposure, second: Exposure) -> Exposure:
        half = len(first.signal) // 2
        return Exposure(
            np.concatenate([first.signal[:half], second.signal[half:]]),
            np.concatenate([first.variance[:half], second.variance[half:]]),
        )

    scans, truths = [], []
    for k in range(SLICES):
        pairs = [expose_slice(bench, k) for bench in benches]
        scan = joined(pairs[0][0], pairs[1][0])
        truth = joined(pairs[0][1] or pairs[0][0], pairs[1][1] or pairs[1][0])
        noise = slice_noise(benches[0], k)
        read_out = benches[0].acquisition.read_out
        stored = stored_slice(
            benches[0], [read_out(scan, noise), read_out(truth, noise)], differs=True
        )
        assert stored.truth is not None
        scans.append(stored.scan)
        truths.append(stored.truth)
    return _trial(scene.volume.with_hu(np.stack(scans)), scene.volume.with_hu(np.stack(truths)))


def implant(patient: Patient, scene: Scene, value: str) -> Trial:
    """Scan implants of a kind that no training showed, instead of the construct."""
    from spinemar.implants.voxelize import voxelize_solid

    implants: dict[str, NDArray[np.float32]] = {}
    for material, solid in _FOREIGN[value](scene):
        share = implants.setdefault(material, np.zeros(scene.volume.hu.shape, np.float32))
        found = voxelize_solid(solid, scene.volume.geometry)
        if found is not None:
            box, filled = found
            share[box] = np.minimum(share[box] + filled, 1.0)
    return _trial(*_scan(scene.volume, implants, scene.settings, scene.seed))


MASKS: dict[str, Callable[[Trial, Any], Trial]] = {"threshold": threshold, "mask": mask}
"""Sweeps over the mask: the scan stays."""
SCANS: dict[str, Callable[[Patient, Scene, Any], Trial]] = {
    "kernel": kernel,
    "photons": photons,
    "thickness": thickness,
    "field of view": field_of_view,
    "tilt": tilt,
    "motion": motion,
    "implant": implant,
}
"""Sweeps that scan anew."""


def tilted_slab(volume: CTVolume, through_ras: NDArray[np.float64], degrees: float) -> CTVolume:
    """Resample slices that lean about the left-right axis and stack along z, as a gantry does."""
    from spinemar.volume import GridGeometry

    _, rows, columns = volume.hu.shape
    affine = volume.ijk_to_ras.copy()
    angle = np.radians(degrees)
    down = affine[:3, 1].copy()
    affine[:3, 1] = down * np.cos(angle)
    affine[2, 1] += float(np.linalg.norm(down)) * np.sin(angle)
    # The middle slice passes through the point, in the columns where that lies.
    at = volume.geometry.to_ijk(through_ras)
    affine[:3, 3] = 0.0
    affine[:3, 3] = through_ras - affine[:3, :3] @ np.array([at[0], at[1], float(MIDDLE)])
    grid = GridGeometry((SLICES, rows, columns), affine)
    k, j, i = np.indices(grid.shape, dtype=np.float64)
    ijk = volume.geometry.to_ijk(grid.to_ras(np.stack([i, j, k], axis=-1)))
    hu = ndimage.map_coordinates(
        volume.hu, [ijk[..., 2], ijk[..., 1], ijk[..., 0]], order=1, mode="nearest"
    )
    return CTVolume(np.asarray(hu, dtype=np.float32), affine)


def _implants(scene: Scene, volume: CTVolume) -> Implants:
    from spinemar.implants.voxelize import voxelize_plan

    return voxelize_plan(scene.plan, volume.geometry, load_catalogue())


def _scan(
    volume: CTVolume, implants: Implants, settings: ScannerSettings, seed: int
) -> tuple[CTVolume, CTVolume]:
    from spinemar.physics.scanner import simulate_scan

    scan = simulate_scan(volume, implants, settings, seed)
    assert scan.truth is not None
    return scan.volume, scan.truth


def _rescanned(scene: Scene, **changes: Any) -> Trial:
    settings = dataclasses.replace(scene.settings, **changes)
    return _trial(*_scan(scene.volume, _implants(scene, scene.volume), settings, scene.seed))


def _trial(scan: CTVolume, truth: CTVolume) -> Trial:
    metal = segment_metal(scan).mask
    return Trial(scan, truth, metal, metal)


def _centred(scene: Scene) -> CTVolume:
    """Pad the slices with air until the spine lies in their middle."""
    site = next(iter(scene.sites.values()))
    i, j, _ = scene.volume.geometry.to_ijk(np.asarray(site.isthmus))
    _, rows, columns = scene.volume.hu.shape
    pads = [(0, 0)]
    for at, size in ((j, rows), (i, columns)):
        off = round(2 * (float(at) - (size - 1) / 2))
        pads.append((0, off) if off > 0 else (-off, 0))
    hu = np.pad(scene.volume.hu, pads, constant_values=-1000.0)
    affine = scene.volume.ijk_to_ras.copy()
    first = np.array([-pads[2][0], -pads[1][0], 0.0])
    affine[:3, 3] = scene.volume.geometry.to_ras(first)
    return CTVolume(hu, affine)


def _in_plane(metal: Mask, steps: int) -> Mask:
    """Dilate (or erode, below 0) every slice by a square."""
    structure = np.ones((1, 3, 3), dtype=bool)
    change = ndimage.binary_dilation if steps > 0 else ndimage.binary_erosion
    return np.asarray(change(metal, structure, iterations=abs(steps)))


def _one_part_missed(metal: Mask, scan: CTVolume) -> Mask:
    """Leave out the second largest part of the metal (a screw or a head)."""
    parts, count = ndimage.label(metal)
    sizes = np.bincount(parts.ravel())[1:]
    if count < 2:
        return _in_plane(metal, -2)
    return np.asarray(metal & (parts != 1 + int(np.argsort(sizes)[-2])))


def _shifted(metal: Mask, scan: CTVolume, by_mm: float) -> Mask:
    """Move the mask to the side, as a mask of another series might lie."""
    return np.roll(metal, round(by_mm / scan.spacing_mm[0]), axis=2)


def _bone_taken(metal: Mask, scan: CTVolume) -> Mask:
    """Take cortical bone within 40 mm of metal for metal too."""
    row_mm, column_mm = scan.spacing_mm[1], scan.spacing_mm[0]
    near = np.stack(
        [ndimage.distance_transform_edt(~m, sampling=(row_mm, column_mm)) < 40.0 for m in metal]
    )
    return np.asarray(metal | (near & (scan.hu > 900.0)))


_SPOILED: dict[str, Callable[[Mask, CTVolume], Mask]] = {
    "1 px too small": lambda metal, _: _in_plane(metal, -1),
    "one part missed": _one_part_missed,
    "1 px too large": lambda metal, _: _in_plane(metal, 1),
    "3 px too large": lambda metal, _: _in_plane(metal, 3),
    "bone taken for metal": _bone_taken,
    "5 mm beside the metal": lambda metal, scan: _shifted(metal, scan, 5.0),
    "25 mm beside the metal": lambda metal, scan: _shifted(metal, scan, 25.0),
}


def _at_middle_slice(scene: Scene, ras: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move a point along z into the middle slice."""
    height = scene.volume.geometry.to_ras(np.array([0.0, 0.0, float(MIDDLE)]))[2]
    return np.array([ras[0], ras[1], height])


def _hip(scene: Scene) -> list[tuple[str, Solid]]:
    """Put a cobalt-chrome ball of 32 mm on a titanium stem, beside the spine."""
    site = scene.sites["right"]
    centre = _at_middle_slice(scene, site.body_centre + 52.0 * site.right)
    stem = centre - np.array([0.0, 0.0, 60.0])
    return [
        ("CoCrMo", Sphere(centre, 16.0)),
        ("Ti-6Al-4V", cylinder(centre - np.array([0.0, 0.0, 16.0]), stem, 7.0)),
    ]


def _teeth(scene: Scene) -> list[tuple[str, Solid]]:
    """Eight cobalt-chrome crowns of 8 mm in an arch, before the spine."""
    site = scene.sites["right"]
    forwards = unit(np.cross(site.superior, site.right))
    middle = _at_middle_slice(scene, site.body_centre + 45.0 * forwards)
    up = np.array([0.0, 0.0, 5.0])
    crowns: list[tuple[str, Solid]] = []
    for angle in np.linspace(0.0, np.pi, 8):
        at = middle + 24.0 * (np.cos(angle) * site.right + np.sin(angle) * forwards)
        crowns.append(("CoCrMo", cylinder(at - up, at + up, 4.0)))
    return crowns


def _clips(scene: Scene) -> list[tuple[str, Solid]]:
    """Six titanium clips of 6 mm, before the spine."""
    site = scene.sites["right"]
    forwards = unit(np.cross(site.superior, site.right))
    rng = np.random.default_rng([scene.seed, 5])
    clips: list[tuple[str, Solid]] = []
    for _ in range(6):
        away = rng.uniform(35.0, 75.0) * forwards + rng.uniform(-40.0, 40.0) * site.right
        at = _at_middle_slice(scene, site.isthmus + away)
        along = 3.0 * unit(rng.normal(size=3))
        clips.append(("Ti-6Al-4V", cylinder(at - along, at + along, 1.0)))
    return clips


_FOREIGN: dict[str, Callable[[Scene], list[tuple[str, Solid]]]] = {
    "hip ball and stem": _hip,
    "dental crowns": _teeth,
    "surgical clips": _clips,
}
