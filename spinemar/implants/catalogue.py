"""The implants that can be planned: a vendor-neutral catalogue, and catalogues of users."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from spinemar.base.json_records import build_record
from spinemar.base.json_text import parse_json, read_json, shown
from spinemar.errors import InputError
from spinemar.implants.checks import as_point, check_choice, check_material, check_range
from spinemar.implants.placement import CAGE_SHAPES, SCREW_KINDS, Screw

SCREW_PLACES = ("pedicle", "pelvis", "lateral mass")
_CATALOGUE_VERSION = 1
_FORMAT = "spinemar-catalogue"


@dataclass(frozen=True)
class Thread:
    """Shape of a threaded shank.

    `core_ratio` is core over outer diameter at the head's end; the core narrows
    linearly by the share `core_taper` of itself towards the tip. The profile over one
    pitch is a trapezoid: a crest and two flanks, as shares of the pitch. The last
    `tip_mm` taper to the point.
    """

    core_ratio: float
    pitch_mm: float
    crest_fraction: float
    flank_fraction: float
    core_taper: float
    tip_mm: float

    def __post_init__(self) -> None:
        check_range("core ratio of a thread", self.core_ratio, 0.4, 0.98)
        check_range("pitch of a thread", self.pitch_mm, 0.5, 6.0)
        check_range("crest of a thread", self.crest_fraction, 0.02, 0.6)
        check_range("flank of a thread", self.flank_fraction, 0.05, 0.45)
        check_range("taper of a thread", self.core_taper, 0.0, 0.5)
        check_range("tip of a thread", self.tip_mm, 1.0, 12.0)


@dataclass(frozen=True)
class Head:
    """Tulip, ball and set screw; all lengths in mm.

    `neck_mm` is the distance from the entry point out to the ball's centre, `seat_mm`
    from the ball's centre along the tulip to the rod's axis; `slot_mm` is the width of
    the slot, `cone_deg` how far the tulip may tilt (0: monoaxial).
    """

    along_mm: float
    width_mm: float
    height_mm: float
    ball_mm: float
    neck_mm: float
    seat_mm: float
    slot_mm: float
    set_screw_mm: float
    cone_deg: float

    def __post_init__(self) -> None:
        check_range("length of a tulip", self.along_mm, 5.0, 25.0)
        check_range("width of a tulip", self.width_mm, 7.0, 25.0)
        check_range("height of a tulip", self.height_mm, 8.0, 40.0)
        check_range("ball of a head", self.ball_mm, 2.0, 8.0)
        check_range("neck of a head", self.neck_mm, 2.0, 20.0)
        check_range("seat of a head", self.seat_mm, 3.0, 20.0)
        check_range("slot of a head", self.slot_mm, 3.0, self.width_mm - 3.0)
        check_range("set screw of a head", self.set_screw_mm, 3.0, self.width_mm - 2.0)
        check_range("cone of a head", self.cone_deg, 0.0, 60.0)


@dataclass(frozen=True)
class ScrewModel:
    """One family of screws in its sizes, for pedicles, the pelvis or lateral masses."""

    id: str
    name: str
    kind: str
    diameters_mm: tuple[float, ...]
    lengths_mm: tuple[float, ...]
    materials: tuple[str, ...]
    head_material: str | None
    thread: Thread
    head: Head
    place: str = "pedicle"

    def __post_init__(self) -> None:
        check_choice(f"place of screw model {self.id!r}", self.place, SCREW_PLACES)
        check_choice(f"kind of screw model {self.id!r}", self.kind, SCREW_KINDS)
        _check_sizes(f"diameters of {self.id!r}", self.diameters_mm, 2.0, 12.0)
        _check_sizes(f"lengths of {self.id!r}", self.lengths_mm, 10.0, 120.0)
        _check_materials(self.id, self.materials)
        if self.head_material is not None:
            check_material(self.id, self.head_material)

    def diameter_for(self, wanted_mm: float) -> float | None:
        """Return the largest diameter up to `wanted_mm`, None if all are larger."""
        return max((d for d in self.diameters_mm if d <= wanted_mm + 1e-9), default=None)

    def length_for(self, available_mm: float) -> float | None:
        """Return the largest length up to `available_mm`, None if all are longer."""
        return max((x for x in self.lengths_mm if x <= available_mm + 1e-9), default=None)

    def placed(
        self,
        screw_id: str,
        level: str,
        side: str,
        entry: ArrayLike,
        direction: ArrayLike,
        size_mm: tuple[float, float],
        material: str,
        course: str = "",
    ) -> Screw:
        """Return a screw of this model where it lies; whoever places screws calls this.

        Parameters
        ----------
        screw_id, level, side : str
        entry, direction : array_like, shape (3,)
            RAS mm; the direction, of any length, points from the entry to the tip.
        size_mm : (diameter, length)
        material, course : str

        Raises
        ------
        InputError
            If no screw can be so.
        """
        diameter, length = size_mm
        start, along = np.asarray(entry, float), np.asarray(direction, float)
        tip = start + length * along / np.linalg.norm(along)
        return Screw(
            id=screw_id,
            level=level,
            side=side,
            entry=as_point(start),
            tip=as_point(tip),
            diameter_mm=diameter,
            length_mm=length,
            material=material,
            kind=self.kind,
            model=self.id,
            course=course,
        )


@dataclass(frozen=True)
class RodModel:
    """One family of rods; `prebent_radius_mm` is None for straight ones."""

    id: str
    name: str
    diameters_mm: tuple[float, ...]
    materials: tuple[str, ...]
    prebent_radius_mm: float | None
    max_length_mm: float
    min_bend_radius_mm: float
    overhang_mm: float

    def __post_init__(self) -> None:
        _check_sizes(f"diameters of {self.id!r}", self.diameters_mm, 2.0, 10.0)
        _check_materials(self.id, self.materials)
        check_range(f"length of {self.id!r}", self.max_length_mm, 20.0, 1000.0)
        check_range(f"bend radius of {self.id!r}", self.min_bend_radius_mm, 5.0, 1000.0)
        check_range(f"overhang of {self.id!r}", self.overhang_mm, 0.0, 50.0)


@dataclass(frozen=True)
class CageModel:
    """One family of interbody cages."""

    id: str
    name: str
    shape: str
    widths_mm: tuple[float, ...]
    depths_mm: tuple[float, ...]
    heights_mm: tuple[float, ...]
    lordoses_deg: tuple[float, ...]
    materials: tuple[str, ...]
    marker_material: str | None

    def __post_init__(self) -> None:
        check_choice(f"shape of cage model {self.id!r}", self.shape, CAGE_SHAPES)
        _check_sizes(f"widths of {self.id!r}", self.widths_mm, 5.0, 70.0)
        _check_sizes(f"depths of {self.id!r}", self.depths_mm, 5.0, 60.0)
        _check_sizes(f"heights of {self.id!r}", self.heights_mm, 3.0, 60.0)
        _check_sizes(f"lordoses of {self.id!r}", self.lordoses_deg, -30.0, 40.0)
        _check_materials(self.id, self.materials)


@dataclass(frozen=True)
class CrosslinkModel:
    """One family of crosslinks."""

    id: str
    name: str
    diameter_mm: float
    min_length_mm: float
    max_length_mm: float
    materials: tuple[str, ...]

    def __post_init__(self) -> None:
        check_range(f"diameter of {self.id!r}", self.diameter_mm, 2.0, 10.0)
        check_range(f"length of {self.id!r}", self.min_length_mm, 5.0, self.max_length_mm)
        _check_materials(self.id, self.materials)


@dataclass(frozen=True)
class CementModel:
    """One cement, in the amounts that are usual for a body."""

    id: str
    name: str
    volumes_ml: tuple[float, ...]
    materials: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_sizes(f"volumes of {self.id!r}", self.volumes_ml, 0.1, 20.0)
        _check_materials(self.id, self.materials)


@dataclass(frozen=True)
class HookModel:
    """One family of laminar hooks by the depth of their throats.

    A blade of `width_mm` by `thickness_mm` reaches `blade_mm` under the lamina; the block that
    holds a rod of `rod_mm` is `block_mm` deep.
    """

    id: str
    name: str
    throats_mm: tuple[float, ...]
    width_mm: float
    thickness_mm: float
    blade_mm: float
    block_mm: float
    rod_mm: float
    materials: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_sizes(f"throats of {self.id!r}", self.throats_mm, 2.0, 20.0)
        check_range(f"width of {self.id!r}", self.width_mm, 2.0, 15.0)
        check_range(f"thickness of {self.id!r}", self.thickness_mm, 0.8, 5.0)
        check_range(f"blade of {self.id!r}", self.blade_mm, 3.0, 20.0)
        check_range(f"block of {self.id!r}", self.block_mm, self.rod_mm + 1.0, 25.0)
        check_range(f"rod of {self.id!r}", self.rod_mm, 2.0, 10.0)
        _check_materials(self.id, self.materials)


@dataclass(frozen=True)
class WireModel:
    """One family of wires for laminae."""

    id: str
    name: str
    diameters_mm: tuple[float, ...]
    materials: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_sizes(f"diameters of {self.id!r}", self.diameters_mm, 0.5, 4.0)
        _check_materials(self.id, self.materials)


_Model = TypeVar(
    "_Model",
    ScrewModel,
    RodModel,
    CageModel,
    CrosslinkModel,
    CementModel,
    HookModel,
    WireModel,
)


@dataclass(frozen=True)
class Catalogue:
    """All models that can be planned."""

    name: str
    screws: tuple[ScrewModel, ...] = ()
    rods: tuple[RodModel, ...] = ()
    cages: tuple[CageModel, ...] = ()
    crosslinks: tuple[CrosslinkModel, ...] = ()
    cements: tuple[CementModel, ...] = ()
    hooks: tuple[HookModel, ...] = ()
    wires: tuple[WireModel, ...] = ()
    version: int = _CATALOGUE_VERSION

    @property
    def pedicle_screws(self) -> tuple[ScrewModel, ...]:
        """The screw models that are made for pedicles."""
        return tuple(model for model in self.screws if model.place == "pedicle")

    def screw(self, model_id: str) -> ScrewModel:
        """Return the screw model of that id."""
        return _find(self.screws, model_id, "screw")

    def rod(self, model_id: str) -> RodModel:
        """Return the rod model of that id."""
        return _find(self.rods, model_id, "rod")

    def cage(self, model_id: str) -> CageModel:
        """Return the cage model of that id."""
        return _find(self.cages, model_id, "cage")

    def crosslink(self, model_id: str) -> CrosslinkModel:
        """Return the crosslink model of that id."""
        return _find(self.crosslinks, model_id, "crosslink")

    def cement(self, model_id: str) -> CementModel:
        """Return the cement model of that id."""
        return _find(self.cements, model_id, "cement")

    def hook(self, model_id: str) -> HookModel:
        """Return the hook model of that id."""
        return _find(self.hooks, model_id, "hook")

    def wire(self, model_id: str) -> WireModel:
        """Return the wire model of that id."""
        return _find(self.wires, model_id, "wire")

    def beside(self, other: Catalogue) -> Catalogue:
        """Return both catalogues as one; of two models of one id, `other`'s holds."""
        return replace(
            self,
            name=f"{self.name} + {other.name}",
            screws=_merged(self.screws, other.screws),
            rods=_merged(self.rods, other.rods),
            cages=_merged(self.cages, other.cages),
            crosslinks=_merged(self.crosslinks, other.crosslinks),
            cements=_merged(self.cements, other.cements),
            hooks=_merged(self.hooks, other.hooks),
            wires=_merged(self.wires, other.wires),
        )


