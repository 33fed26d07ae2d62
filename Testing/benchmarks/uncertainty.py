"""How far values may be off: scale the map on scans of known truth, and see whether it holds.

``python -m Testing.benchmarks.uncertainty fit CASES``: on the validation patient's scans that
``spinemar-train foreign-cases`` makes, with their true metal; prints the numbers that stand in
`spinemar.mar.correction.uncertainty.SCALES`.

``python -m Testing.benchmarks.uncertainty score [CASES]``: how many of 100 errors lie within what
the map says, by distance from the metal, on those scans and on the judge's
(``python -m Testing.benchmarks.xcist make``), which nothing is fitted on -> Docs/uncertainty.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.regions import with_margin
from spinemar.mar.correct import correct_volume
from spinemar.mar.correction.proposal import propose
from spinemar.mar.correction.uncertainty import SCALES, UncertaintyScale, uncertainty_terms
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.pipeline.gate import decide
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar.mar.settings import Method
from spinemar.volume import CTVolume
from Testing.benchmarks.found_metal import slices_with_metal
from Testing.benchmarks.marked_page import fill_between
from Testing.benchmarks.xcist import cases as judge

PAGE = Path(__file__).resolve().parents[2] / "Docs" / "uncertainty.md"
MARKS = "<!-- table: begin -->\n", "<!-- table: end -->"
MIDDLE = 1
"""Of three adjacent slices; the neighbours help the networks."""
WITHIN = 0.95
RINGS_MM = (0.0, 5.0, 10.0, 20.0, 40.0, 60.0)
METHODS: tuple[Method, ...] = tuple(m for m in get_args(Method) if m in SCALES)
_PIXELS_A_RING = 300
_FREEDOM = 3.0
"""Of the t distribution that errors are taken to follow: many small ones, some large ones."""


@dataclass(frozen=True)
class Scan:
    """A scan of known truth; of its slices the middle one is judged."""

    name: str
    scan: CTVolume
    truth: CTVolume
    fraction: NDArray[np.float32]


@dataclass(frozen=True)
class Errors:
    """Pixels of one corrected slice, as many of each ring around the metal.

    Parameters
    ----------
    hu : ndarray, shape (n,)
        What the corrected value is above the truth.
    near_mm : ndarray, shape (n,)
    squares : ndarray, shape (3, n)
        Terms of the map, or what the map says, squared; (1, n).
    """

    hu: NDArray[np.float64]
    near_mm: NDArray[np.float64]
    squares: NDArray[np.float64]


def own_scans(folder: Path) -> Iterator[Scan]:
    """Read what `spinemar-train foreign-cases` made."""
    from spinemar_training.data.out_of_domain import load_cases

    for case in load_cases(folder):
        if case.metal is not None:
            yield Scan(case.name, case.scan, case.truth, case.metal.fraction)


def judge_scans(folder: Path) -> Iterator[Scan]:
    """Read the judge's scans in 12 bit."""
    for case in judge.read_cases(folder):
        yield Scan(case.name, case.scans["12-bit"], case.truth, case.metal_fraction)


def terms_of(one: Scan, method: Method) -> Errors | None:
    """Return the terms that the fit weighs; None where the gate leaves the slice alone."""
    metal, slices = slices_with_metal(one.scan)
    inpainter = make_inpainter(method, None, "cpu")
    slab = Slab.around(slices, MIDDLE, MIDDLE + 1, inpainter.neighbours)
    if not metal[MIDDLE].any():
        return None
    (proposal,) = propose(slab, inpainter)
    decision = decide(proposal.features, inpainter.gate)
    if not decision.corrected:
        return None
    alone = Slab(slices, [MIDDLE], slice(0, 1))
    terms = uncertainty_terms(alone, proposal, method, decision.strength)
    after = one.scan.hu[MIDDLE] + np.float32(decision.strength) * proposal.change
    judged = alone.bodies[0].mask & ~metal[MIDDLE]
    return _sampled(one, after, terms.squares(), judged, alone.radon.pixel_mm)


def map_of(one: Scan, method: Method) -> Errors | None:
    """Return what the map says of a correction as a user makes it."""
    result = correct_volume(one.scan, method=method, uncertainty=True, device="cpu", threads=1)
    said = result.uncertainty_hu
    if said is None or not said[MIDDLE].any():
        return None
    squares = said[MIDDLE].astype(np.float64)[None] ** 2
    pixel_mm = one.scan.spacing_mm[1], one.scan.spacing_mm[0]
    return _sampled(one, result.volume.hu[MIDDLE], squares, said[MIDDLE] > 0, pixel_mm)


