"""Training samples: a prefilled slice, its evidence, and where findings are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_training.data.out_of_domain import OutOfDomainCase
from spinemar_training.data.prefill import FrozenPrior, from_case, slab_of
from spinemar_training.data.prefilled import PrefilledBatch, PrefilledSlice, collate, mirrored
from torch import Tensor

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.evaluation.regions import METAL_MARGIN_PX, NEAR_MM
from spinemar.evaluation.seen import METAL_SHARES
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar_study.measured.evidence import Evidence, evidence_of
from spinemar_study.measured.scans import VariedScan, read_varied_scan

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BODY_HU = -900.0
_STRICT, _FAINT = METAL_SHARES
_SURROUND_MM = 4.0
_LEAST_PIXELS, _LEAST_CONTRAST_HU = 12, 15.0
_SCANNER_BLUR_MM = 0.64
_EVIDENCE = ".evidence.npz"


@dataclass(frozen=True)
class Sample:
    """One slice.

    Parameters
    ----------
    batch : PrefilledBatch
        Of one.
    seen : Tensor, shape (1, 3, views, bins of the batch)
        Channels of the evidence.
    input_hu : Tensor, shape (1, rows, columns)
    whole, near, faint_out : Tensor, same shape
        Where errors count: body, within 20 mm of metal, and there without what holds more than
        5 % of metal; 2 px around metal left out.
    templates : tuple of Tensor, shape (rows, columns) each
        Findings as they would look, less their mean over themselves and 4 mm around.
    """

    batch: PrefilledBatch
    seen: Tensor
    input_hu: Tensor
    whole: Tensor
    near: Tensor
    faint_out: Tensor
    templates: tuple[Tensor, ...]


def prepare(scans: Path, prior: FrozenPrior, output: Path) -> Iterator[Path]:
    """Prefill every scan of a folder and fit its metal; those that are there are kept."""
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(scans.glob("[0-9]*.npz")):
        target = output / f"{path.stem}.npz"
        if target.exists():
            continue
        scan = read_varied_scan(path)
        case = OutOfDomainCase(path.stem, scan.scan, scan.truth, scan.facts)
        slab = slab_of(case)
        if slab is None:
            continue
        one = from_case(case, slab, prior)
        evidence = evidence_of(slab, 1, one.filled[1], one.measured[1], one.trace[1])
        with (
            atomic_path(output / f"{path.stem}{_EVIDENCE}") as temporary,
            temporary.open("wb") as stream,
        ):
            np.savez_compressed(
                stream,
                rest=evidence.rest.astype(np.float16),
                lengths_mm=evidence.lengths_mm.astype(np.float16),
            )
        one.save(target)  # last: with it the sample is whole
        yield target


class Samples:
    """The samples of a folder, varied by mirror images.

    Parameters
    ----------
    prepared, scans : Path
        As `prepare` wrote and read them.
    seed : int
    """

    def __init__(self, prepared: Path, scans: Path, seed: int) -> None:
        self._prepared, self._scans = prepared, scans
        self._names = [
            path.stem
            for path in sorted(prepared.glob("[0-9]*.npz"))
            if not path.name.endswith(_EVIDENCE)
        ]
        if not self._names:
            raise InputError(
                f"{prepared} holds no prepared slices.",
                "Make them with `spinemar-study measured`.",
            )
        self._rng = np.random.default_rng(seed)

    def draw(self) -> Sample:
        """Return one at random, mirrored or not."""
        name = self._names[int(self._rng.integers(len(self._names)))]
        one = PrefilledSlice.load(self._prepared / f"{name}.npz")
        with np.load(self._prepared / f"{name}{_EVIDENCE}", allow_pickle=False) as stored:
            evidence = Evidence(*(stored[n].astype(np.float32) for n in ("rest", "lengths_mm")))
        scan = read_varied_scan(self._scans / f"{name}.npz")
        flips = tuple(axis for axis in (0, 1) if self._rng.random() < 0.5)
        for axis in flips:
            one = mirrored(one, rows=axis == 0)
            evidence = evidence.mirrored(rows=axis == 0)
        return sample_of(one, evidence, scan, flips)


def sample_of(
    one: PrefilledSlice, evidence: Evidence, scan: VariedScan, flips: tuple[int, ...]
) -> Sample:
    """Put a sample together; `flips` are the axes that `one` and `evidence` are mirrored along."""
    batch = collate([one])
    seen = evidence.channels(one.trace[1])
    side = (seen.shape[-1] - batch.filled.shape[-1]) // 2
    seen = seen[..., side : side + batch.filled.shape[-1]]

    def turned(image: Image) -> Image:
        return np.ascontiguousarray(np.flip(image, flips))

    fraction = turned(scan.fraction)
    pixel = one.pixel_mm
    strict, faint = (nearness_mm(fraction > share, (pixel, pixel)) for share in (_STRICT, _FAINT))
    body = one.truth_hu > _BODY_HU
    templates = [
        _template(turned(scan.added), turned(share), faint > pixel, pixel)
        for share in scan.shares.values()
    ]
    return Sample(
        batch,
        torch.from_numpy(np.ascontiguousarray(seen))[None],
        torch.from_numpy(one.input_hu)[None],
        *_as_weights(body, strict, faint, METAL_MARGIN_PX * pixel),
        tuple(torch.from_numpy(t) for t in templates if t is not None),
    )


def _as_weights(
    body: Mask, strict_mm: Image, faint_mm: Image, margin_mm: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three regions of a sample as weights, (1, rows, columns) each."""
    away, close = strict_mm > margin_mm, strict_mm <= NEAR_MM
    regions = (body & away, body & away & close, body & (faint_mm > margin_mm) & close)
    whole, near, faint_out = (torch.from_numpy(one)[None].float() for one in regions)
    return whole, near, faint_out


def _template(added: Image, share: Image, free: Mask, pixel_mm: float) -> Image | None:
    """Return a finding as a scan shows it, less its mean; None where too little of it shows."""
    shown = ndimage.gaussian_filter(added * (share > 0), _SCANNER_BLUR_MM / pixel_mm)
    distance = ndimage.distance_transform_edt(share <= _FAINT, sampling=pixel_mm)
    window = (distance <= _SURROUND_MM) & free
    core = (share > 0.3) & window
    if int(core.sum()) < _LEAST_PIXELS:
        return None
    if float(np.sqrt(np.mean(shown[core] ** 2))) < _LEAST_CONTRAST_HU:
        return None
    freed = np.where(window, shown - shown[window].mean(), np.float32(0))
    return np.asarray(freed, np.float32)
