"""Patients ready to be sampled: voxels on disk, pedicles, where they are free of metal.

Each CT is prepared once, as an array file that all workers of a machine map into memory
together, so that a worker needs no memory for CTs of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.array_files import load_npy
from spinemar.base.atomic_files import atomic_path
from spinemar.base.json_text import read_json
from spinemar.dataset.judge import refuse_judge
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.sampling.pelvis import PelvicWay, find_pelvic_ways, is_trusted
from spinemar.errors import InputError
from spinemar.implants.catalogue import (
    Catalogue,
    catalogue_from_json,
    catalogue_to_json,
    load_catalogue,
)
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import (
    PedicleSite,
    sites_from_frames,
    sites_from_landmarks,
)
from spinemar.progress import CancelToken
from spinemar.spine.labels.levels import SACRUM
from spinemar.spine.model import SpineModel
from spinemar.volume import CTVolume, GridGeometry

_OWN_METAL_HU = 2200.0
"""Brighter voxels count as the patient's own metal; bone and contrast stay below."""
_MARGIN_MM = 4.0
_LONGEST_GAP_MM = 2.0
_HU_RANGE = (-1024.0, 3071.0)
_BODY_SLICES = 9
#: An L5 that is found so near to the landmark's is the same.
_SAME_MM = 12.0
#: Changes when patients are prepared in another way.
_RECIPE = "with S1 and ways into the ilium"


@dataclass(frozen=True)
class Patient:
    """A CT to sample pairs from.

    Parameters
    ----------
    name, patient : str
        Of the CT and of the person.
    split : str or None
    source : str
    hu : ndarray of int16, shape (k, j, i)
        Mapped from disk.
    geometry : GridGeometry
    stack_axis : int
        Array axis along which the axial slices are stacked.
    sites : tuple of PedicleSite
        Pedicles, RAS mm.
    plan : Plan or None
        A plan made by somebody for this patient.
    clean_mm : (low, high)
        Range of z without metal of the patient's own, RAS mm.
    body_mm : (left, right, back, front)
        Extent of the body, RAS mm.
    sha256 : str
        Of the voxels.
    catalogue : Catalogue
        Of the plan's implants, and of those that are drawn.
    ways : tuple of PelvicWay
        Ways of screws into the ilium, RAS mm; none where the CT shows no pelvis.
    """

    name: str
    patient: str
    split: str | None
    source: str
    hu: NDArray[np.int16]
    geometry: GridGeometry
    stack_axis: int
    sites: tuple[PedicleSite, ...]
    plan: Plan | None
    clean_mm: tuple[float, float]
    body_mm: tuple[float, float, float, float]
    sha256: str
    catalogue: Catalogue
    ways: tuple[PelvicWay, ...] = ()


def prepare_patient(entry: CtEntry, folder: Path, cancel: CancelToken | None = None) -> Path:
    """Write a CT as a folder that `load_patient` reads; done before, nothing is done.

    Parameters
    ----------
    entry : CtEntry
    folder : Path
        Where patients are kept; must exist.
    cancel : CancelToken, optional

    Returns
    -------
    Path
    """
    from spinemar.axial import find_axial_slices
    from spinemar.io import read_volume

    refuse_judge(entry.ct)
    target = folder / entry.name
    key = _key(entry)
    if (target / "patient.json").exists():
        known = read_json(target / "patient.json", "prepared patient")
        if known.get("key") == key:
            return target
    if cancel is not None:
        cancel.raise_if_cancelled()
    volume = read_volume(entry.ct)
    catalogue = load_catalogue(*([entry.catalogue] if entry.catalogue else []))
    plan = _read_plan(entry, catalogue)
    sites, ways = _find_anatomy(entry, volume, catalogue, cancel)
    hu = np.rint(np.clip(volume.hu, *_HU_RANGE)).astype(np.int16)
    facts = {
        "key": key,
        "name": entry.name,
        "patient": entry.patient,
        "split": entry.split,
        "source": entry.source,
        "ijk_to_ras": volume.ijk_to_ras.tolist(),
        "stack_axis": find_axial_slices(volume.geometry).axis,
        "sites": [_plain_record(site) for site in sites],
        "ways": [_plain_record(way) for way in ways],
        "plan": plan,
        "catalogue": catalogue_to_json(catalogue),
        "clean_mm": clean_range(volume, entry.clean_mm),
        "body_mm": _body_extent(volume),
        "sha256": hashlib.sha256(hu.tobytes()).hexdigest(),
    }
    with atomic_path(target) as temporary:
        temporary.mkdir()
        np.save(temporary / "hu.npy", hu)
        (temporary / "patient.json").write_text(json.dumps(facts), encoding="utf-8")
    return target


