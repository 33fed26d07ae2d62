"""The rest of the measured lost rays, after what metal explains is taken away.

Rays behind titanium are weakened, not lost: what they measured less what the prior says is the
metal itself, what the metal does to a polychromatic beam with scatter, and what the prior does not
know. The first two are fitted and taken away. The fit is a least squares one in the image's norm
(lines weighted by the root of the ramp along the detector): an image on the metal and its border,
and a few fields that are nonlinear in the metal's length L and in the ray's attenuation p.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.tomography.radon import RadonTransform

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LENGTH_MM, _NEPERS = 20.0, 4.0
"""Sizes of L and p that make the fields of one order."""
_SCATTER_MM = (15.0, 40.0, 100.0)
_DEEPEST_NEPERS, _MOST_SCATTER = 9.0, 20.0
_LEAST = 1e-8


def root_of_ramp(sinogram: Float) -> Float:
    """Weigh lines (..., bins) by the root of the ramp: the norm of the result is the image's."""
    length = 2 * sinogram.shape[-1]
    spectrum = np.fft.rfft(sinogram, n=length, axis=-1)
    spectrum *= np.sqrt(np.linspace(0.0, 1.0, spectrum.shape[-1]))
    weighted = np.fft.irfft(spectrum, n=length, axis=-1)[..., : sinogram.shape[-1]]
    return np.asarray(weighted, dtype=np.float32)


def metal_fields(lengths_mm: Float, filled: Float) -> list[Float]:
    """Beam hardening and blur of metal: L^2, L^3, Lp, L^2 p, Lp^2, root of L, slope of L.

    Parameters
    ----------
    lengths_mm : ndarray of float32, shape (views, bins)
        Of the rays in the metal's mask.
    filled : ndarray of float32, same shape
        Line integrals of the tissue, as the prior has them.
    """
    length, p = lengths_mm / _LENGTH_MM, filled / _NEPERS
    slope = np.abs(np.gradient(length, axis=-1))
    fields = [length**2, length**3, length * p, length**2 * p, length * p**2]
    return [np.asarray(f, np.float32) for f in (*fields, np.sqrt(np.maximum(length, 0)), slope)]


def scatter_fields(measured: Float, bin_mm: float) -> list[Float]:
    """Return what scatter of three widths adds, over what passed the ray.

    A share of I p is scattered (Ohnesorge et al. 1999, doi 10.1007/s003300050710), spreads over the
    detector, and counts for the more the less a ray let through: smooth(I p) / I.
    """
    passed = np.exp(-measured)
    over = np.exp(np.minimum(measured, _DEEPEST_NEPERS))
    fields = []
    for width_mm in _SCATTER_MM:
        spread = ndimage.gaussian_filter1d(passed * measured, width_mm / bin_mm, mode="nearest")
        fields.append(np.asarray(np.minimum(spread * over, _MOST_SCATTER), np.float32))
    return fields


class _Fields:
    """Fields that are taken away from a difference first, in the image's norm."""

    def __init__(self, fields: Sequence[Float], trace: Mask) -> None:
        weighted = [(field, _weigh(field, trace)) for field in fields]
        self._fields = [f / np.linalg.norm(w) for f, w in weighted if np.linalg.norm(w) > _LEAST]
        columns = [_weigh(field, trace).ravel() for field in self._fields]
        self._q = self._r = None
        if columns:
            self._q, self._r = np.linalg.qr(np.stack(columns, axis=1).astype(np.float64))

    def freed(self, weighted: Float) -> Float:
        """Return what of a weighted sinogram is orthogonal to all fields."""
        if self._q is None:
            return weighted
        along = self._q @ (self._q.T @ weighted.ravel())
        return weighted - along.reshape(weighted.shape).astype(np.float32)

    def fitted(self, weighted: Float) -> Float:
        """Return the sum of fields that is nearest to a weighted sinogram, not weighted."""
        if self._q is None or self._r is None:
            return np.zeros_like(weighted)
        sizes = np.linalg.solve(self._r, self._q.T @ weighted.ravel())
        return sum(
            (np.float32(s) * f for s, f in zip(sizes, self._fields, strict=True)),
            np.zeros_like(weighted),
        )


def rest_of_measured(
    radon: RadonTransform,
    difference: Float,
    trace: Mask,
    support: Mask,
    fields: Sequence[Float],
    steps: int = 6,
) -> Float:
    """Take away what metal explains of a difference in the lost rays.

    Conjugate gradients on the image, the fields being fitted anew at every step (variable
    projection).

    Parameters
    ----------
    radon : RadonTransform
    difference : ndarray of float32, shape (views, bins)
        Measured less filled line integrals, nepers.
    trace : ndarray of bool, same shape
        Lost rays; others count as no difference.
    support : ndarray of bool, shape (rows, columns)
        Pixels that metal may explain.
    fields : sequence of ndarray of float32, shape (views, bins) each
    steps : int

    Returns
    -------
    ndarray of float32, shape (views, bins)
        The rest, nepers; 0 outside the trace.
    """
    free = _Fields(fields, trace)
    image = np.zeros(support.shape, np.float32)

    def project(values: Float) -> Float:
        image[support] = values
        return radon.forward(image[None])[0]

    def transposed(weighted: Float) -> Float:
        back = np.where(trace, root_of_ramp(free.freed(weighted)), np.float32(0))
        return radon.adjoint(back[None])[0][support]

    values = np.zeros(int(support.sum()), np.float32)
    left = free.freed(_weigh(difference, trace))
    gradient = transposed(left)
    direction, size = gradient.copy(), float(gradient @ gradient)
    for _ in range(steps):
        step = free.freed(_weigh(project(direction), trace))
        energy = float((step * step).sum())
        if energy < _LEAST or size < _LEAST:
            break
        length = np.float32(size / energy)
        values += length * direction
        left = left - length * step
        gradient = transposed(left)
        following = float(gradient @ gradient)
        direction = gradient + np.float32(following / size) * direction
        size = following
    rest = difference - project(values)
    rest = rest - free.fitted(_weigh(rest, trace))
    return np.where(trace, rest, np.float32(0)).astype(np.float32)


def _weigh(sinogram: Float, trace: Mask) -> Float:
    return root_of_ramp(np.where(trace, sinogram, np.float32(0)))
