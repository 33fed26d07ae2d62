"""The results: every method on the sample CT, in three metals, and the cases that stay bad.

Writes a sheet for each metal, one of hard cases, and the table in Docs/results.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.patient import (
    SEED,
    SOFT,
    close_up,
    fractions,
    patient,
    telling_slices,
)
from gallery.style import save, sheet, show
from spinemar.base.atomic_files import atomic_path
from spinemar.demo.run import methods_at_hand
from spinemar.evaluation import Scores, evaluate
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.settings import METHOD_TITLES
from spinemar.physics.scanner import SimulatedScan, simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.report.display import View
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "Docs" / "results.md"
METALS = {"Ti-6Al-4V": "titanium", "316L": "steel", "CoCrMo": "cobalt-chrome"}
# The correction sees its neighbours: as many slices on either side of the one that is scored.
_MARGIN = 1
_METAL_FRACTION = 0.05
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True)
class Case:
    """One slice of the sample CT with the demonstration's implants.

    Parameters
    ----------
    name : str
    material : str
    k : int
        The slice.
    settings : ScannerSettings
    threshold_hu : float, optional
        Metal threshold of the correction; automatic by default.
    """

    name: str
    material: str
    k: int
    settings: ScannerSettings = field(default_factory=ScannerSettings)
    threshold_hu: float | None = None

    @cached_property
    def scan(self) -> SimulatedScan:
        """Scan the slice and its neighbours."""
        whole = patient()
        around = slice(self.k - _MARGIN, self.k + _MARGIN + 1)
        part = CTVolume(whole.hu[around], whole.ijk_to_ras)
        implants = {self.material: fractions()[around]}
        return simulate_scan(part, implants, self.settings, SEED + self.k)

    @cached_property
    def metal(self) -> NDArray[np.bool_]:
        """Where the metal really is."""
        return self.scan.metal_fraction >= _METAL_FRACTION

    @cached_property
    def corrected(self) -> Mapping[str, CTVolume]:
        """The scan and what each method makes of it."""
        done = {"scan": self.scan.volume}
        for method in methods_at_hand():
            done[method] = correct_volume(
                self.scan.volume, method=method, metal_threshold_hu=self.threshold_hu
            ).volume
        return done

    def left_alone(self, method: str) -> bool:
        """Whether the gate kept the slice that is shown as it was."""
        return bool(
            np.array_equal(self.corrected[method].hu[_MARGIN], self.scan.volume.hu[_MARGIN])
        )

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """Scores of the middle slice against the scan without metal."""
        assert self.scan.truth is not None
        return {
            name: evaluate(self.scan.truth, volume, self.metal, slices=[_MARGIN])
            for name, volume in self.corrected.items()
        }


def ordinary_cases() -> list[Case]:
    """Return shafts, tulips and rods in three metals, as the scanner comes."""
    places = telling_slices()
    return [
        Case(name, material, k)
        for material in METALS
        for name, k in (
            ("screw shafts", places.screws),
            ("tulips", places.tulips),
            ("rods, a screw tip", places.rods),
        )
    ]


def hard_cases() -> list[Case]:
    """Return what goes wrong: too few photons, too high a threshold, a narrow field of view."""
    k = telling_slices().tulips
    low_dose = ScannerSettings(kvp=80, photons_per_ray=1e5)
    extended = ScannerSettings(hu_scale="extended")
    narrow = ScannerSettings(reconstruction_fov_mm=160.0, matrix=512)
    return [
        Case("tulips, 80 kVp, low dose", "316L", k, low_dose),
        Case("tulips, threshold 3500 HU", "CoCrMo", k, extended, 3500.0),
        Case("tulips, field of view 160 mm", "316L", k, narrow),
    ]


def draw(folder: Path) -> None:
    """Draw the sheets and write the table."""
    ordinary, hard = ordinary_cases(), hard_cases()
    for material, name in METALS.items():
        cases = [case for case in ordinary if case.material == material]
        _sheet(cases, folder / f"results-{name}.jpg")
    _sheet(hard, folder / "results-hard.jpg")
    _write_table(ordinary + hard)


def _sheet(cases: list[Case], path: Path) -> None:
    """One row a case in a soft tissue window: scan, each method, truth."""
    names = list(cases[0].corrected)
    figure, axes = sheet(len(cases), len(names) + 1, aspect=0.84, width_in=12.5)
    for row, case in enumerate(cases):
        view = View(case.scan.volume.geometry, "axial")
        box = (slice(None), slice(None))
        if case.settings.reconstruction_fov_mm is None:
            box = close_up(case.k)
        for column, name in enumerate(names):
            grey = SOFT.apply(view.cut(case.corrected[name].hu, _MARGIN))
            show(axes[row, column], grey[box], f"{_head(name)}: {_near(case, name)}")
        assert case.scan.truth is not None
        truth = SOFT.apply(view.cut(case.scan.truth.hu, _MARGIN))
        show(axes[row, -1], truth[box], "without metal")
        axes[row, 0].set_ylabel(case.name, fontsize=10)
    save(figure, path)


def _head(name: str) -> str:
    return {"scan": "scan", "li": "LI"}.get(name, METHOD_TITLES.get(name, name))


def _near(case: Case, name: str) -> str:
    if name != "scan" and case.left_alone(name):
        return "left alone"
    return f"{case.scores[name].rmse_near_hu:.0f} HU"


def _write_table(cases: list[Case]) -> None:
    methods = list(cases[0].scores)
    lines = [
        f"Model: {_model()}.",
        "",
        "| metal | slice | " + " | ".join(_head(m) for m in methods) + " |",
        "|---" * (2 + len(methods)) + "|",
    ]
    for case in cases:
        cells = [_cell(case, m) for m in methods]
        lines.append(f"| {METALS[case.material]} | {case.name} | " + " | ".join(cells) + " |")
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(_BEGIN)
    _, tail = rest.split(_END)
    with atomic_path(PAGE) as temporary:
        temporary.write_text(
            head + _BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + _END + tail, encoding="utf-8"
        )
    print(PAGE)


def _cell(case: Case, name: str) -> str:
    """RMSE of the slice and near metal; bold where it is worse than the uncorrected scan."""
    scores, before = case.scores[name], case.scores["scan"]
    if name != "scan" and case.left_alone(name):
        return "left alone"
    text = f"{scores.rmse_hu:.1f} / {scores.rmse_near_hu:.0f}"
    return f"**{text}**" if scores.rmse_hu > 1.01 * before.rmse_hu else text


def _model() -> str:
    path = shipped_model()
    if path is None:
        return "none"
    manifest = load_manifest(path)
    return f"{manifest.name} {manifest.version}"
