"""Why the rule on measured rays does not travel: the judge's physics switched off one by one.

``switch-NAME.npz`` in a case's folder holds scan and truth, unlimited HU. Of each it is told how
large the rest is in the trace, how much of it is what the prior misses (correlation in the image's
norm; 1 would be all of it), and what the rule does to the picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from spinemar_study.measured.rest import root_of_ramp

from spinemar.base.atomic_files import atomic_path
from spinemar.io import read_volume
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.pipeline.interpolation.normalized import matched_prior
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.tomography.units import hu_to_mu
from Testing.benchmarks.xcist.cases import SLICES, Case, read_case, run_scanner
from Testing.benchmarks.xcist.comparing.measured import RULE_STRENGTH, rest_of_middle
from Testing.benchmarks.xcist.install import install
from Testing.benchmarks.xcist.phantom import make_phantom
from Testing.benchmarks.xcist.score import MIDDLE, Picture, score_picture

AS_IT_IS = "as it is"
NO_CLIP = "no clip"
SWITCHES = MappingProxyType(
    {
        AS_IT_IS: {},
        NO_CLIP: {},
        "no scatter": {"scatter": 0.0},
        "no blur": {"samples": 1, "crosstalk": 0.0},
        "hundredfold dose": {"ma": 30000.0},
    }
)


@dataclass(frozen=True)
class Switched:
    """What the rest is like under one switch."""

    case: str
    switch: str
    rest_nepers: float
    missing_nepers: float
    correlation: float
    ratio_near: float
    ratio_faint_out: float


def measure_switches(
    patient: Path, cases: Path, names: Sequence[str], known: Any = lambda case, switch: False
) -> Iterator[Switched]:
    """Scan what is not there yet, and yield the figures of every case and switch."""
    install()
    volume = read_volume(patient)
    learned = make_inpainter("generator", None, "cpu")
    assert isinstance(learned, LearnedInpainter)
    prior = learned.without_generator()
    for name in names:
        folder = cases / name
        case = read_case(folder)
        for switch, changes in SWITCHES.items():
            if known(name, switch):
                continue
            if not changes:
                yield _measured(case, switch, prior)
                continue
            path = folder / f"switch-{switch.replace(' ', '-')}.npz"
            if not path.is_file():
                _scan(path, case, changes, volume)
            with np.load(path) as stored:
                hu = {key: _stack(stored_hu(stored[key], "12-bit")) for key in ("scan", "truth")}
            other = replace(
                case,
                scans={"12-bit": case.truth.with_hu(hu["scan"])},
                truth=case.truth.with_hu(hu["truth"]),
            )
            yield _measured(other, switch, prior)


def _scan(path: Path, case: Case, changes: dict[str, Any], volume: Any) -> None:
    task = {**case.facts["protocol"], **changes}
    phantom = make_phantom(volume, case.plan, case.facts["height_mm"], task["slice_mm"])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as name:
        found = run_scanner(Path(name) / "xcist", phantom, task)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, scan=found["scan"], truth=found["truth"])


def _stack(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(image, np.float32)[None], SLICES, axis=0)


def _measured(case: Case, switch: str, prior: LearnedInpainter) -> Switched:
    scan = case.scans["extended" if switch == NO_CLIP else "12-bit"]
    metal = segment_metal(scan).mask
    seen = rest_of_middle(scan, metal, prior)
    rays = seen.slab.radon.forward(hu_to_mu(case.truth.hu[MIDDLE])[None])[0]
    truth = rays[:: len(rays) // len(seen.rest)]
    wanted = matched_prior(seen.measured, truth, seen.trace)
    missing = np.where(seen.trace, wanted - seen.filled, 0.0)
    both = [root_of_ramp(one.astype(np.float32)) for one in (seen.rest, missing)]
    shared = float((both[0] * both[1]).sum())
    norms = [float(np.linalg.norm(one)) for one in both]
    ratios = _ratios(case, scan.hu, seen.change, RULE_STRENGTH * seen.shown_hu, metal)
    return Switched(
        case.name,
        switch,
        seen.spread,
        float(missing[seen.trace].std()),
        shared / (norms[0] * norms[1]),
        *ratios,
    )


def _ratios(
    case: Case, hu: np.ndarray, change: np.ndarray, added: np.ndarray, metal: np.ndarray
) -> tuple[float, float]:
    """Errors within 20 mm with the rule over those without, both regions; no gate."""
    seen = []
    for extra in (0.0, added):
        picture = hu.copy()
        picture[MIDDLE] += np.where(metal[MIDDLE], 0.0, change + extra)
        volume = case.truth.with_hu(picture)
        seen.append(score_picture(case, Picture(volume, metal, metal), "12-bit", "rule").seen)
    strict, faint = (b.rmse_near_hu / a.rmse_near_hu for a, b in zip(*seen, strict=True))
    return strict, faint


def table(rows: Sequence[Switched]) -> list[str]:
    """One line a case and switch."""
    lines = [
        "| case | physics | rest, nepers | what the prior misses | correlation "
        "| rule: ratio within 20 mm | faint metal left out too |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = [f"{value:.3f}" for value in (row.rest_nepers, row.missing_nepers)] + [
            f"{value:.2f}" for value in (row.correlation, row.ratio_near, row.ratio_faint_out)
        ]
        lines.append("| " + " | ".join([row.case, row.switch, *figures]) + " |")
    return lines
