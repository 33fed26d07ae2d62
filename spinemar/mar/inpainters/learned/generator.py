"""A generator on its own, as a client of the contract: sinograms and traces in, inpainted out.

Settings that its manifest may give (`networks.generator.settings`): `prefill` ("nmar" or "li"),
`trace` ("lost" or "metal"), `views` (a divisor of 720; what the network changes is interpolated
between its views), `pad_views` (flipped views put before and after, since the sinogram goes on
that way). `normalisation.scale` divides the line integrals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import ModelError
from spinemar.mar.inpainters.models.manifest import Manifest, Network
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.inpainters.protocol import ModelFacts, Trace
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly
from spinemar.mar.pipeline.interpolation.normalized import interpolate_normalized
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.threads import ThreadPlan
from spinemar.mar.settings import Device

_NEIGHBOURS = 1


def pad_flipped(sinograms: NDArray[Any], views: int) -> NDArray[Any]:
    """Put flipped views before and after: p(theta + pi, r) = p(theta, -r); axes (views, bins)."""
    if views == 0:
        return sinograms
    before = sinograms[..., -views:, ::-1]
    after = sinograms[..., :views, ::-1]
    return np.concatenate((before, sinograms, after), axis=-2)


def interpolate_views(residual: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Interpolate linearly to `factor` times the views, over the half turn's seam too.

    `residual` is (n, views, bins), the result (n, factor * views, bins).
    """
    if factor == 1:
        return residual
    following = pad_flipped(residual, 1)[..., 2:, :]
    shape = (*residual.shape[:-2], residual.shape[-2], factor, residual.shape[-1])
    out = np.empty(shape, dtype=np.float32)
    for step in range(factor):
        weight = np.float32(step / factor)
        out[..., step, :] = (1 - weight) * residual + weight * following
    return out.reshape(*residual.shape[:-2], -1, residual.shape[-1])


class GeneratorInpainter:
    """Runs the generator of a manifest that has no prior network."""

    name = "generator"
    neighbours = _NEIGHBOURS

    def __init__(self, manifest: Manifest, device: Device = "auto") -> None:
        if manifest.generator is None:
            raise ModelError(
                f"The model {manifest.name} has no generator.", "Use another model, or nmar."
            )
        network = manifest.generator
        settings = network.settings
        self._manifest = manifest
        self._scale = np.float32(network.normalisation.get("scale", 1.0))
        self._prefill = settings.get("prefill", "nmar")
        self.trace: Trace = settings.get("trace", "lost")
        self._views = settings.get("views", manifest.views)
        self._pad = settings.get("pad_views", 0)
        self._refuse_unknown(network)
        self.gate: GateParameters = manifest.gate
        threads = ThreadPlan.for_machine().threads_each
        self._session = NetworkSession(network, device, threads=threads)

    def _refuse_unknown(self, network: Network) -> None:
        views, pad = self._views, self._pad
        known = self._prefill in ("nmar", "li") and self.trace in ("metal", "lost")
        whole = isinstance(views, int) and isinstance(pad, int) and views > 0 and pad >= 0
        if not known or not whole or self._manifest.views % views or not self._scale > 0:
            raise ModelError(
                f"The settings of the model {self._manifest.name} are not known here.",
                "Use a model published for this version of the software.",
            )
        tensor = (None, 2 * self.neighbours + 1, views + 2 * pad, self._manifest.bins)
        wanted = {"sinogram": tensor, "trace": tensor}
        if dict(network.inputs) != wanted or list(network.outputs) != ["inpainted"]:
            raise ModelError(
                f"The generator of {self._manifest.name} has other inputs than sinogram and trace "
                f"of shape {tensor}, or other outputs than inpainted.",
                "Use a model published for this version of the software.",
            )

    def facts(self) -> ModelFacts:
        """Name, hash and the provider that really ran."""
        return ModelFacts(
            name=self._manifest.name,
            version=self._manifest.version,
            sha256=self._manifest.sha256,
            provider=self._session.provider,
            fallback=self._session.fallback,
        )

    def inpaint(self, slab: Slab) -> NDArray[np.float32]:
        """Return sinograms (core slices, views, bins), the trace filled by the generator."""
        trace = slab.lost_ray_trace if self.trace == "lost" else slab.metal_trace
        filled = self._prefilled(slab, trace)
        factor = self._manifest.views // self._views
        coarse = filled[:, ::factor] / self._scale
        marks = trace[:, ::factor]
        core = range(slab.core.start, slab.core.stop)
        out = np.empty((len(core), *filled.shape[1:]), dtype=np.float32)
        for n, k in enumerate(core):
            three = slice(k - self.neighbours, k + self.neighbours + 1)
            result = self._run(coarse[three], marks[three])
            residual = (result - coarse[k]) * self._scale
            out[n] = np.where(
                trace[k], filled[k] + interpolate_views(residual, factor), slab.sinogram[k]
            )
        return out

    def _run(self, sinograms: NDArray[np.float32], trace: NDArray[np.bool_]) -> NDArray[np.float32]:
        inputs = {
            "sinogram": pad_flipped(sinograms, self._pad)[None],
            "trace": pad_flipped(trace, self._pad)[None].astype(np.float32),
        }
        result = self._session.run(inputs)["inpainted"][0, 0]
        inner: NDArray[np.float32] = result[self._pad : result.shape[0] - self._pad]
        return inner

    def _prefilled(self, slab: Slab, trace: NDArray[np.bool_]) -> NDArray[np.float32]:
        if self._prefill == "li":
            return interpolate_linearly(slab.sinogram, trace)
        prior = slab.nmar_prior_sinogram
        return interpolate_normalized(slab.sinogram, prior, trace, slab.radon.pixel_mm)
