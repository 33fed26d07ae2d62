"""The generator as a client of its manifest: prefilled sinograms in, refined ones out.

G(x, m) = m * UNet(x) + (1 - m) * x on three adjacent slices, at fewer views and on the bins
around the trace alone; what it changes is interpolated to all views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import ModelError
from spinemar.mar.inpainters.learned.generator import interpolate_views
from spinemar.mar.inpainters.models.batches import by_shape
from spinemar.mar.inpainters.models.manifest import Manifest, Network
from spinemar.mar.inpainters.models.session import NetworkSession

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ThreeSlices:
    """A slice between its neighbours, each (views, bins)."""

    filled: Sequence[Float]
    trace: Sequence[Mask]
    measured: Sequence[Float]


class SinogramNetwork:
    """Crops, runs and interpolates around one session.

    Parameters
    ----------
    manifest : Manifest
    network : Network
        With inputs `sinogram` and `trace`, where it says so also `measured` (the rays as they
        came), all (B, 3, V, R), and the output `inpainted`.
    session : NetworkSession
    """

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
        self._inputs = [
            name for name in ("sinogram", "trace", "measured") if name in network.inputs
        ]
        wanted = dict.fromkeys({"sinogram", "trace", *self._inputs}, shape)
        if dict(network.inputs) != wanted or list(network.outputs) != ["inpainted"]:
            raise ModelError(
                f"The generator {network.file} has other inputs than sinogram and trace of shape "
                f"(B, 3, {self._views}, R), or other outputs than inpainted.",
                "Use a model published for this version of the software.",
            )
        self._factor = manifest.views // self._views

    def refine(
        self, slices: Sequence[ThreeSlices], between: Callable[[], None] = lambda: None
    ) -> list[Float]:
        """Refine the middle slice of each three inside its trace; (views, bins) each."""
        windows = [self._window(three.trace) for three in slices]
        seen = [self._seen(three, w) for three, w in zip(slices, windows, strict=True)]
        found = by_shape(seen, self._session.run, most=self._session.batch, between=between)
        refined = []
        for three, window, x, out in zip(slices, windows, seen, found, strict=True):
            # The window lies symmetric about the centre, so flipped views meet in it too.
            residual = interpolate_views(out["inpainted"][0] - x["sinogram"][1], self._factor)
            middle = three.filled[1].copy()
            np.add(
                middle[:, window], residual, out=middle[:, window], where=three.trace[1][:, window]
            )
            refined.append(middle)
        return refined

    def _seen(self, three: ThreeSlices, window: slice) -> dict[str, Float]:
        sources = {"sinogram": three.filled, "trace": three.trace, "measured": three.measured}
        return {
            name: np.stack([one[:: self._factor, window] for one in sources[name]]).astype(
                np.float32, copy=False
            )
            for name in self._inputs
        }

    def _window(self, traces: Sequence[Mask]) -> slice:
        """Bins around the traces, symmetric about the centre (flipped views must still fit)."""
        used = np.flatnonzero(np.any([trace.any(axis=0) for trace in traces], axis=0))
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
