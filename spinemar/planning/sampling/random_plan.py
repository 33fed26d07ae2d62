"""Non-anatomical placement: random implants anywhere, for training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, RodModel, ScrewModel
from spinemar.implants.placement import Cage, Crosslink, Rod, Screw
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.plans.plan import Plan
from spinemar.planning.vectors import as_point
from spinemar.volume import GridGeometry

_NO_ROOM, _MORE_ROOM = "There is no room for random implants.", "Allow a larger region."
_T = TypeVar("_T")

_Made = TypeVar("_Made", ScrewModel, RodModel)

# Share of its cone that a random tulip leans at most.
_LARGEST_LEAN = 0.6


@dataclass(frozen=True)
class RandomSettings:
    """How many of what; each pair is (fewest, most), both included.

    `materials` maps names to relative frequency; one is drawn for a whole plan, as one
    patient mostly carries one metal. `centre` and `spread_mm` limit places to a
    neighbourhood (RAS mm); without a centre they are uniform.
    """

    screws: tuple[int, int] = (1, 8)
    rods: tuple[int, int] = (0, 2)
    cages: tuple[int, int] = (0, 1)
    crosslinks: tuple[int, int] = (0, 1)
    materials: tuple[tuple[str, float], ...] = (
        ("Ti-6Al-4V", 0.6),
        ("CoCrMo", 0.2),
        ("316L", 0.2),
    )
    rod_length_mm: tuple[float, float] = (30.0, 160.0)
    centre: tuple[float, float, float] | None = None
    spread_mm: float = 60.0
    tries: int = field(default=200, repr=False)


def random_plan(
    geometry: GridGeometry,
    seed: int | Sequence[int],
    catalogue: Catalogue,
    *,
    inside: NDArray[np.bool_] | None = None,
    settings: RandomSettings | None = None,
) -> Plan:
    """Draw implants of random pose, size, kind, count and material within a volume.

    Parameters
    ----------
    geometry : GridGeometry
        Grid of the CT.
    seed : int or sequence of int
        The same seed gives the same plan, on every machine.
    catalogue : Catalogue
        Whose models and sizes are drawn.
    inside : ndarray of bool, shape (k, j, i), optional
        Where implants' centres may lie, such as the body. Without it: the middle of
        the grid, leaving a margin of a fifth.
    settings : RandomSettings, optional
    """
    settings = settings or RandomSettings()
    # With a centre the mask is asked point by point; without one its voxels are drawn.
    whole = inside is not None and settings.centre is None
    allowed = np.flatnonzero(np.asarray(inside)) if whole else None
    rng = np.random.default_rng(seed)
    draw = _Draw(rng, geometry, inside, settings, catalogue, allowed)
    materials = [name for name, _ in settings.materials]
    weights = np.array([weight for _, weight in settings.materials], float)
    material = materials[int(draw.rng.choice(len(materials), p=weights / weights.sum()))]
    counts = {
        name: int(draw.rng.integers(low, high + 1))
        for name, (low, high) in (
            ("screws", settings.screws),
            ("rods", settings.rods),
            ("cages", settings.cages),
            ("crosslinks", settings.crosslinks),
        )
    }
    return Plan(
        screws=tuple(draw.screw(n, material) for n in range(counts["screws"])),
        rods=tuple(draw.rod(n, material) for n in range(counts["rods"])),
        cages=tuple(draw.cage(n) for n in range(counts["cages"])),
        crosslinks=tuple(draw.crosslink(n, material) for n in range(counts["crosslinks"])),
        notes="random placement, not anatomical",
    )


@dataclass(frozen=True)
class _Draw:
    """One stream of random implants."""

    rng: np.random.Generator
    geometry: GridGeometry
    inside: NDArray[np.bool_] | None
    settings: RandomSettings
    catalogue: Catalogue
    allowed: NDArray[np.int64] | None

    def place(self) -> FloatArray:
        """Return a random allowed point (RAS mm)."""
        if self.allowed is not None:
            return self._in_mask(self.allowed)
        for _ in range(self.settings.tries):
            point = self._candidate()
            k, j, i = np.round(self.geometry.to_ijk(point)).astype(int)[::-1]
            shape = self.geometry.shape
            if not (0 <= k < shape[0] and 0 <= j < shape[1] and 0 <= i < shape[2]):
                continue
            if self.inside is None or self.inside[k, j, i]:
                return point
        raise InputError(_NO_ROOM, _MORE_ROOM)

    def _in_mask(self, allowed: NDArray[np.int64]) -> FloatArray:
        """Return a random point of a random voxel among flat indices."""
        if len(allowed) == 0:
            raise InputError(_NO_ROOM, _MORE_ROOM)
        chosen = allowed[int(self.rng.integers(len(allowed)))]
        kji = np.array(np.unravel_index(chosen, self.geometry.shape), dtype=float)
        return self.geometry.to_ras(kji[::-1] + self.rng.uniform(-0.5, 0.5, 3))

    def _candidate(self) -> FloatArray:
        if self.settings.centre is not None:
            reach = self.settings.spread_mm
            return np.asarray(self.settings.centre) + self.rng.uniform(-reach, reach, 3)
        share = self.rng.uniform(0.2, 0.8, 3)
        size = np.array(self.geometry.shape[::-1]) - 1
        # Slices are often few: there is no margin to leave along them.
        share[2] = self.rng.uniform(0.0, 1.0) if size[2] < 20 else share[2]
        return self.geometry.to_ras(share * size)

    def direction(self) -> FloatArray:
        """Return a random direction, uniform on the sphere."""
        return unit(self.rng.normal(size=3))

    def screw(self, n: int, material: str) -> Screw:
        """Return a screw of random model, size and pose, its tulip leaning at random."""
        model = self._pick(self._metallic(self.catalogue.pedicle_screws))
        diameter = float(self.rng.choice(model.diameters_mm))
        length = float(self.rng.choice(model.lengths_mm))
        middle, axis = self.place(), self.direction()
        entry = middle - axis * length / 2
        lean = np.radians(model.head.cone_deg) * self.rng.uniform(0.0, _LARGEST_LEAN)
        sideways = perpendicular(axis, self.direction())
        head = unit(-np.cos(lean) * axis + np.sin(lean) * sideways)
        side = "left" if self.rng.uniform() < 0.5 else "right"
        material = material if material in model.materials else model.materials[0]
        size = (diameter, length)
        screw = model.placed(f"random-screw-{n + 1}", "", side, entry, axis, size, material)
        slot = perpendicular(head, self.direction())
        return replace(screw, head_axis=as_point(head), slot_axis=as_point(slot))

    def rod(self, n: int, material: str) -> Rod:
        """Return a gently bent rod, no longer than it is sold."""
        model = self._pick(self._metallic(self.catalogue.rods))
        chord = self.rng.uniform(*self.settings.rod_length_mm)
        middle, axis = self.place(), self.direction()
        across = perpendicular(axis, self.direction())
        # Sagitta of an arc of at least three times the smallest bend radius.
        bend = self.rng.uniform(-1.0, 1.0) / (8 * 3 * model.min_bend_radius_mm)
        # A shallow arc is longer than its chord by the share 8/3 (sagitta / chord)^2.
        arc = chord * (1.0 + 8.0 / 3.0 * (bend * chord) ** 2)
        chord *= min(1.0, model.max_length_mm / arc)
        sagitta = bend * chord**2
        shares = np.linspace(-0.5, 0.5, 5)
        points = middle + np.outer(shares * chord, axis)
        points = points + np.outer(sagitta * (1.0 - 4.0 * shares**2), across)
        return Rod(
            id=f"random-rod-{n + 1}",
            side="",
            control_points=tuple(as_point(point) for point in points),
            diameter_mm=float(self.rng.choice(model.diameters_mm)),
            material=material if material in model.materials else model.materials[0],
            model=model.id,
        )

    def cage(self, n: int) -> Cage:
        """Return a cage of random model, size and pose."""
        model = self._pick(self.catalogue.cages)
        right = self.direction()
        return Cage(
            id=f"random-cage-{n + 1}",
            level="",
            centre=as_point(self.place()),
            right=as_point(right),
            anterior=as_point(perpendicular(right, self.direction())),
            width_mm=float(self.rng.choice(model.widths_mm)),
            depth_mm=float(self.rng.choice(model.depths_mm)),
            height_mm=float(self.rng.choice(model.heights_mm)),
            lordosis_deg=float(self.rng.choice(model.lordoses_deg)),
            shape=model.shape,
            material=str(self.rng.choice(model.materials)),
            marker_material=model.marker_material,
        )

    def crosslink(self, n: int, material: str) -> Crosslink:
        """Return a crosslink of random length and pose."""
        model = self._pick(self.catalogue.crosslinks)
        length = self.rng.uniform(model.min_length_mm, model.max_length_mm)
        middle, axis = self.place(), self.direction()
        return Crosslink(
            id=f"random-crosslink-{n + 1}",
            start=as_point(middle - axis * length / 2),
            end=as_point(middle + axis * length / 2),
            posterior=as_point(perpendicular(axis, self.direction())),
            diameter_mm=model.diameter_mm,
            material=material if material in model.materials else model.materials[0],
            model=model.id,
        )

    def _metallic(self, models: Sequence[_Made]) -> list[_Made]:
        """Return the models that are made of a metal that is drawn; all where none is."""
        drawn = {name for name, _ in self.settings.materials}
        return [m for m in models if drawn & set(m.materials)] or list(models)

    def _pick(self, models: Sequence[_T]) -> _T:
        return models[int(self.rng.integers(len(models)))]
