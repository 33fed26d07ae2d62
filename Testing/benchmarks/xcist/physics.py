"""How XCIST is told to scan: its own models, and four functions that it calls back.

Runs in the scanning process only, where `gecatsim` can be imported. XCIST looks a callback up as
the function of that name in the module of that name: `register` makes such a module.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# A detector 40 mm wide along z sees about as much scatter as XCIST's 64 mm at this factor.
_SCATTER_SHARE = 40.0 / 64.0
_LEAST = 1e-10


def register(name: str, function: Callable[..., Any]) -> str:
    """Let XCIST find a function under a name; returns the name."""
    module = types.ModuleType(name)
    setattr(module, name, function)
    sys.modules[name] = module
    return name


class TissueOnce:
    """The projector of XCIST for two scans of one patient: tissue is cast once.

    The first scan (without metal) casts the tissue from the middle of the focal spot, as its
    width hardly shows in tissue, and keeps what passes. The second casts what the implants change
    (metal, less the tissue in its place) from every sample of the spot, and multiplies.
    """

    def __init__(self) -> None:
        self.passed: dict[int, NDArray[np.float32]] = {}
        self.with_metal = False

    def __call__(self, cfg: Any, view: int, subview: int) -> Any:
        from gecatsim.pyfiles.C_Projector_Voxelized import C_Projector_Voxelized

        source, flux = cfg.srcNew, cfg.thisSubView
        if not self.with_metal:
            middle = source.weights @ source.samples
            cfg.srcNew = self._spot(source, middle.astype(np.float32))
            cfg.thisSubView = np.ones_like(flux)
            C_Projector_Voxelized(cfg, view, subview)
            self.passed[view] = cfg.thisSubView
            cfg.srcNew, cfg.thisSubView = source, flux * cfg.thisSubView
            return cfg
        total = np.zeros_like(flux)
        for n in range(source.nSamples):
            cfg.srcNew = self._spot(source, source.samples[n : n + 1])
            cfg.thisSubView = np.ones_like(flux)
            # XCIST frees the phantom after the last view's only focal spot.
            last = n == source.nSamples - 1
            C_Projector_Voxelized(cfg, view if last else -1, subview)
            total += source.weights[0, n] * cfg.thisSubView
        cfg.srcNew, cfg.thisSubView = source, flux * self.passed[view] * total
        return cfg

    @staticmethod
    def _spot(source: Any, sample: NDArray[np.float32]) -> Any:
        spot = copy.copy(source)
        spot.nSamples, spot.samples = 1, sample
        spot.weights = np.ones((1, 1), np.float32)
        return spot


def scatter_kernel() -> NDArray[np.float64]:
    """XCIST's scatter kernel for an object that goes on along z: its sum over the rows."""
    from gecatsim.pyfiles.Scatter_ConvolutionModel import get_scatter_kernel

    return np.asarray(get_scatter_kernel(), float).sum(axis=1) * _SCATTER_SHARE


def add_scatter(cfg: Any, view: int, subview: int) -> Any:
    """XCIST's convolution model of scatter in one row (same constants and spectrum)."""
    primary = cfg.thisSubView.sum(axis=1)
    passed = np.maximum(primary / cfg.detFlux.sum(axis=1), _LEAST)
    made = primary * -np.log(passed) * 0.025 * cfg.physics.scatterScaleFactor
    spread = ndimage.convolve1d(made, cfg.scatter_kernel, mode="constant")
    spectrum = cfg.thisSubView.mean(axis=0)
    cfg.thisSubView += (spread[:, None] * (spectrum / spectrum.sum())).astype(np.float32)
    return cfg


def remove_scatter(cfg: Any, air: Any, offset: Any, scan: Any) -> Any:
    """XCIST's kernel-based correction in one row: what a scanner without a model of metal does."""
    paths = np.maximum(-np.log(np.maximum((scan - offset) / (air - offset), _LEAST)), _LEAST)
    guess = scan * paths**0.9 * 0.0268 * cfg.physics.scatterCorrectionScaleFactor
    scan -= ndimage.convolve1d(guess, cfg.scatter_kernel, axis=1, mode="constant")
    return air, offset, scan


class WaterCorrection:
    """XCIST's correction of beam hardening in water (`Prep_BHC_Accurate`), calibrated once.

    The calibration takes longer than a scan and depends on tube voltage, bowtie and detector
    alone, so that it is kept in a file between cases.
    """

    def __init__(self, kept: Path) -> None:
        self.kept = kept

    def __call__(self, cfg: Any, paths: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.kept.is_file():
            from gecatsim.pyfiles.Prep_BHC_Accurate import gen_BHC_vec

            made = self.kept.with_name(f".{self.kept.name}")
            np.save(made, gen_BHC_vec(cfg))
            made.rename(self.kept)
        corrected = np.zeros(paths.shape)
        for power in np.load(self.kept).T:
            corrected = corrected * paths + power
        return corrected.astype(np.float32)


class SharedNoise:
    """XCIST's energy-integrating detector, its noise the same in both scans, ray by ray.

    Quantum noise of the integrated energy is drawn as a normal deviate of its variance, so that
    a scan and its truth differ by the metal alone.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, cfg: Any, view: int, subview: int) -> Any:
        from gecatsim.pyfiles.CalcCrossTalk import CalcCrossTalk
        from gecatsim.pyfiles.CommonTools import feval
        from gecatsim.pyfiles.GetMu import GetMu

        energies = cfg.sim.Evec
        if view == cfg.sim.startViewId and subview == 0:
            passed = feval(cfg.physics.prefilterCallback, cfg)
            depth_cm = 0.1 * cfg.scanner.detectorDepth / np.cos(cfg.det.betas)
            stopped = 1 - np.exp(-depth_cm * GetMu(cfg.scanner.detectorMaterial, energies))
            cfg.sim.Wvec = (passed * stopped).astype(np.float32)
        photons = CalcCrossTalk(cfg.thisSubView * cfg.sim.Wvec, cfg)
        signal = photons.dot(energies)
        electronic = np.zeros_like(signal)
        if cfg.sim.isPhantomScan:
            rng = np.random.default_rng([self.seed, view])
            quantum, electronic = rng.standard_normal((2, signal.size))
            signal = np.maximum(signal + quantum * np.sqrt(photons.dot(energies**2)), 0.0)
        cfg.thisView = (
            signal * cfg.scanner.detectionGain + electronic * cfg.scanner.eNoise
        ).astype(np.float32)
        return cfg


def write_materials(folder: Path) -> None:
    """Write the alloys that XCIST does not have; mass fractions of ASTM F136, F1537, F138."""
    alloys = {
        "Ti-6Al-4V": (4.43, {22: 0.90, 13: 0.06, 23: 0.04}),
        "CoCrMo": (8.29, {27: 0.655, 24: 0.28, 42: 0.06, 25: 0.005}),
        "316L": (7.99, {26: 0.655, 24: 0.175, 28: 0.14, 42: 0.025, 25: 0.005}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (density, parts) in alloys.items():
        lines = [str(len(parts)), str(density), *(f"{z} {share}" for z, share in parts.items())]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
