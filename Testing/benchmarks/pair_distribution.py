"""Levels, metals, lost rays and severity of a store's pairs beside those of the XCIST judge.

Both are measured alike on the uncorrected middle slice: metal found by itself, rays through it and
through what its streaks saturate, RMSE against the truth within 20 mm of the metal. The judge's
cases (`python -m Testing.benchmarks.xcist make`) are looked at here and never trained on.
Run: python -m Testing.benchmarks.pair_distribution STORE --judge CASES [--picture FILE.png]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.storage.layout import records
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar.physics.materials import METALS
from spinemar.spine.labels.levels import LEVELS
from Testing.benchmarks.found_metal import slices_with_metal
from Testing.benchmarks.xcist.cases import Case, read_cases
from Testing.benchmarks.xcist.constructs import CONSTRUCTS

_NEAR_MM = 20.0
_JUDGE, _PAIRS = "XCIST judge", "pairs"
_COLOURS = {_PAIRS: "#4477aa", _JUDGE: "#cc6633"}


@dataclass(frozen=True)
class Shown:
    """What the middle slice of a pair or a case shows.

    Parameters
    ----------
    level, metal : str
    lost_percent : float
        Of all rays.
    rmse_hu : float
        Of the uncorrected image within 20 mm of the metal.
    """

    level: str
    metal: str
    lost_percent: float
    rmse_hu: float


def of_store(store: Path) -> tuple[list[Shown], Counter[str]]:
    """Read a store's rows; also count why pairs were drawn anew."""
    rows = [row for record in records(store) for row in record.rows]
    anew = Counter(reason for row in rows for reason in row["drawn_anew"])
    shown = [
        Shown(
            row["slice_level"],
            _metal(name for name, areas in row["metal_mm2"].items() if areas[1] > 1.0),
            100.0 * row["lost_ray_share"][1],
            row["rmse_hu"]["input"][1],
        )
        for row in rows
    ]
    return shown, anew


def of_case(case: Case) -> Shown:
    """Measure one case of the judge as pairs are measured."""
    construct = next(one for one in CONSTRUCTS if one.name == case.name)
    scan, middle = case.scans["12-bit"], len(case.truth.hu) // 2
    metal, cache = slices_with_metal(scan)
    pixel = scan.spacing_mm[1], scan.spacing_mm[0]
    (lost,) = cache.get("lost_rays", [middle])
    error = (scan.hu - case.truth.hu)[middle]
    near = ~metal[middle] & (nearness_mm(metal[middle], pixel) <= _NEAR_MM)
    return Shown(
        construct.levels[0],
        _metal({construct.rods if construct.where == "between" else construct.screws}),
        100.0 * float(lost.trace.mean()),
        float(np.sqrt(np.mean(np.square(error[near], dtype=np.float64)))),
    )


def _metal(names: object) -> str:
    found = sorted(set(names) & set(METALS))  # type: ignore[call-overload]
    return "+".join(found) or "none"


def print_table(sides: dict[str, list[Shown]]) -> None:
    """Print shares and percentiles of both sides."""
    for title, name in (("level", "level"), ("metal", "metal")):
        print(f"\n{title:24}" + "".join(f"{side:>14}" for side in sides))
        for value in _values(sides, name):
            shares = (_share(shown, name, value) for shown in sides.values())
            print(f"{value:24}" + "".join(f"{100 * share:>12.0f} %" for share in shares))
    for title, name in (
        ("lost rays, %", "lost_percent"),
        ("RMSE near metal, HU", "rmse_hu"),
    ):
        print(f"\n{title:24}" + "".join(f"{side:>14}" for side in sides))
        for percentile in (5, 25, 50, 75, 95, 100):
            found = (
                np.percentile([getattr(one, name) for one in shown], percentile)
                for shown in sides.values()
            )
            print(f"{percentile:>3} %{'':19}" + "".join(f"{value:>14.1f}" for value in found))


def _values(sides: dict[str, list[Shown]], name: str) -> list[str]:
    found = {getattr(one, name) for shown in sides.values() for one in shown}
    return sorted(found, key=lambda v: (LEVELS.index(v) if v in LEVELS else -1, len(v), v))


def _share(shown: Sequence[Shown], name: str, value: str) -> float:
    return float(np.mean([getattr(one, name) == value for one in shown]))


def draw(sides: dict[str, list[Shown]], output: Path) -> None:
    """Draw levels, metals, lost rays and severity; each case of the judge is a stroke."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 6.0), dpi=80, layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis, name in zip(axes[:2], ("level", "metal"), strict=True):
        values = _values(sides, name)
        for number, (side, shown) in enumerate(sides.items()):
            shares = [100 * _share(shown, name, value) for value in values]
            places = np.arange(len(values)) + 0.4 * (number - 0.5)
            axis.bar(places, shares, 0.4, color=_COLOURS[side], label=f"{side} ({len(shown)})")
        turn = 0 if name == "level" else 20
        axis.set_xticks(range(len(values)), values, rotation=turn, fontsize=8)
        axis.set_ylabel("%")
        axis.set_title(f"{name} of the slice")
    axes[0].legend(frameon=False)
    for axis, name, title, log in (
        (axes[2], "lost_percent", "lost rays, %", False),
        (axes[3], "rmse_hu", "RMSE of the uncorrected slice within 20 mm of metal, HU", True),
    ):
        pairs = np.array([getattr(one, name) for one in sides[_PAIRS]])
        low, high = max(pairs.min(), 1e-3), pairs.max()
        edges = np.geomspace(low, high, 26) if log else np.linspace(0.0, high, 26)
        axis.hist(pairs, edges, color=_COLOURS[_PAIRS])
        for one in sides.get(_JUDGE, ()):
            axis.axvline(getattr(one, name), color=_COLOURS[_JUDGE], linewidth=1.2)
        axis.set_xscale("log" if log else "linear")
        axis.set_xlabel(title)
        axis.set_ylabel("pairs")
    with atomic_path(output) as path:
        figure.savefig(path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--judge", type=Path, help="folder of the judge's cases")
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    chosen = parser.parse_args()
    shown, anew = of_store(chosen.store)
    sides = {_PAIRS: shown}
    if chosen.judge is not None:
        sides[_JUDGE] = [of_case(case) for case in read_cases(chosen.judge)]
    drawn = len(shown) + sum(anew.values())
    print(f"{len(shown)} pairs; of {drawn} that were scanned drawn anew: {dict(anew) or 'none'}")
    print_table(sides)
    if chosen.picture is not None:
        draw(sides, chosen.picture)


if __name__ == "__main__":
    main()
