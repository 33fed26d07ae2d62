"""The learned inpainter: prior, reprojection, match, generator; lost rays only.

1. The prior network cleans each slice in the image domain.
2. Its reprojection fills the lost-ray trace, shifted to meet the measured rays beside it.
3. The generator G(x, m) = m * UNet(x) + (1 - m) * x refines the filled trace of three adjacent
   slices, at fewer views and on the bins around the trace; what it changes is interpolated.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import ModelError
from spinemar.mar.gate import GateParameters
from spinemar.mar.generator import interpolate_views
from spinemar.mar.inpainting import ModelFacts, Trace
from spinemar.mar.learned.prior_network import PriorNetwork
from spinemar.mar.models.manifest import Manifest, Network
from spinemar.mar.models.session import NetworkSession
from spinemar.mar.normalized import matched_prior
from spinemar.mar.slab import Slab
from spinemar.tomography.units import hu_to_mu

Float = NDArray[np.float32]


class LearnedInpainter:
    """Runs the networks of a manifest that has a prior.

    Parameters
    ----------
    manifest : Manifest
    device : {"auto", "cpu", "cuda"}
    """

    name = "generator"
    trace: Trace = "lost"
    neighbours = 2
    slices_at_a_time = 2

    def __init__(self, manifest: Manifest, device: Literal["auto", "cpu", "cuda"] = "auto") -> None:
        if manifest.prior is None:
            raise ModelError(
                f"The model {manifest.name} has no prior network.", "Use another model, or nmar."
            )
        self._manifest = manifest
        self.gate: GateParameters = manifest.gate
        self._sessions = [NetworkSession(manifest.prior, device)]
        self._prior = PriorNetwork(manifest.prior, self._sessions[0])
        self._generator: _Generator | None = None
        if manifest.generator is not None:
            session = NetworkSession(manifest.generator, device)
            self._sessions.append(session)
            self._generator = _Generator(manifest, manifest.generator, session)
        self._filled: dict[int, Float] = {}

    def facts(self) -> ModelFacts:
        """Name, hash and the provider that really ran."""
        fallbacks = [s.fallback for s in self._sessions if s.fallback]
        return ModelFacts(
            name=self._manifest.name,
            version=self._manifest.version,
            sha256=self._manifest.sha256,
            provider=self._sessions[0].provider,
            fallback=fallbacks[0] if fallbacks else None,
        )

    def inpaint(self, slab: Slab) -> Float:
        """Return the core slices' sinograms, the lost rays filled."""
        core = range(slab.core.start, slab.core.stop)
        trace = slab.lost_ray_trace
        if self._generator is None:
            return np.stack([self._prefilled(slab, list(core), trace)[p] for p in core])
        positions = list(range(core.start - 1, core.stop + 1))
        filled = self._prefilled(slab, positions, trace)
        sinogram = slab.sinogram
        out = np.empty((len(core), *sinogram.shape[1:]), dtype=np.float32)
        for n, p in enumerate(core):
            three = [p - 1, p, p + 1]
            out[n] = self._generator.refine(np.stack([filled[q] for q in three]), trace[three])
            out[n] = np.where(trace[p], out[n], sinogram[p])
        return out

    def _prefilled(
        self, slab: Slab, positions: list[int], trace: NDArray[np.bool_]
    ) -> dict[int, Float]:
        """Sinograms of the slices at `positions`, the trace filled by the matched prior.

        Slices that the previous slab shared are kept from there.
        """
        known = {k: self._filled[k] for k in slab.indices if k in self._filled}
        missing = [p for p in positions if slab.indices[p] not in known and bool(trace[p].any())]
        unique = list({slab.indices[p]: p for p in missing}.values())
        sinogram = slab.sinogram
        if unique:
            projected = slab.radon.forward(hu_to_mu(self._prior.clean(slab, unique)))
            for p, prior in zip(unique, projected, strict=True):
                known[slab.indices[p]] = matched_prior(sinogram[p], prior, trace[p])
        self._filled = known
        return {p: known.get(slab.indices[p], sinogram[p]) for p in positions}


class _Generator:
    """The sinogram network: pads, crops and interpolates around one session."""

    def __init__(self, manifest: Manifest, network: Network, session: NetworkSession) -> None:
        self._views = _whole(network, "views")
        self._multiple = _whole(network, "bins_multiple")
        self._context = _whole(network, "bins_context")
        self._session = session
        self._bins = manifest.bins
        if self._views < 1 or manifest.views % self._views or self._multiple < 2:
            raise ModelError(
                f"The settings of the generator {network.file} are not known here.",
                "Use a model published for this version of the software.",
            )
        shape = (None, 3, self._views, None)
        if dict(network.inputs) != {"sinogram": shape, "trace": shape} or list(network.outputs) != [
            "inpainted"
        ]:
            raise ModelError(
                f"The generator {network.file} has other inputs than sinogram and trace of shape "
                f"(B, 3, {self._views}, R), or other outputs than inpainted.",
                "Use a model published for this version of the software.",
            )
        self._factor = manifest.views // self._views

    def refine(self, filled: Float, trace: NDArray[np.bool_]) -> Float:
        """Refine the middle of three prefilled sinograms (3, views, bins) inside its trace."""
        window = self._window(trace)
        x = filled[:, :: self._factor, window]
        marks = trace[:, :: self._factor, window].astype(np.float32)
        result = self._session.run({"sinogram": x[None], "trace": marks[None]})["inpainted"][0, 0]
        residual = np.zeros((self._views, self._bins), dtype=np.float32)
        residual[:, window] = result - x[1]
        full = interpolate_views(residual, self._factor)
        refined: Float = np.where(trace[1], filled[1] + full, filled[1])
        return refined

    def _window(self, trace: NDArray[np.bool_]) -> slice:
        """Bins around the traces, symmetric about the centre (flipped views must still fit)."""
        used = np.flatnonzero(trace.any(axis=(0, 1)))
        centre = self._bins / 2
        reach = max(centre - used[0], used[-1] + 1 - centre) if used.size else 0
        width = 2 * (reach + self._context)
        width = int(np.ceil(width / self._multiple)) * self._multiple
        if width >= self._bins:
            return slice(0, self._bins)
        start = (self._bins - width) // 2
        return slice(start, start + width)


def _whole(network: Network, key: str) -> int:
    value = network.settings.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ModelError(
            f"The generator {network.file} has no setting {key}.",
            "Use a model published for this version of the software.",
        )
    return value