def load_catalogue(*user_files: Path) -> Catalogue:
    """Load the generic catalogue, with the users' own files beside it."""
    catalogue = _generic()
    for path in user_files:
        catalogue = catalogue.beside(_read(Path(path)))
    return catalogue


@cache
def _generic() -> Catalogue:
    return _read(Path(__file__).with_name("catalogue.json"))


def catalogue_to_json(catalogue: Catalogue) -> str:
    """Return a catalogue as JSON text, to be handed to another process."""
    return json.dumps({"format": _FORMAT, **asdict(catalogue)}, allow_nan=False)


def catalogue_from_json(text: str) -> Catalogue:
    """Read what `catalogue_to_json` wrote.

    Raises
    ------
    InputError
        If it is no catalogue; the message names the place.
    """
    return _checked(parse_json(text, "catalogue"), "catalogue")


def _read(path: Path) -> Catalogue:
    return _checked(read_json(path, f"catalogue {path.name}"), f"catalogue {path.name}")


def _checked(raw: Any, where: str) -> Catalogue:
    if not isinstance(raw, dict) or raw.pop("format", None) != _FORMAT:
        raise InputError(
            f"The {where} is not a SpineMAR catalogue.",
            "Start from the example in Resources/Implants.",
        )
    if raw.get("version") != _CATALOGUE_VERSION:
        raise InputError(
            f"The {where} is of version {shown(raw.get('version'))}.",
            f"This software reads version {_CATALOGUE_VERSION}.",
        )
    return build_record(Catalogue, raw, where)


def _find(models: tuple[_Model, ...], model_id: str, what: str) -> _Model:
    for model in models:
        if model.id == model_id:
            return model
    known = ", ".join(repr(model.id) for model in models) or "none"
    raise InputError(
        f"The catalogue has no {what} {model_id!r}.",
        f"Load the catalogue it comes from; known: {known}.",
    )


def _merged(old: tuple[_Model, ...], new: tuple[_Model, ...]) -> tuple[_Model, ...]:
    merged = {model.id: model for model in old}
    merged.update({model.id: model for model in new})
    return tuple(merged.values())


def _check_sizes(name: str, sizes: tuple[float, ...], low: float, high: float) -> None:
    if not sizes:
        raise InputError(f"The {name} are missing.", "List at least one size.")
    for size in sizes:
        check_range(name, size, low, high)
    if list(sizes) != sorted(set(sizes)):
        raise InputError(f"The {name} are not in rising order.", "Sort them.")


def _check_materials(name: str, materials: tuple[str, ...]) -> None:
    if not materials:
        raise InputError(f"{name!r} has no material.", "List at least one.")
    for material in materials:
        check_material(name, material)