def load_patient(path: Path) -> Patient:
    """Open a prepared patient; the voxels stay on disk."""
    from spinemar.planning.plans.plan_json import plan_from_json

    facts: dict[str, Any] = read_json(path / "patient.json", "prepared patient")
    hu = load_npy(path / "hu.npy", mapped=True)
    k, j, i = hu.shape
    left, right, back, front = facts["body_mm"]
    return Patient(
        facts["name"],
        facts["patient"],
        facts["split"],
        facts["source"],
        hu,
        GridGeometry((k, j, i), np.array(facts["ijk_to_ras"])),
        facts["stack_axis"],
        tuple(PedicleSite(**_with_arrays(item)) for item in facts["sites"]),
        plan_from_json(facts["plan"]) if facts["plan"] else None,
        (facts["clean_mm"][0], facts["clean_mm"][1]),
        (left, right, back, front),
        facts["sha256"],
        catalogue_from_json(facts["catalogue"]),
        tuple(PelvicWay(**_with_arrays(item)) for item in facts["ways"]),
    )


def _find_anatomy(
    entry: CtEntry, volume: CTVolume, catalogue: Catalogue, cancel: CancelToken | None = None
) -> tuple[tuple[PedicleSite, ...], tuple[PelvicWay, ...]]:
    """Return pedicles and ways into the ilium: by landmarks, labels, or a segmentation made now.

    Raises
    ------
    InputError
        If none of them shows a pedicle.
    """
    if entry.landmarks is None and entry.labels is None and entry.plan is not None:
        return (), ()
    sites: tuple[PedicleSite, ...]
    spine: SpineModel | None
    if entry.landmarks is not None:
        document = read_json(entry.landmarks, f"file {entry.landmarks.name}")
        sites = sites_from_landmarks(document)
        spine = spine_below(sites, volume, cancel)
        sites = with_sacrum(sites, spine)
    else:
        spine = _spine_of(entry, volume, cancel)
        sites = sites_from_frames(spine.vertebrae)
    if not sites:
        raise InputError(
            f"No pedicle is known in {entry.name}.", "Give landmarks, labels or a plan for it."
        )
    return sites, () if spine is None else find_pelvic_ways(spine, volume, catalogue)


def _spine_of(entry: CtEntry, volume: CTVolume, cancel: CancelToken | None) -> SpineModel:
    """Return the spine of a CT from its labels, or segmented now."""
    if entry.labels is None:
        from spinemar.spine.segmentation.segment import segment_spine

        return segment_spine(volume, cancel=cancel)
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.frames import frames_from_labels
    from spinemar.spine.anatomy.pelvis.femoral_heads import with_femoral_heads
    from spinemar.spine.providers import with_pelvic_parts

    labels = read_labels(entry.labels)
    spine = frames_from_labels(labels, volume, cancel=cancel)
    return with_femoral_heads(with_pelvic_parts(spine, labels), volume)


def spine_below(
    sites: tuple[PedicleSite, ...], volume: CTVolume, cancel: CancelToken | None = None
) -> SpineModel | None:
    """Return the spine that the planner finds about landmarks that reach to L5, with their names.

    Landmarks are set by hand and hold no S1. None where they end above L5 or hold an S1, and where
    no sacrum is found below that L5, or one that is cut off or in doubt.
    """
    last = next((site for site in sites if site.level == "L5"), None)
    if last is None or any(site.level == SACRUM for site in sites):
        return None
    from spinemar.spine.segmentation.segment import segment_spine

    try:
        spine = segment_spine(volume, seeds={"L5": last.body_centre}, cancel=cancel)
        above, sacrum = spine.vertebra("L5"), spine.vertebra(SACRUM)
    except InputError:
        return None
    apart = float(np.linalg.norm(above.body_centre_ras - last.body_centre))
    return spine if apart <= _SAME_MM and is_trusted(sacrum) else None


