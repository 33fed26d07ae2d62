"""Fit a method's gate on scans with metal and on slices that should be left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.regions import slice_regions
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters, decide
from spinemar.volume import CTVolume
from spinemar_training.data.out_of_domain import load_cases
from spinemar_training.scoring.gate_fit import GateRecord, fit_gate, make_record
from spinemar_training.scoring.negatives import Negative, make_negatives

METAL = "metal"
MIDDLE = 1


@dataclass(frozen=True)
class KnownSlice:
    """A slice with a known truth, and what kind it is: `METAL` or a kind of negative."""

    kind: str
    name: str
    record: GateRecord


def _clean_volume(path: Path) -> CTVolume:
    """Read a patient's CT as slices that a radiologist sees, stacked along the first axis."""
    from spinemar.axial import find_axial_slices
    from spinemar.io import read_volume

    volume = read_volume(path)
    layout = find_axial_slices(volume.geometry)
    rows, columns = layout.pixel_mm
    affine = np.diag([-columns, -rows, layout.spacing_mm, 1.0])
    return CTVolume(np.ascontiguousarray(layout.of(volume.hu)), affine)


def known_slices(
    worker: Inpainter, folders: Sequence[Path], negatives: Sequence[Negative]
) -> Iterator[KnownSlice]:
    """Let a method propose a change of every case's middle slice and of every negative."""
    from spinemar.mar.segmentation.metal import segment_metal

    for folder in folders:
        for case in load_cases(folder):
            metal = segment_metal(case.scan).mask
            yield from _known(METAL, case.name, case.scan, case.truth, metal, worker)
    for n, one in enumerate(negatives):
        yield from _known(one.kind, f"{one.kind} {n}", one.scan, one.truth, one.metal, worker)


def _known(
    kind: str,
    name: str,
    scan: CTVolume,
    truth: CTVolume,
    metal: NDArray[np.bool_],
    worker: Inpainter,
) -> Iterator[KnownSlice]:
    from spinemar.mar.correction.proposal import propose
    from spinemar.mar.pipeline.slab import Slab
    from spinemar.mar.pipeline.slice_cache import SliceCache
    from spinemar.mar.segmentation.low_saturation import low_clip_hu
    from spinemar.tomography.radon import RadonTransform

    if not metal[MIDDLE].any():
        return
    pixel = scan.spacing_mm[1], scan.spacing_mm[0]
    radon = RadonTransform(scan.hu.shape[1:], pixel, threads=1)
    slice_cache = SliceCache(scan.hu, metal, radon, clip_hu=low_clip_hu(scan.hu[MIDDLE]))
    slab = Slab.around(slice_cache, MIDDLE, MIDDLE + 1, worker.neighbours)
    proposal = propose(slab, worker)[0]
    near = slice_regions(truth.hu[MIDDLE], metal[MIDDLE], pixel).near
    artifact = scan.hu[MIDDLE] - truth.hu[MIDDLE]
    yield KnownSlice(kind, name, make_record(proposal.features, artifact, proposal.change, near))


def draw_negatives(clean: Sequence[Path], per_kind: int, seed: int) -> list[Negative]:
    """Negatives of several patients."""
    found: list[Negative] = []
    for n, path in enumerate(clean):
        found += make_negatives(_clean_volume(path), seed + n, per_kind)
    return found


def fit(known: Sequence[KnownSlice], default: GateParameters) -> GateParameters:
    """Fit the gate of a method on what it would do."""
    return fit_gate([one.record for one in known], start=default)


def table(known: Sequence[KnownSlice], gate: GateParameters) -> str:
    """How a gate treats each kind, as Markdown: error within 20 mm of metal, HU."""
    lines = [
        "| kind | slices | left alone | input | through the gate | in full | best strength "
        "| worst change |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(one.kind for one in known):
        mine = [one.record for one in known if one.kind == kind]
        strengths = np.array([decide(record.features, gate).strength for record in mine])
        before = np.array([record.rmse(0.0) for record in mine])
        after = np.array([r.rmse(float(w)) for r, w in zip(mine, strengths, strict=True)])
        full = np.array([record.rmse(1.0) for record in mine])
        best = np.array([min(r.rmse(w) for w in np.linspace(0, 1, 21)) for r in mine])
        lines.append(
            f"| {kind} | {len(mine)} | {np.mean(strengths == 0):.0%} | {before.mean():.1f} "
            f"| {after.mean():.1f} | {full.mean():.1f} | {best.mean():.1f} "
            f"| {np.max(after - before):+.1f} |"
        )
    return "\n".join(lines) + "\n"
