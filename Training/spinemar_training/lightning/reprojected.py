"""The prior alone, judged by the corrected slice: through projection, match and reconstruction.

The correction is linear in the picture, so the corrected slice's error is that of a perfect
picture plus what the picture's error becomes in the lost rays (`spinemar_training.reprojected`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spinemar.mar.pipeline.interpolation.prior_image import BONE_THRESHOLD_HU
from spinemar.tomography.geometry import SinogramGeometry
from spinemar_training.correction.scores import (
    gradient_rmse,
    masked_rmse,
    steepness,
)
from spinemar_training.lightning.schedule import Budget, OneNetwork
from spinemar_training.networks.prior import PriorNetwork, combine
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.reprojected.samples import Sample
from spinemar_training.simulate.classical import fill_trace

_LARGEST_GRADIENT = 1.0
_NEGLIGIBLE_HU = 10.0
"""Errors far below it count no less."""


class LostRays:
    """What the errors of pictures become in corrected slices; a projector for each size."""

    def __init__(self) -> None:
        self._projectors: dict[tuple[int, int, int], NufftRadon] = {}

    def error_hu(self, picture_hu: Tensor, sample: Sample) -> Tensor:
        """Return the corrected slice's error (n, n) in HU; differentiable in the picture (n, n).

        Lengths are in pixels and attenuation in HU: units cancel between the two transforms.
        """
        radon, lost = self._projector(len(picture_hu), sample.trace), sample.trace[None]
        rays = radon.forward((picture_hu - sample.truth_hu)[None])
        left = torch.where(lost, rays + fill_trace(-rays, lost), torch.zeros_like(rays))
        return sample.floor_hu + radon.fbp(left)[0]

    def _projector(self, size: int, trace: Tensor) -> NufftRadon:
        views, bins = trace.shape
        key = (size, views, bins)
        if key not in self._projectors:
            pixels = (1.0, 1.0)
            grid = SinogramGeometry.for_image((size, size), pixels, n_views=views, n_bins=bins)
            self._projectors[key] = NufftRadon(*key, bin_px=grid.bin_mm, threads=1)
        return self._projectors[key]


def picture_of(network: PriorNetwork, sample: Sample) -> Tensor:
    """Return the prior's picture of a sample, (n, n) HU."""
    features = sample.features[None].contiguous(memory_format=torch.channels_last)
    maps = network(features).float()[0]
    residual, blend = torch.einsum("pq,cqr,sr->cps", sample.rows, maps, sample.columns)
    return combine(sample.input_hu, sample.nmar_hu, residual, blend)


class ReprojectedTraining(OneNetwork):
    """Error of the corrected slice, near metal, in bone and at edges, as a share of itself.

    Logarithms of root mean squares: a tenth less is worth as much in a mild slice as in a severe
    one. Squares would teach steel alone, roots the few slices that nobody can save.

    Parameters
    ----------
    network : PriorNetwork
    budget : Budget
    near_weight, bone_weight, gradient_weight : float
        Of the error within 20 mm of metal, in bone there, and of its gradient there.
    sharpness_weight : float
        Of what the truth's edges far from metal lose in steepness.
    """

    def __init__(
        self,
        network: PriorNetwork,
        budget: Budget,
        *,
        near_weight: float = 1.0,
        bone_weight: float = 0.25,
        gradient_weight: float = 0.25,
        sharpness_weight: float = 0.5,
    ) -> None:
        super().__init__(network, budget, _LARGEST_GRADIENT)
        self._lost_rays = LostRays()
        self.near_weight, self.bone_weight = near_weight, bone_weight
        self.gradient_weight, self.sharpness_weight = gradient_weight, sharpness_weight

    def training_step(self, batch: list[Sample], _: int) -> Tensor:
        return torch.stack([self._loss(sample) for sample in batch]).mean()

    def _loss(self, sample: Sample) -> Tensor:
        picture = picture_of(self.network, sample)
        with torch.autocast("cpu", enabled=False):
            error = self._lost_rays.error_hu(picture, sample)[None]
        truth, near = sample.truth_hu[None], sample.near[None]
        nothing = torch.zeros_like(error)
        whole = masked_rmse(error, nothing, sample.scored[None])[0]
        beside = masked_rmse(error, nothing, near)[0]
        bone = masked_rmse(error, nothing, near * (truth > BONE_THRESHOLD_HU))[0]
        edges = gradient_rmse(error, nothing, near)[0]
        steep = steepness(truth + error, truth, (sample.scored - sample.near)[None])[0]
        loss = (
            _log(whole)
            + self.near_weight * _log(beside)
            + self.bone_weight * _log(bone)
            + self.gradient_weight * _log(edges)
            + self.sharpness_weight * (1 - steep).clamp(min=0)
        )
        told = {"rmse_hu": whole, "near_hu": beside, "bone_hu": bone, "steepness": steep}
        self.log_dict({"loss": loss, **told}, batch_size=1)
        return loss


def _log(error_hu: Tensor) -> Tensor:
    return torch.log(error_hu + _NEGLIGIBLE_HU)