def with_sacrum(
    sites: tuple[PedicleSite, ...], spine: SpineModel | None
) -> tuple[PedicleSite, ...]:
    """Return sites with those of S1 below them, where `spine_below` found a spine."""
    if spine is None:
        return sites
    return (*sites, *sites_from_frames([spine.vertebra(SACRUM)]))


def clean_range(volume: CTVolume, stated: tuple[float, float] | None) -> tuple[float, float]:
    """Return the longest range of z without the patient's own metal, RAS mm.

    Parameters
    ----------
    volume : CTVolume
    stated : (low, high), optional
        Known from elsewhere; then no metal is looked for.

    Raises
    ------
    InputError
        If metal runs through the whole CT.
    """
    k, j, i = volume.hu.shape
    corners = np.array([[a, b, c] for a in (0, i - 1) for b in (0, j - 1) for c in (0, k - 1)])
    heights = np.sort(volume.geometry.to_ras(corners.astype(float))[:, 2])
    # The inner four of the eight corners bound the part that every column of voxels reaches.
    low, high = float(heights[3]), float(heights[4])
    if stated is not None:
        low, high = max(low, stated[0]), min(high, stated[1])
        bright = np.zeros(0)
    else:
        kji = np.argwhere(volume.hu > _OWN_METAL_HU).astype(float)
        bright = np.unique(np.round(volume.geometry.to_ras(kji[:, ::-1])[:, 2], 1))
    edges = np.concatenate([[low - _MARGIN_MM], bright, [high + _MARGIN_MM]])
    edges = np.sort(np.clip(edges, low - _MARGIN_MM, high + _MARGIN_MM))
    gaps = np.diff(edges) - 2 * _MARGIN_MM
    widest = int(np.argmax(gaps))
    if gaps[widest] < _LONGEST_GAP_MM:
        raise InputError(
            "Metal of the patient's own runs through the whole CT.",
            "Leave it out, or state the clean range in the list of CTs.",
        )
    return float(edges[widest] + _MARGIN_MM), float(edges[widest + 1] - _MARGIN_MM)


def _body_extent(volume: CTVolume) -> tuple[float, float, float, float]:
    """Return how far the body reaches to the left, right, back and front, RAS mm.

    Raises
    ------
    InputError
        If there is no body, as in a volume that is not in HU.
    """
    from spinemar.axial import find_axial_slices
    from spinemar.mar.segmentation.body import find_body
    from spinemar.mar.segmentation.padding import without_padding

    layout = find_axial_slices(volume.geometry)
    mask = np.zeros(volume.hu.shape, dtype=np.bool_)
    slices, inside = layout.of(volume.hu), layout.of(mask)
    count = min(_BODY_SLICES, len(slices))
    for k in np.unique(np.linspace(0, len(slices) - 1, count).astype(int)):
        inside[k] = find_body(without_padding(slices[k]), layout.pixel_mm).mask
    kji = np.argwhere(mask).astype(float)
    if len(kji) == 0:
        raise InputError("No body is found in the CT.", "Check that its values are HU.")
    ras = volume.geometry.to_ras(kji[:, ::-1])
    x, y = (np.percentile(ras[:, axis], (0.5, 99.5)) for axis in (0, 1))
    return float(x[0]), float(x[1]), float(y[0]), float(y[1])


def _key(entry: CtEntry) -> str:
    """Return a text that changes with the entry and with its files."""
    parts = [_RECIPE, repr(entry)]
    for path in (entry.ct, entry.labels, entry.landmarks, entry.plan, entry.catalogue):
        for file in sorted(path.iterdir()) if path is not None and path.is_dir() else [path]:
            if file is not None and file.exists():
                stat = file.stat()
                parts.append(f"{file.name} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read_plan(entry: CtEntry, catalogue: Catalogue) -> str | None:
    """Read the entry's plan, if it has one, and refuse early a screw that no catalogue knows."""
    if entry.plan is None:
        return None
    from spinemar.planning.plans.plan_json import plan_to_json, read_plan

    plan = read_plan(entry.plan)
    for screw in plan.screws:
        catalogue.screw(screw.model)
    return plan_to_json(plan)


def _plain_record(record: PedicleSite | PelvicWay) -> dict[str, Any]:
    """Return a record as JSON can hold it."""
    values = asdict(record).items()
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values}


def _with_arrays(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's values as `_plain_record` took them."""
    return {k: np.array(v) if isinstance(v, list) else v for k, v in item.items()}
