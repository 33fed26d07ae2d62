"""Run a shipped, frozen prior over stored pairs or foreign cases and keep what it leaves to do.

The code that runs in use does it: the core's prior network, its matching and its projector.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.storage.layout import SPLITS
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import ModelError
from spinemar.evaluation.regions import slice_regions
from spinemar.mar.inpainters.learned.prior_network import PriorNetwork
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.pipeline.interpolation.normalized import matched_prior
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.body import find_body
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.mar.segmentation.trace import dilated
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import difference_to_hu, hu_to_mu
from spinemar_training.data.out_of_domain import OutOfDomainCase, load_cases
from spinemar_training.data.prefilled import FACTS, Float, Mask, PrefilledSlice

VIEWS = 360
"""Views of the generator; what it changes is interpolated to those of the correction."""

_FIELDS = (
    "sinogram",
    "target",
    "lost_ray_trace",
    "input",
    "li",
    "nmar",
    "truth",
    "metal",
    "saturated",
)


class FrozenPrior:
    """The prior network of a model, as the core runs it.

    Parameters
    ----------
    model : Path
        Manifest, or its folder.
    widening_mm : float, optional
        By how much the lost-ray trace is widened; by default as the manifest says.
    """

    def __init__(self, model: Path, widening_mm: float | None = None) -> None:
        manifest = load_manifest(model)
        if manifest.prior is None:
            raise ModelError(f"The model {manifest.name} has no prior network.")
        self.sha256 = manifest.prior.sha256
        declared = float(manifest.prior.settings.get("widening_mm", 0.0))
        self.widening_mm = declared if widening_mm is None else widening_mm
        session = NetworkSession(manifest.prior, "cpu", threads=1)
        self._network = PriorNetwork(manifest.prior, session)

    def fill(self, slab: Slab, sinogram: Float, trace: Mask) -> Float:
        """Fill the traces of a slab's three slices with the prior's matched rays."""
        marked = [n for n in range(3) if trace[n].any()]
        projected = slab.radon.forward(hu_to_mu(self._network.clean(slab, marked)))
        filled = sinogram.copy()
        for n, prior in zip(marked, projected, strict=True):
            filled[n] = matched_prior(sinogram[n], prior, trace[n])
        return filled


@dataclass(frozen=True)
class _StoredSlab:
    """Three slices of a stored pair with what the prior network asks a slab for."""

    hu: Float
    nmar_hu: Float
    li_hu: Float
    metal: Mask
    saturated: Mask
    radon: RadonTransform
    indices: tuple[int, ...] = (0, 1, 2)

    @functools.cached_property
    def bodies(self) -> list[Any]:
        return [find_body(image, self.radon.pixel_mm) for image in self.hu]

    @property
    def slice_cache(self) -> _StoredSlab:
        return self

    def raise_if_cancelled(self) -> None:
        """Nobody cancels."""


def _from_pair(
    pair: dict[str, Any], prior: FrozenPrior, facts: dict[str, Any]
) -> Iterator[PrefilledSlice]:
    """Prefill a stored pair: each of its slices with metal, the outer ones as a volume's ends."""
    trace = dilated(pair["lost_ray_trace"], round(prior.widening_mm / float(pair["bin_mm"])))
    pixel, views = float(pair["pixel_mm"]), pair["sinogram"].shape[1]
    matrix, bins = pair["input"].shape[-1], pair["sinogram"].shape[-1]
    geometry = SinogramGeometry(views, bins, float(pair["bin_mm"]))
    radon = RadonTransform((matrix, matrix), (pixel, pixel), geometry, threads=1)
    stored = _StoredSlab(
        pair["input"], pair["nmar"], pair["li"], pair["metal"], pair["saturated"], radon
    )
    slab = cast("Slab", stored)
    rays = _Rays.of(slab, prior, pair["sinogram"], trace)
    for n in range(3):
        if pair["metal"][n].any():
            yield _prefilled(slab, rays, n, pair["target"][n], pair["truth"][n], facts)


