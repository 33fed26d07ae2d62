"""Beam-hardening correction: the water length that explains a polychromatic projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.effects.bowtie import BOWTIE_MATERIAL
from spinemar.physics.spectra import Beam
from spinemar.tomography.units import MU_WATER_PER_MM

_STEP = 0.05
_LONGEST_MM = 1500.0
_CALIBRATION_MM = 200.0


@dataclass(frozen=True)
class WaterCorrection:
    """A table for each detector bin, linear between its nodes.

    Parameters
    ----------
    table : ndarray of float32, shape (bins, nodes)
        Monochromatic water projection for measured projections 0, step, 2 step ...
    step : float
        Distance between the nodes in nepers.
    """

    table: NDArray[np.float32]
    step: float = _STEP

    def __call__(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct projections of shape (..., bins); straight lines beyond the table's ends."""
        nodes = self.table.shape[1]
        position = projections * np.float32(1.0 / self.step)
        index = np.clip(position.astype(np.int32), 0, nodes - 2)
        fraction = position - index
        index += np.arange(self.table.shape[0], dtype=np.int32) * nodes
        flat = self.table.reshape(-1)
        low = flat.take(index)
        low += fraction * (flat.take(index + 1) - low)
        return low


def water_correction(
    beam: Beam, bowtie: NDArray[np.floating], *, hardening: bool = True
) -> WaterCorrection:
    """Calibrate on water.

    Parameters
    ----------
    beam : Beam
        With the attenuation of water and of the bowtie's material.
    bowtie : ndarray, shape (bins,)
        Bowtie thickness in mm; each bin has its own spectrum.
    hardening : bool
        False: one factor for all lengths, right at 200 mm of water in the central bin, so
        that HU keep their scale but water cups.
    """
    lengths = np.arange(0.0, _LONGEST_MM, 2.0)
    thickness, bin_of = np.unique(np.round(np.asarray(bowtie, float), 2), return_inverse=True)
    if not hardening:
        p = _water_projection(beam, np.array([_CALIBRATION_MM]), float(thickness.min()))[0]
        line = np.array([0.0, _CALIBRATION_MM * MU_WATER_PER_MM / p])
        table = np.tile(line, (len(bin_of), 1)).astype(np.float32)
        return WaterCorrection(table, 1.0)
    nodes = np.arange(0.0, 20.0 + _STEP / 2, _STEP)
    rows = [
        np.interp(nodes, _water_projection(beam, lengths, t), lengths) * MU_WATER_PER_MM
        for t in thickness
    ]
    return WaterCorrection(np.stack(rows)[bin_of.reshape(-1)].astype(np.float32))


def _water_projection(
    beam: Beam, lengths_mm: NDArray[np.float64], bowtie_mm: float
) -> NDArray[np.float64]:
    weights = beam.signal * np.exp(-beam.mu[BOWTIE_MATERIAL] * bowtie_mm)
    # Relative to the hardest energy, so that very long paths do not underflow.
    exponents = np.outer(lengths_mm, beam.mu["water"])
    least = exponents.min(axis=1, keepdims=True)
    left = np.exp(least - exponents) @ (weights / weights.sum())
    return np.asarray(least[:, 0] - np.log(left))
