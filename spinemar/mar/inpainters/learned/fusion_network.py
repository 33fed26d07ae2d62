"""The fusion network as a client of its manifest: how far to believe an earlier CT, where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.earlier.candidates import N_FEATURES, N_MAPS, Candidate, candidates
from spinemar.mar.earlier.fusion import NONE_MM, Earlier
from spinemar.mar.inpainters.learned.resample import window_around
from spinemar.mar.inpainters.models.fit import check_maps, multiple_of, unfit
from spinemar.mar.inpainters.models.manifest import Network
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.pipeline.slice_cache import SliceCache

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FINEST_MM, _COARSEST_MM = 0.3, 2.0


class FusionNetwork:
    """Fuses prior pictures with the earlier CT, each slice in a window around its own metal.

    Parameters
    ----------
    network : Network
        With input `features` (B, 9, H, W) and output `maps` (B, 3, H, W).
    session : NetworkSession

    Raises
    ------
    ModelError
        If the network has other inputs, outputs or settings.
    """

    def __init__(self, network: Network, session: NetworkSession) -> None:
        check_maps(network, N_FEATURES, "maps", N_MAPS)
        pixel = network.settings.get("pixel_mm")
        if isinstance(pixel, bool) or not isinstance(pixel, int | float):
            raise unfit(network, "has no setting pixel_mm")
        if not _FINEST_MM <= pixel <= _COARSEST_MM:
            raise unfit(network, "has settings that make no sense")
        self._pixel_mm, self._multiple = float(pixel), multiple_of(network)
        self._session = session

    def fused(
        self,
        slice_cache: SliceCache,
        ks: Sequence[int],
        grounds: Sequence[Float],
        earlier: Sequence[Earlier],
        traces: Sequence[Mask],
        /,
    ) -> list[tuple[Float, Float]]:
        """Fuse slices that share a transform; see `spinemar.mar.earlier.fusion.fused`."""
        seen = candidates(slice_cache, ks, grounds, earlier, traces)
        with slice_cache.watch.stage("network"):
            return [
                one.fused(self._maps(slice_cache, k, one)) for k, one in zip(ks, seen, strict=True)
            ]

    def _maps(self, slice_cache: SliceCache, k: int, one: Candidate) -> Float:
        window = window_around(
            slice_cache.metal_slices[k],
            slice_cache.radon.pixel_mm,
            self._pixel_mm,
            margin_mm=NONE_MM,
            multiple=self._multiple,
        )
        found = self._session.run({"features": window.into(one.features)[None]})["maps"][0]
        maps = window.back(found)
        np.clip(maps[:2], 0.0, 1.0, out=maps[:2])
        return maps