def _sampled(
    one: Scan,
    after: NDArray[np.float32],
    squares: NDArray[np.floating],
    judged: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
) -> Errors:
    """Take as many pixels of each ring, outside the true metal and two pixels around it."""
    true = one.fraction[MIDDLE] > 0.5
    near = nearness_mm(true, pixel_mm)
    judged = judged & ~with_margin(true)
    rng = np.random.default_rng(0)
    taken = []
    for low, high in pairwise(RINGS_MM):
        ring = np.flatnonzero(judged & (near >= low) & (near < high))
        taken.append(rng.choice(ring, min(_PIXELS_A_RING, ring.size), replace=False))
    where = np.concatenate(taken)
    error = (after - one.truth.hu[MIDDLE]).ravel()[where]
    return Errors(
        error.astype(np.float64),
        near.ravel()[where].astype(np.float64),
        squares.reshape(len(squares), -1)[:, where].astype(np.float64),
    )


def fitted(errors: Sequence[Errors]) -> UncertaintyScale:
    """Return the weights under which the errors are likeliest, scaled to hold 95 of 100."""
    from scipy.optimize import minimize

    hu = np.concatenate([one.hu for one in errors])
    squares = np.concatenate([one.squares for one in errors], axis=1)

    def unlikely(logarithms: NDArray[np.float64]) -> float:
        variance = np.exp(logarithms) @ squares + 1.0
        tails = 0.5 * (_FREEDOM + 1) * np.log1p(hu**2 / variance / _FREEDOM)
        return float(np.mean(0.5 * np.log(variance) + tails))

    best = minimize(unlikely, np.log([0.1, 0.2, 1000.0]), method="Nelder-Mead",
                    options={"maxiter": 4000, "maxfev": 4000})  # fmt: skip
    weights = np.exp(best.x)
    wide = np.quantile(np.abs(hu) / np.sqrt(weights @ squares + 1.0), WITHIN)
    beside, severity, lost = weights * wide**2
    return UncertaintyScale(float(beside), float(severity), float(lost))


def share_within(errors: Iterable[Errors], low_mm: float, high_mm: float) -> list[float]:
    """Return for each slice which share of its errors in a ring lies within what is said."""
    shares = []
    for one in errors:
        ring = (one.near_mm >= low_mm) & (one.near_mm < high_mm)
        if ring.any():
            held = np.abs(one.hu[ring]) <= np.sqrt(one.squares[0, ring])
            shares.append(float(held.mean()))
    return shares


def row(title: str, method: str, errors: Sequence[Errors]) -> str:
    """Return a line of the table: of 100 errors within the map, by ring; worst slice; rank."""
    from scipy.stats import spearmanr

    rings = list(pairwise(RINGS_MM))
    held = [f"{100 * np.mean(share_within(errors, *ring)):.0f}" for ring in rings]
    each = share_within(errors, RINGS_MM[0], RINGS_MM[-1])
    hu = np.abs(np.concatenate([one.hu for one in errors]))
    said = np.sqrt(np.concatenate([one.squares[0] for one in errors]))
    rank = spearmanr(hu, said).statistic
    middle = [f"{np.median(said[_in(errors, ring)]):.0f}" for ring in rings]
    cells = [title, method, str(len(errors)), *held, f"{100 * np.mean(each):.0f}",
             f"{100 * min(each):.0f}", f"{rank:.2f}", " / ".join(middle)]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _in(errors: Sequence[Errors], ring: tuple[float, float]) -> NDArray[np.bool_]:
    near = np.concatenate([one.near_mm for one in errors])
    inside: NDArray[np.bool_] = (near >= ring[0]) & (near < ring[1])
    return inside


def table(scans: Sequence[tuple[str, Sequence[Scan]]]) -> list[str]:
    """Return the table of all scans and methods."""
    rings = [f"{low:.0f} to {high:.0f} mm" for low, high in pairwise(RINGS_MM)]
    head = ["scans", "method", "corrected", *rings, "all", "worst scan", "rank correlation",
            "median of the map, HU"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for title, ones in scans:
        for method in METHODS:
            found = [errors for one in ones if (errors := map_of(one, method)) is not None]
            lines.append(row(title, method, found))
            print(lines[-1], flush=True)
    return lines


def main() -> int:
    """Fit, or score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("fit", "score"))
    parser.add_argument("cases", type=Path, nargs="?")
    parser.add_argument("--judge", type=Path, default=judge.CASES)
    options = parser.parse_args()
    own = list(own_scans(options.cases)) if options.cases else []
    if options.task == "fit":
        for method in METHODS:
            found = [errors for one in own if (errors := terms_of(one, method)) is not None]
            print(method, len(found), fitted(found), flush=True)
        return 0
    scans = [("validation patient, own scanner", own)] if own else []
    lines = table([*scans, ("validation patient, the judge", list(judge_scans(options.judge)))])
    fill_between(PAGE, *MARKS, "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
