"""The learned inpainter: prior, reprojection, match, generator; lost rays only.

1. The prior network cleans each slice in the image domain; an earlier CT of the patient may lend
   that picture its detail (`pictures.py`).
2. Its reprojection fills the lost-ray trace, shifted to meet the measured rays beside it.
3. The generator refines the filled trace of three adjacent slices.

What a slice becomes depends on itself and two neighbours on either side, whatever else is in
work with it: threads, batches and devices change the speed only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import ModelError
from spinemar.mar.earlier.fusion import Fuse, fused
from spinemar.mar.inpainters.learned.fusion_network import FusionNetwork
from spinemar.mar.inpainters.learned.pictures import NetworkPictures, PriorPictures
from spinemar.mar.inpainters.learned.prior_network import PriorNetwork
from spinemar.mar.inpainters.learned.sinogram_network import SinogramNetwork, ThreeSlices
from spinemar.mar.inpainters.models.manifest import Manifest
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.inpainters.protocol import ModelFacts, Trace
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.interpolation.normalized import matched_prior
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache, Unit
from spinemar.mar.pipeline.threads import ThreadPlan
from spinemar.mar.segmentation.trace import LostRays
from spinemar.mar.settings import Device
from spinemar.tomography.units import hu_to_mu

Float = NDArray[np.float32]

_MOST_WORKERS = 4
"""On the CPU every worker may run a network of its own, which takes about 0.2 GB."""
_MOST_WORKERS_WITH_GPU = 8
"""They prepare slices for one GPU, and take its answers in."""


class LearnedInpainter:
    """Runs the networks of a manifest that has a prior.

    Parameters
    ----------
    manifest : Manifest
    device : {"auto", "cpu", "cuda", "cuda-fp16"}

    Attributes
    ----------
    widening_mm : float
        How far the lost rays are widened on either side.
    pictures : PriorPictures
        What makes the pictures whose reprojection fills the lost rays.
    """

    name = "generator"
    trace: Trace = "lost"
    neighbours = 2

    def __init__(self, manifest: Manifest, device: Device = "auto") -> None:
        if manifest.prior is None:
            raise ModelError(
                f"The model {manifest.name} has no prior network.", "Use another model, or nmar."
            )
        self._manifest = manifest
        self.gate: GateParameters = manifest.gate
        threads = ThreadPlan.for_machine(most_workers=_MOST_WORKERS).threads_each
        self._device, self._threads = device, threads
        self._fusion: FusionNetwork | None = None
        self._sessions = [NetworkSession(manifest.prior, device, threads=threads)]
        prior = PriorNetwork(manifest.prior, self._sessions[0])
        self.pictures: PriorPictures = NetworkPictures(prior)
        self.widening_mm = prior.settings.widening_mm
        self._generator: SinogramNetwork | None = None
        if manifest.generator is not None:
            session = NetworkSession(manifest.generator, device, threads=threads)
            self._sessions.append(session)
            self._generator = SinogramNetwork(manifest, manifest.generator, session)

    def with_pictures(self, pictures: PriorPictures) -> LearnedInpainter:
        """Return the same networks, filling from other pictures."""
        other = copy(self)
        other.pictures = pictures
        return other

    def fusion(self) -> Fuse:
        """Return how an earlier CT is taken in: by the model's network, or by rule.

        The network's hash is among the facts from here on.
        """
        network = self._manifest.fusion
        if network is None:
            return fused
        if self._fusion is None:
            session = NetworkSession(network, self._device, threads=self._threads)
            self._fusion = FusionNetwork(network, session)
            self._sessions.append(session)
        return self._fusion.fused

    def without_generator(self) -> LearnedInpainter:
        """Return the prior alone, matched to the measured rays: nearly as good, and quicker."""
        other = copy(self)
        other._generator = None
        return other

    @property
    def most_workers(self) -> int:
        """Slabs that may be in work at a time."""
        return _MOST_WORKERS if self._sessions[0].batch == 1 else _MOST_WORKERS_WITH_GPU

    @property
    def slices_at_a_time(self) -> int:
        """A slab holds two slices on the CPU, a batch on a GPU; always an even number."""
        return max(2, self._sessions[0].batch // 2 * 2)

    def facts(self) -> ModelFacts:
        """Name, hash and the provider that really ran."""
        fallbacks = dict.fromkeys(s.fallback for s in self._sessions if s.fallback)
        return ModelFacts(
            name=self._manifest.name,
            version=self._manifest.version,
            sha256="+".join(session.network.sha256 for session in self._sessions),
            provider=self._sessions[0].provider,
            fallback=" ".join(fallbacks) or None,
        )

    def inpaint(self, slab: Slab) -> Float:
        """Return the core slices' sinograms, the lost rays filled."""
        slice_cache, core = slab.slice_cache, slab.core_only.indices
        if self._generator is None:
            return np.stack(self._filled(slice_cache, core))
        # Each slice with its neighbours as the slab has them (repeated at the volume's ends).
        around = [slab.indices[p - 1 : p + 2] for p in range(slab.core.start, slab.core.stop)]
        ks = sorted({k for three in around for k in three})
        filled = dict(zip(ks, self._filled(slice_cache, ks), strict=True))
        traces = self._traces(slice_cache, ks)
        measured = _known(slice_cache, "sinogram", ks)
        triples = [
            ThreeSlices(
                [filled[k] for k in three], [traces[k] for k in three], [measured[k] for k in three]
            )
            for three in around
        ]
        with slice_cache.watch.stage("network"):
            refined = self._generator.refine(triples, slice_cache.raise_if_cancelled)
        return np.stack(refined)

    def _filled(self, slice_cache: SliceCache, ks: Iterable[int]) -> list[Float]:
        """Sinograms, the trace filled by the matched prior; each slice's made once."""
        batch = max(1, self._sessions[0].batch // 2)  # in units of two slices
        fill = partial(self._fill, slice_cache)
        return slice_cache.get_or_make("prior_filled", list(ks), fill, together=batch)

    def _fill(self, slice_cache: SliceCache, units: list[Unit]) -> list[list[Float]]:
        ks = [k for unit in units for k in unit]
        traces, measured = self._traces(slice_cache, ks), _known(slice_cache, "sinogram", ks)
        marked = [k for k in ks if traces[k].any()]
        cleaned: dict[int, Float] = {}
        if marked:
            cleaned = self.pictures.of(slice_cache, {k: traces[k] for k in marked})
        filled = dict(measured)
        for unit in units:  # what shares a transform must not depend on what is in work
            mine = [k for k in unit if k in cleaned]
            if not mine:
                continue
            with slice_cache.watch.stage("project"):
                priors = slice_cache.radon.forward(hu_to_mu(np.stack([cleaned[k] for k in mine])))
            with slice_cache.watch.stage("interpolate"):
                for k, prior in zip(mine, priors, strict=True):
                    filled[k] = matched_prior(measured[k], prior, traces[k])
        return [[filled[k] for k in unit] for unit in units]

    def lost_rays(self, slice_cache: SliceCache, ks: Sequence[int]) -> list[LostRays]:
        """Lost rays of slices, with those beside them that blur and scatter spoil."""

        def widen(units: list[Unit]) -> list[list[LostRays]]:
            bins = round(self.widening_mm / slice_cache.radon.geometry.bin_mm)
            return [[rays.widened(bins) for rays in slice_cache.get("lost_rays", u)] for u in units]

        return slice_cache.get_or_make("wide_lost_rays", ks, widen)

    def _traces(self, slice_cache: SliceCache, ks: list[int]) -> dict[int, NDArray[np.bool_]]:
        return {k: rays.trace for k, rays in zip(ks, self.lost_rays(slice_cache, ks), strict=True)}


def _known(slice_cache: SliceCache, name: str, ks: list[int]) -> dict[int, Any]:
    return dict(zip(ks, slice_cache.get(name, ks), strict=True))
