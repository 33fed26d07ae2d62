"""Wrong earlier CTs: of another patient, or of another part of the same one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.evaluation.seen import METAL_SHARES
from spinemar.io import read_volume
from spinemar.registration.register import lay_over
from spinemar.volume import CTVolume
from Testing.benchmarks.earlier_ct.making.pair import Pair, read_pair
from Testing.benchmarks.earlier_ct.making.patients import ct_of
from Testing.benchmarks.earlier_ct.scoring.score import WITHOUT

STRANGERS = ("crlm_1004", "acrin_flt_breast_001_abd", "lidc0314_lower", "lungfcp_01_0001",
             "cmb_crc_01068")  # fmt: skip
TRIED = "refusals.json"
TRIES = 20
_FAR_MM = 60.0


def try_wrong(pairs: Path, rows: Path) -> Iterator[dict[str, Any]]:
    """Lay a wrong CT over each of twenty corrected scans; says whether it was refused.

    Strangers come in turn; every fifth try is the patient's own CT of another region. Scans were
    corrected by `score`, as a correction itself does before it registers.
    """
    names = [path.stem for path in sorted(rows.glob("own-*.json"))]
    if not names:
        raise InputError(f"No pair was scored in {rows}.", "Score pairs of the own scanner first.")
    for number in range(TRIES):
        pair = read_pair(pairs / names[(number * 7) % len(names)])
        if number % 5 == 4:
            name, volume = f"{pair.facts['patient']}, another region", _elsewhere(pair)
        else:
            name = STRANGERS[(number - number // 5) % len(STRANGERS)]
            volume = read_volume(ct_of(name))
        yield {"scan": pair.name, "given": name, **_tried(pair, rows, volume)}


def _tried(pair: Pair, rows: Path, volume: CTVolume) -> dict[str, Any]:
    with np.load(rows / f"{pair.name}-{WITHOUT}.npz") as stored:
        corrected = pair.scan.with_hu(stored["hu"].astype(np.float32))
    metal = ndimage.binary_dilation(pair.metal_fraction >= METAL_SHARES[1])
    try:
        laid = lay_over(corrected, metal, volume)
    except InputError as error:
        return {"refused": True, "why": error.problem}
    return {"refused": False, "why": " ".join(laid.registration.warnings)}


def _elsewhere(pair: Pair) -> CTVolume:
    """What the patient's CT shows farther than 60 mm from the scan, towards the larger part."""
    volume = read_volume(ct_of(pair.facts["patient"]))
    step, first = volume.ijk_to_ras[2, 2], volume.ijk_to_ras[2, 3]
    ends = [pair.scan.ijk_to_ras[2, 3], 0.0]
    ends[1] = ends[0] + pair.scan.ijk_to_ras[2, 2] * (len(pair.scan.hu) - 1)
    below = int((min(ends) - _FAR_MM - first) / step)
    above = int((max(ends) + _FAR_MM - first) / step) + 1
    part = slice(0, below) if below > len(volume.hu) - above else slice(above, len(volume.hu))
    affine = volume.ijk_to_ras.copy()
    affine[2, 3] = first + step * part.start
    return CTVolume(volume.hu[part], affine)