def slab_of(case: OutOfDomainCase) -> Slab | None:
    """Three slices of a case as the core sees them; None where the middle one shows no metal."""
    metal = segment_metal(case.scan).mask
    if not metal[1].any():
        return None
    pixel = (case.scan.spacing_mm[1], case.scan.spacing_mm[0])
    radon = RadonTransform(case.scan.hu.shape[1:], pixel, threads=1)
    clip = min(low_clip_hu(image) for image in case.scan.hu)
    slice_cache = SliceCache(case.scan.hu, metal, radon, clip_hu=clip)
    return Slab(slice_cache, [0, 1, 2], slice(0, 3))


def from_case(case: OutOfDomainCase, slab: Slab, prior: FrozenPrior) -> PrefilledSlice:
    """Prefill the middle slice of a foreign case."""
    truth = case.truth.hu[1]
    target = slab.radon.forward(hu_to_mu(truth))
    trace = dilated(slab.lost_ray_trace, round(prior.widening_mm / slab.radon.geometry.bin_mm))
    rays = _Rays.of(slab, prior, slab.sinogram, trace)
    return _prefilled(slab, rays, 1, target, truth, {"case": case.name, **case.facts})


@dataclass(frozen=True)
class _Rays:
    """Sinograms and lost rays of three slices, (3, views, bins)."""

    measured: Float
    trace: Mask
    filled: Float

    @classmethod
    def of(cls, slab: Slab, prior: FrozenPrior, measured: Float, trace: Mask) -> _Rays:
        return cls(measured, trace, prior.fill(slab, measured, trace))


def _prefilled(
    slab: Slab, rays: _Rays, n: int, target: Float, truth: Float, facts: dict[str, Any]
) -> PrefilledSlice:
    measured, trace = rays.measured[n], rays.trace[n]
    change = slab.radon.fbp(rays.filled[n] - measured)
    # Rays beside the trace keep their errors: what fits between them is the truth's course, not
    # its level. Taken as it is, the truth in the trace makes images worse than the prior does.
    fitting = matched_prior(measured, target, trace)
    regions = slice_regions(truth, slab.metal[n], slab.radon.pixel_mm)
    step = max(1, len(measured) // VIEWS)
    three = [max(n - 1, 0), n, min(n + 1, 2)]
    return PrefilledSlice(
        filled=rays.filled[three, ::step],
        measured=rays.measured[three, ::step],
        trace=rays.trace[three, ::step],
        target=fitting[::step],
        input_hu=slab.hu[n],
        prior_hu=slab.hu[n] + difference_to_hu(change),
        truth_hu=np.asarray(truth, np.float32),
        metal=slab.metal[n],
        scored=regions.scored,
        near=regions.near,
        pixel_mm=slab.radon.pixel_mm[0],
        facts=facts,
    )


def prefill_store(store: Path, prior: FrozenPrior, output: Path, split: str) -> Iterator[Path]:
    """Prefill the pairs of a store that are not in `output` yet; the store may still grow."""
    _claim(output, prior)
    pairs = PairStore(store, _FIELDS)
    patients = {item.patient: item.split for item in pairs.spec.inputs}
    if (store / SPLITS).exists():  # written when a store is finished
        patients = dict(read_splits(store)[0])
    for position, row in enumerate(pairs.rows):
        name = f"{row['index']:06d}"
        if patients[row["patient"]] != split or (output / f"{name}-done").exists():
            continue
        facts = {"patient": row["patient"], "placement": row["placement"]}
        for n, one in enumerate(_from_pair(pairs[position], prior, {**facts, "case": name})):
            path = output / f"{name}-{n}.npz"
            one.save(path)
            yield path
        (output / f"{name}-done").touch()


def prefill_cases(cases: Path, prior: FrozenPrior, output: Path) -> Iterator[Path]:
    """Prefill foreign cases."""
    _claim(output, prior)
    for case in load_cases(cases):
        path = output / f"{case.name}.npz"
        if not path.exists() and (slab := slab_of(case)) is not None:
            from_case(case, slab, prior).save(path)
            yield path


def _claim(output: Path, prior: FrozenPrior) -> None:
    """Refuse a folder that another prior, or the same one otherwise, filled."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / FACTS
    mine = {"prior_sha256": prior.sha256, "widening_mm": prior.widening_mm}
    if path.exists() and json.loads(path.read_text("utf-8")) != mine:
        raise ModelError(f"{output} was filled in another way.", "Use another folder.")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(mine), encoding="utf-8")
