"""Placed implants: what lies where in the patient, in RAS millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import Protocol

from spinemar.errors import InputError
from spinemar.implants.checks import (
    Point,
    check_axes,
    check_choice,
    check_curve,
    check_material,
    check_point,
    check_range,
    check_unit,
    distance_mm,
)

GRADE_LETTERS = ("A", "B", "C", "D", "E")
HEARY = ("I", "II", "III", "IV")
DIRECTIONS = ("medial", "lateral", "superior", "inferior", "anterior")
SIDES = ("left", "right")
BONE_SOURCES = ("earlier CT", "labels", "corrected CT")
#: Ways of a screw that is no pedicle screw: through sacrum and its joint into the ilium, or there.
COURSES = ("S2AI", "iliac")
#: Ways into a lateral mass of C3 to C6, after their authors; such a screw has a level.
LATERAL_MASS_WAYS = ("Magerl", "Roy-Camille")
LATERAL_MASS_LEVELS = ("C3", "C4", "C5", "C6")
#: Where screws into the ilium lie, in place of a level.
PELVIS = "pelvis"
SCREW_KINDS = ("polyaxial", "monoaxial")
CAGE_SHAPES = ("block", "curved", "wedge")

# Models that the generic catalogue always has, and that plans before version 2 were made with.
STANDARD_ROD, STANDARD_CROSSLINK = "generic-rod-straight", "generic-crosslink"
STANDARD_CEMENT = "generic-cement"
STANDARD_HOOK, STANDARD_WIRE = "generic-laminar-hook", "generic-sublaminar-wire"
STANDARD_PEDICLE_HOOK = "generic-pedicle-hook"
STANDARD_PELVIC = "generic-iliac"
STANDARD_LATERAL_MASS, STANDARD_CERVICAL_ROD = "generic-lateral-mass", "generic-rod-cervical"

# Shank length and the distance of entry and tip may differ by this much: users
# drag points, sizes come in steps.
_LENGTH_TOLERANCE_MM = 0.05


@dataclass(frozen=True)
class Grade:
    """Gertzbein-Robbins grade of one screw.

    Parameters
    ----------
    letter : {"A", "B", "C", "D", "E"}
    breach_mm : float
        Largest depth of the screw outside bone, 0 if none.
    direction : str or None
        Where the largest breach points, medial where the canal is entered; None without breach.
    margin_mm : float
        Smallest distance from the screw to the outer surface of the bone along
        pedicle and body; negative with a breach.
    canal_intrusion_mm : float
        How far the screw reaches into the spinal canal.
    notch_mm, acetabulum_mm : float or None
        Of a screw in the ilium: how far its surface is from the roof of the greater sciatic notch
        and from the joint of the hip (negative: in it); None where that is not known.
    heary : str
        Class of Heary, "I" to "IV", of a pedicle screw; "" where it has none.
    level_confirmed : bool
        Whether the CT, or whoever states the levels, bears out the name of the vertebra that the
        screw is graded in.
    """

    letter: str
    breach_mm: float
    direction: str | None
    margin_mm: float
    canal_intrusion_mm: float = 0.0
    notch_mm: float | None = None
    acetabulum_mm: float | None = None
    heary: str = ""
    level_confirmed: bool = True

    def __post_init__(self) -> None:
        check_choice("grade", self.letter, GRADE_LETTERS)
        check_choice("class of Heary", self.heary, ("", *HEARY))
        check_range("breach", self.breach_mm, 0.0, 100.0)
        check_range("margin", self.margin_mm, -100.0, 100.0)
        check_range("canal intrusion", self.canal_intrusion_mm, 0.0, 100.0)
        for name, gap in (("notch", self.notch_mm), ("acetabulum", self.acetabulum_mm)):
            if gap is not None:
                check_range(f"distance from the {name}", gap, -300.0, 300.0)
        if self.direction is not None:
            check_choice("breach direction", self.direction, DIRECTIONS)


@dataclass(frozen=True)
class Sighting:
    """How a screw lay in the CT that it was found in.

    Parameters
    ----------
    entry, tip : tuple of float
    diameter_mm : float
        The place and the size that this is said of.
    bone : str
        Where the bone around it is from: "earlier CT", "labels" or "corrected CT".
    best, worst : str
        Letters between which its grade lies, nine times of ten; "" where it is not gradable.
    hindrance : str
        Why it is not gradable there, as a sentence; "" where it is.
    """

    entry: Point
    tip: Point
    diameter_mm: float
    bone: str
    best: str = ""
    worst: str = ""
    hindrance: str = ""

    def __post_init__(self) -> None:
        check_choice("bone of a screw that was found", self.bone, BONE_SOURCES)
        for letter in (self.best, self.worst):
            check_choice("grade of a screw that was found", letter, ("", *GRADE_LETTERS))


@dataclass(frozen=True)
class Screw:
    """A pedicle screw.

    Parameters
    ----------
    id : str
        Unique in the plan, such as "L1-left".
    level, side : str
        Vertebra ("L1", or "" for a screw outside the spine) and the patient's side.
    entry, tip : tuple of float
        Ends of the shank: where it enters the bone, and its tip.
    diameter_mm, length_mm : float
        Outer thread diameter and shank length; the length is the distance from
        entry to tip.
    material : str
        A material of `spinemar.implants.checks.MATERIALS`.
    kind : {"polyaxial", "monoaxial"}
    model : str
        Screw model of the catalogue.
    head_axis, slot_axis : tuple of float or None
        Unit vectors: axis of the tulip (away from the bone), and the direction of
        the rod in it. None: along the shank, and as the longitudinal axis runs.
    locked : bool
        A locked screw is changed by no automatic step.
    grade : Grade or None
        None means *not graded*.
    not_graded : str
        Why not, as a sentence; "" while nobody has tried.
    ungraded_canal_mm : float
        How far a screw without a grade reaches into a spinal canal that is known; 0 with a grade.
    found : Sighting or None
        Of a screw that was found in a CT; `sighting` says whether it still holds.
    course : str
        One of `COURSES` for a screw that ends in the ilium, which has no level, or of
        `LATERAL_MASS_WAYS`; "" for others.
    """

    id: str
    level: str
    side: str
    entry: Point
    tip: Point
    diameter_mm: float
    length_mm: float
    material: str = "Ti-6Al-4V"
    kind: str = "polyaxial"
    model: str = "generic-polyaxial"
    head_axis: Point | None = None
    slot_axis: Point | None = None
    locked: bool = False
    grade: Grade | None = None
    not_graded: str = ""
    ungraded_canal_mm: float = 0.0
    found: Sighting | None = None
    course: str = ""

    def __post_init__(self) -> None:
        name = f"screw {self.id!r}"
        check_choice(f"side of {name}", self.side, SIDES)
        check_choice(f"kind of {name}", self.kind, SCREW_KINDS)
        check_choice(f"course of {name}", self.course, ("", *COURSES, *LATERAL_MASS_WAYS))
        if self.in_lateral_mass:
            check_choice(f"level of {name}", self.level, LATERAL_MASS_LEVELS)
        elif self.course and self.level:
            raise InputError(f"The {name} has a level and a course.", "Give it one of both.")
        check_material(name, self.material)
        check_point(f"entry of {name}", self.entry)
        check_point(f"tip of {name}", self.tip)
        check_range(f"diameter of {name}", self.diameter_mm, 1.0, 12.0)
        check_range(f"length of {name}", self.length_mm, 5.0, 150.0)
        check_range(f"canal intrusion of {name}", self.ungraded_canal_mm, 0.0, 100.0)
        if abs(distance_mm(self.entry, self.tip) - self.length_mm) > _LENGTH_TOLERANCE_MM:
            raise InputError(
                f"Entry and tip of {name} are {distance_mm(self.entry, self.tip):.2f} mm apart "
                f"but its length is {self.length_mm:.2f} mm.",
                "Set the tip so that the length fits.",
            )
        for axis in (self.head_axis, self.slot_axis):
            if axis is not None:
                check_unit(f"head of {name}", axis)

    @property
    def site(self) -> str:
        """Whose bone it is graded in: its level, or `PELVIS`."""
        return PELVIS if self.in_pelvis else self.level

    @property
    def in_pelvis(self) -> bool:
        """Whether it ends in the ilium."""
        return self.course in COURSES

    @property
    def in_lateral_mass(self) -> bool:
        """Whether it lies in a lateral mass of the neck."""
        return self.course in LATERAL_MASS_WAYS

    @property
    def canal_intrusion_mm(self) -> float:
        """How far it reaches into the spinal canal, graded or not; 0 where nobody knows."""
        return self.ungraded_canal_mm if self.grade is None else self.grade.canal_intrusion_mm

    @property
    def sighting(self) -> Sighting | None:
        """What was seen of it in a CT, as long as it lies there as it was found."""
        seen = self.found
        if seen is None:
            return None
        here = (self.entry, self.tip, self.diameter_mm)
        return seen if here == (seen.entry, seen.tip, seen.diameter_mm) else None

    def without_grade(self, reason: str = "", canal_mm: float = 0.0) -> Screw:
        """Return the screw without a grade, with nothing known of how it lies but what is given."""
        return replace(self, grade=None, not_graded=reason, ungraded_canal_mm=canal_mm)


@dataclass(frozen=True)
class Rod:
    """A rod along a smooth curve through its control points.

    `side` is the patient's side ("" for a rod outside the spine); `screw_ids` are the
    screws whose tulips hold it, `model` is the rod model of the catalogue it is bent from.
    """

    id: str
    side: str
    control_points: tuple[Point, ...]
    diameter_mm: float = 5.5
    material: str = "Ti-6Al-4V"
    screw_ids: tuple[str, ...] = ()
    model: str = STANDARD_ROD
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"rod {self.id!r}"
        check_choice(f"side of {name}", self.side, (*SIDES, ""))
        check_material(name, self.material)
        check_range(f"diameter of {name}", self.diameter_mm, 2.0, 10.0)
        check_curve(name, self.control_points)


@dataclass(frozen=True)
class Cage:
    """An interbody cage.

    `right`, `anterior` and `superior` are its unit axes; sizes along them are
    `width_mm`, `depth_mm` and `height_mm` (the height at its middle);
    `lordosis_deg` opens it forwards.
    """

    id: str
    level: str
    centre: Point
    right: Point
    anterior: Point
    width_mm: float
    depth_mm: float
    height_mm: float
    lordosis_deg: float = 0.0
    shape: str = "block"
    material: str = "PEEK"
    marker_material: str | None = "Ti-6Al-4V"
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"cage {self.id!r}"
        check_choice(f"shape of {name}", self.shape, CAGE_SHAPES)
        check_material(name, self.material)
        if self.marker_material is not None:
            check_material(name, self.marker_material)
        check_point(f"centre of {name}", self.centre)
        check_axes(name, self.right, self.anterior)
        check_range(f"width of {name}", self.width_mm, 5.0, 70.0)
        check_range(f"depth of {name}", self.depth_mm, 5.0, 60.0)
        check_range(f"height of {name}", self.height_mm, 3.0, 60.0)
        check_range(f"lordosis of {name}", self.lordosis_deg, -30.0, 40.0)


@dataclass(frozen=True)
class Cement:
    """Bone cement in a vertebral body, as an ellipsoid.

    `right` and `anterior` are two of its unit axes, `radii_mm` its half axes along them and
    upwards, `model` the cement model of the catalogue.
    """

    id: str
    level: str
    centre: Point
    right: Point
    anterior: Point
    radii_mm: Point
    material: str = "PMMA-BaSO4"
    model: str = STANDARD_CEMENT
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"cement {self.id!r}"
        check_material(name, self.material)
        check_point(f"centre of {name}", self.centre)
        check_axes(name, self.right, self.anterior)
        check_point(f"half axes of {name}", self.radii_mm)
        for radius in self.radii_mm:
            check_range(f"half axis of {name}", radius, 1.0, 30.0)

    @property
    def volume_ml(self) -> float:
        """Its volume, ml."""
        a, b, c = self.radii_mm
        return 4.0 / 3.0 * pi * a * b * c / 1000.0


@dataclass(frozen=True)
class Hook:
    """A hook under a lamina.

    `throat` is the middle of the edge of bone that it grasps, `blade` the unit vector along its
    blade, which lies in the canal, `shaft` that towards the rod; `model` the hook model of the
    catalogue.
    """

    id: str
    level: str
    side: str
    throat: Point
    shaft: Point
    blade: Point
    throat_mm: float
    material: str = "Ti-6Al-4V"
    model: str = STANDARD_HOOK
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"hook {self.id!r}"
        check_choice(f"side of {name}", self.side, SIDES)
        check_material(name, self.material)
        check_point(f"throat of {name}", self.throat)
        check_axes(name, self.shaft, self.blade)
        check_range(f"throat of {name}", self.throat_mm, 2.0, 20.0)


@dataclass(frozen=True)
class Wire:
    """A wire around a lamina, along a smooth curve whose ends are twisted behind it.

    `points` are its control points, from the twist below the lamina through the canal and back;
    `model` is the wire model of the catalogue.
    """

    id: str
    level: str
    side: str
    points: tuple[Point, ...]
    diameter_mm: float = 1.2
    material: str = "316L"
    model: str = STANDARD_WIRE
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"wire {self.id!r}"
        check_choice(f"side of {name}", self.side, SIDES)
        check_material(name, self.material)
        check_range(f"diameter of {name}", self.diameter_mm, 0.5, 4.0)
        check_curve(name, self.points)


@dataclass(frozen=True)
class Crosslink:
    """A transverse bar between two rods; `start` and `end` lie on the rods' axes.

    `posterior` is the unit vector towards which its clamps lie on the rods, `model` the
    crosslink model of the catalogue.
    """

    id: str
    start: Point
    end: Point
    posterior: Point
    diameter_mm: float = 4.0
    rod_diameter_mm: float = 5.5
    material: str = "Ti-6Al-4V"
    rod_ids: tuple[str, str] | None = None
    model: str = STANDARD_CROSSLINK
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"crosslink {self.id!r}"
        check_material(name, self.material)
        check_point(f"start of {name}", self.start)
        check_point(f"end of {name}", self.end)
        check_unit(f"posterior axis of {name}", self.posterior)
        check_range(f"diameter of {name}", self.diameter_mm, 2.0, 10.0)
        check_range(f"rod diameter of {name}", self.rod_diameter_mm, 2.0, 10.0)
        check_range(f"length of {name}", distance_mm(self.start, self.end), 5.0, 150.0)


@dataclass(frozen=True)
class ImportedMesh:
    """A closed surface of the user's own (STL, VTK, OBJ), placed by a rigid matrix.

    `mesh_to_ras` holds the 16 numbers of a 4x4 matrix, row by row; `sha256` names
    the file's content so that a changed file is noticed.
    """

    id: str
    path: str
    sha256: str
    mesh_to_ras: tuple[float, ...]
    material: str = "Ti-6Al-4V"
    locked: bool = False

    def __post_init__(self) -> None:
        name = f"mesh {self.id!r}"
        check_material(name, self.material)
        if len(self.mesh_to_ras) != 16:
            raise InputError(
                f"The matrix of {name} has {len(self.mesh_to_ras)} numbers.",
                "A placement is a 4x4 matrix: 16 numbers.",
            )
        for value in self.mesh_to_ras:
            check_range(f"matrix of {name}", value, -10_000.0, 10_000.0)


class Construct(Protocol):
    """Anything that holds placed implants; `spinemar.planning.plans.plan.Plan` does."""

    @property
    def screws(self) -> Sequence[Screw]:
        """Pedicle screws."""
        ...

    @property
    def rods(self) -> Sequence[Rod]:
        """Rods."""
        ...

    @property
    def cages(self) -> Sequence[Cage]:
        """Interbody cages."""
        ...

    @property
    def crosslinks(self) -> Sequence[Crosslink]:
        """Bars between rods."""
        ...

    @property
    def cements(self) -> Sequence[Cement]:
        """Cement in vertebral bodies."""
        ...

    @property
    def hooks(self) -> Sequence[Hook]:
        """Hooks under laminae."""
        ...

    @property
    def wires(self) -> Sequence[Wire]:
        """Wires around laminae."""
        ...

    @property
    def meshes(self) -> Sequence[ImportedMesh]:
        """Imported surfaces."""
        ...
