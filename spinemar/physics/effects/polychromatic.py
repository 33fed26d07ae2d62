"""Beer-Lambert for many energies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Multiply-adds of one product. The block then stays in the cache, and below 2**18 OpenBLAS
# does not start threads of its own, which would wait for each other where slices already run
# side by side.
_PRODUCT = 200_000


def transmission(
    paths_mm: NDArray[np.float32], mu: NDArray[np.floating], shares: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Compute the transmitted share of one or more weighted spectra along each ray.

    Parameters
    ----------
    paths_mm : ndarray, shape (materials, ...)
        Length of each material along each ray in mm.
    mu : ndarray, shape (materials, energies)
        Attenuation in 1/mm.
    shares : ndarray, shape (outputs, energies)
        Weights of the energies for each output (signal, variance).

    Returns
    -------
    ndarray of float32, shape (outputs, ...)
        sum_E shares[o, E] * exp(-sum_m mu[m, E] * paths[m]).
    """
    rays = paths_mm.reshape(len(paths_mm), -1)
    minus_mu = np.ascontiguousarray(-np.asarray(mu, dtype=np.float32).T)
    weights = np.asarray(shares, dtype=np.float32)
    result = np.empty((len(weights), rays.shape[1]), dtype=np.float32)
    size = max(64, _PRODUCT // minus_mu.size)
    work = np.empty((minus_mu.shape[0], size), dtype=np.float32)
    for start in range(0, rays.shape[1], size):
        block = rays[:, start : start + size]
        exponent = np.matmul(minus_mu, block, out=work[:, : block.shape[1]])
        np.exp(exponent, out=exponent)
        np.matmul(weights, exponent, out=result[:, start : start + size])
    return result.reshape(len(weights), *paths_mm.shape[1:])
