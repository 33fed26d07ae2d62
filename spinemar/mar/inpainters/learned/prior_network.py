"""The prior network as a client of its manifest: images in, a cleaned image out.

The cleaned image is never shown: only its reprojection is used, matched to the measured rays
beside the trace, and only inside the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.mar.inpainters.learned.resample import PriorGrid, window_around
from spinemar.mar.inpainters.models.batches import by_shape
from spinemar.mar.inpainters.models.fit import check_maps, unfit
from spinemar.mar.inpainters.models.manifest import Network
from spinemar.mar.inpainters.models.session import NetworkSession
from spinemar.mar.pipeline.slab import Slab

Float = NDArray[np.float32]
N_FEATURES = 11
_AIR_HU = -1000.0
_WIDEST_MM = 16.0


@dataclass(frozen=True)
class PriorSettings:
    """How the prior network sees images; from its manifest entry.

    Parameters
    ----------
    pixel_mm : float
    scale_hu : float
        HU of one unit of the network.
    low_hu, high_hu : float
        Images are clipped to this range on the way in, so that both 12-bit and extended scales
        look alike.
    multiple : int
        Sides of the window are multiples of this.
    margin_mm : float
        Around the body.
    widening_mm : float
        By how much the lost-ray trace is widened on either side. A learned prior is better than
        rays that the metal's blur has touched; LI and NMAR are not.
    """

    pixel_mm: float
    scale_hu: float
    low_hu: float
    high_hu: float
    multiple: int
    margin_mm: float
    widening_mm: float

    @classmethod
    def of(cls, network: Network) -> PriorSettings:
        """Read the settings; anything missing or absurd is a `ModelError`."""
        settings, scale = network.settings, network.normalisation

        def number(source: Any, key: str) -> float:
            value = source.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise unfit(network, f"has no setting {key}")
            return float(value)

        found = cls(
            pixel_mm=number(settings, "pixel_mm"),
            scale_hu=number(scale, "scale_hu"),
            low_hu=number(scale, "low_hu"),
            high_hu=number(scale, "high_hu"),
            multiple=int(number(settings, "multiple")),
            margin_mm=number(settings, "margin_mm"),
            widening_mm=number({"widening_mm": 0.0, **settings}, "widening_mm"),
        )
        sane = 0.2 < found.pixel_mm < 5 and found.scale_hu > 0 and found.low_hu < found.high_hu
        sane = sane and 0 <= found.widening_mm <= _WIDEST_MM
        if not sane or not 1 <= found.multiple <= 256 or not 0 <= found.margin_mm < 200:
            raise unfit(network, "has settings that make no sense")
        return found


class PriorNetwork:
    """Cleans slices, each in a window around its own body.

    So what a slice becomes depends on itself and its neighbours alone, not on the others that
    are in work with it.

    Parameters
    ----------
    network : Network
        With input `features` (B, 11, H, W) and output `maps` (B, 2, H, W).
    session : NetworkSession
    """

    def __init__(self, network: Network, session: NetworkSession) -> None:
        check_maps(network, N_FEATURES, "maps", 2)
        self.settings = PriorSettings.of(network)
        self._session = session

    def clean(self, slab: Slab, positions: Sequence[int]) -> Float:
        """Return cleaned HU of the slab's slices at `positions`, (n, rows, columns)."""
        return np.stack(self.clean_each([(slab, position) for position in positions]))

    def clean_each(self, slices: Sequence[tuple[Slab, int]]) -> list[Float]:
        """Return cleaned HU of slices, each given as a position in a slab with its neighbours."""
        seen = [self._features(slab, position) for slab, position in slices]
        maps = by_shape(
            [{"features": features} for _, features in seen],
            self._session.run,
            most=self._session.batch,
            between=slices[0][0].slice_cache.raise_if_cancelled,
        )
        return [
            self._combined(slab, position, grid, found["maps"])
            for (slab, position), (grid, _), found in zip(slices, seen, maps, strict=True)
        ]

    def _features(self, slab: Slab, position: int) -> tuple[PriorGrid, Float]:
        """Return the window of a slice and what the network sees there, (11, rows, columns)."""
        last = len(slab.indices) - 1
        three = [max(position - 1, 0), position, min(position + 1, last)]
        grid = window_around(
            slab.bodies[position].mask | slab.metal[position],
            slab.radon.pixel_mm,
            self.settings.pixel_mm,
            margin_mm=self.settings.margin_mm,
            multiple=self.settings.multiple,
        )
        hu, nmar, metal = slab.hu, slab.nmar_hu, slab.metal
        seen = np.empty((N_FEATURES, *hu.shape[1:]), dtype=np.float32)
        for n, p in enumerate(three):
            self._units(hu[p], seen[n])
            self._units(nmar[p], seen[3 + n])
            seen[7 + n] = metal[p]
        self._units(slab.li_hu[position], seen[6])
        seen[10] = slab.saturated[position]
        return grid, grid.into(seen)

    def _combined(self, slab: Slab, position: int, grid: PriorGrid, maps: Float) -> Float:
        """Put the network's two maps together to the cleaned image, HU."""
        settings = self.settings
        residual, blend = grid.back(maps)
        nmar = slab.nmar_hu[position]
        clipped = np.clip(slab.hu[position], settings.low_hu, settings.high_hu)
        clipped -= nmar
        clipped *= blend
        clipped += nmar
        residual *= np.float32(settings.scale_hu)
        clipped += residual
        cleaned: Float = clipped
        return cleaned

    def _units(self, hu: Float, out: Float) -> None:
        """Clip, and measure from air in the network's units: outside the image is air, 0."""
        settings = self.settings
        np.clip(hu, settings.low_hu, settings.high_hu, out=out)
        out -= np.float32(_AIR_HU)
        out /= np.float32(settings.scale_hu)
