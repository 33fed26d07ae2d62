"""The prior network as a client of its manifest: images in, a cleaned image out.

The cleaned image is never shown: only its reprojection is used, matched to the measured rays
beside the trace, and only inside the trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import ModelError
from spinemar.mar.learned.resample import window_around
from spinemar.mar.models.manifest import Network
from spinemar.mar.models.session import NetworkSession
from spinemar.mar.slab import Slab

Float = NDArray[np.float32]
N_FEATURES = 11
_AIR_HU = -1000.0


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
    """

    pixel_mm: float
    scale_hu: float
    low_hu: float
    high_hu: float
    multiple: int
    margin_mm: float

    @classmethod
    def of(cls, network: Network) -> PriorSettings:
        """Read the settings; anything missing or absurd is a `ModelError`."""
        settings, scale = network.settings, network.normalisation

        def number(source: Any, key: str) -> float:
            value = source.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _unfit(network, f"has no setting {key}")
            return float(value)

        found = cls(
            pixel_mm=number(settings, "pixel_mm"),
            scale_hu=number(scale, "scale_hu"),
            low_hu=number(scale, "low_hu"),
            high_hu=number(scale, "high_hu"),
            multiple=int(number(settings, "multiple")),
            margin_mm=number(settings, "margin_mm"),
        )
        sane = 0.2 < found.pixel_mm < 5 and found.scale_hu > 0 and found.low_hu < found.high_hu
        if not sane or not 1 <= found.multiple <= 256 or not 0 <= found.margin_mm < 200:
            raise _unfit(network, "has settings that make no sense")
        return found


class PriorNetwork:
    """Cleans the slices of a slab.

    Parameters
    ----------
    network : Network
        With input `features` (B, 11, H, W) and output `maps` (B, 2, H, W).
    session : NetworkSession
    """

    def __init__(self, network: Network, session: NetworkSession) -> None:
        shapes = (None, N_FEATURES, None, None), (None, 2, None, None)
        if dict(network.inputs) != {"features": shapes[0]} or dict(network.outputs) != {
            "maps": shapes[1]
        }:
            raise _unfit(network, "has other inputs than features or other outputs than maps")
        self.settings = PriorSettings.of(network)
        self._session = session

    def clean(self, slab: Slab, positions: list[int]) -> Float:
        """Return cleaned HU of the slab's slices at `positions`, (n, rows, columns)."""
        pixel = slab.radon.pixel_mm
        settings = self.settings
        bodies = slab.bodies
        region = np.any([bodies[p].mask for p in positions], axis=0)
        region |= slab.metal[positions].any(axis=0)
        grid = window_around(
            region,
            pixel,
            settings.pixel_mm,
            margin_mm=settings.margin_mm,
            multiple=settings.multiple,
        )
        needed = sorted({q for p in positions for q in self._three(slab, p)})
        place = {q: n for n, q in enumerate(needed)}
        small = {
            "hu": grid.into(self._units(slab.hu[needed])),
            "nmar": grid.into(self._units(slab.nmar_hu[needed])),
            "metal": grid.into(slab.metal[needed].astype(np.float32)),
        }
        li = grid.into(self._units(slab.li_hu[positions]))
        saturated = grid.into(slab.saturated[positions].astype(np.float32))
        raw, nmar = slab.hu, slab.nmar_hu
        out = np.empty((len(positions), *raw.shape[1:]), dtype=np.float32)
        for n, p in enumerate(positions):
            slab.products.raise_if_cancelled()
            three = [place[q] for q in self._three(slab, p)]
            features = np.concatenate(
                [
                    small["hu"][three],
                    small["nmar"][three],
                    li[n : n + 1],
                    small["metal"][three],
                    saturated[n : n + 1],
                ]
            )
            maps = self._session.run({"features": features[None]})["maps"][0]
            residual, blend = grid.back(maps)
            clipped = np.clip(raw[p], settings.low_hu, settings.high_hu)
            out[n] = nmar[p] + blend * (clipped - nmar[p]) + settings.scale_hu * residual
        return out

    def _three(self, slab: Slab, position: int) -> tuple[int, int, int]:
        """Positions of a slice and its neighbours in the slab."""
        last = len(slab.indices) - 1
        return max(position - 1, 0), position, min(position + 1, last)

    def _units(self, hu: Float) -> Float:
        """Clip, and measure from air in the network's units: outside the image is air, 0."""
        settings = self.settings
        clipped = np.clip(hu, settings.low_hu, settings.high_hu)
        return np.asarray((clipped - _AIR_HU) / settings.scale_hu, dtype=np.float32)


def _unfit(network: Network, problem: str) -> ModelError:
    return ModelError(
        f"The prior network {network.file} {problem}.",
        "Use a model published for this version of the software.",
    )
