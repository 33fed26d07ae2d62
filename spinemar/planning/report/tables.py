"""Plans as rows: for the report, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinemar.base.files.csv_text import csv_text
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import GROUPS
from spinemar.implants.placement import Cage, Rod, Screw
from spinemar.implants.shapes.rod import rod_length_mm
from spinemar.planning.alignment.curves import Curve, alignment_of
from spinemar.planning.constructs.bends import Bend, bend_table
from spinemar.planning.constructs.cages import disc_height_mm
from spinemar.planning.constructs.rods import min_bend_radius_mm, seat_mismatch_mm
from spinemar.planning.grades.contacts.collisions import FACET, Collision
from spinemar.planning.grades.contacts.solid_contacts import hook_gaps_mm
from spinemar.planning.grades.hu_profile import HuProfile
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.colours import css, grade_colour, ink_on
from spinemar.planning.report.wording import (
    NOT_GRADED,
    canal_mm,
    grade_counts,
    letter_of,
    millimetres,
    short_letter,
)
from spinemar.planning.trajectories.angles import pedicle_width_mm, screw_angles
from spinemar.spine.model import FemoralHead, VertebraFrame

HEADINGS = ("Screw", "Diameter, mm", "Length, mm", "Grade", "Canal, mm", "Breach, mm", "Towards",
            "Margin, mm", "Converges, deg", "Cranial, deg", "In pedicle", "HU mean",
            "HU least", "HU pedicle", "HU body", "Metal")  # fmt: skip
_TOWARDS = ("forwards", "forwards and right", "right", "backwards and right", "backwards",
            "backwards and left", "left", "forwards and left")  # fmt: skip


@dataclass(frozen=True)
class ScrewRow:
    """One screw's cells in the order of `HEADINGS`, its grade's colour and the ink on it."""

    cells: tuple[str, ...]
    colour: str
    ink: str


def screw_row(
    screw: Screw, profile: HuProfile | None, frame: VertebraFrame | None = None
) -> ScrewRow:
    """Return the row of a screw; what is not known is a dash.

    Parameters
    ----------
    screw : Screw
    profile : HuProfile or None
    frame : VertebraFrame, optional
        Of its vertebra, for angles and the width of the pedicle.
    """
    grade = screw.grade
    colour = grade_colour(screw)
    canal = millimetres(canal_mm(screw)) if canal_mm(screw) else ""
    values = (
        ()
        if profile is None
        else (profile.mean_hu, profile.minimum_hu, profile.pedicle_hu, profile.body_hu)
    )
    hu = tuple(_number(v, 0) for v in values) or ("-",) * 4
    graded = (
        (NOT_GRADED, canal or "-", "-", "-", "-")
        if grade is None
        else (
            short_letter(screw),
            canal or "0",
            millimetres(grade.breach_mm) if grade.direction else "0",
            grade.direction or "-",
            f"{grade.margin_mm:.1f}",
        )
    )
    angles: tuple[str, ...] = ("-", "-")
    if frame is not None:
        found = screw_angles(screw, frame)
        angles = tuple(f"{_rounded(x, 1):.1f}" for x in (found.convergence_deg, found.cranial_deg))
    size = (f"{screw.diameter_mm:g}", f"{screw.length_mm:g}")
    fill = pedicle_fill(screw, frame) or "-"
    cells = (screw.id, *size, *graded, *angles, fill, *hu, screw.material)
    return ScrewRow(cells, css(colour), css(ink_on(colour)))


def pedicle_fill(screw: Screw, frame: VertebraFrame | None) -> str:
    """Say how a screw fills its pedicle, "6.0 mm in 8.0"; "" where the width is not known."""
    width = pedicle_width_mm(screw, frame)
    return "" if width is None else f"{screw.diameter_mm:.1f} mm in {width:.1f}"


def summary_line(plan: Plan) -> str:
    """Say in one line what a plan holds, how its screws are graded and how much is to check."""
    counts = [f"{count} {name}" for name, count in grade_counts(plan).items()]
    others = [f"{len(getattr(plan, g))} {g}" for g in GROUPS[1:] if getattr(plan, g)]
    line = f"{len(plan.screws)} screws ({', '.join(counts) or 'none'})"
    line = ", ".join([line, *others]) + "."
    number = len(plan.warnings)
    if not number:
        return line
    return f"{line} {'One warning' if number == 1 else f'{number} warnings'}: read them first."


def rod_facts(rod: Rod, plan: Plan, catalogue: Catalogue) -> str:
    """Return length, bend radius and gaps of a rod in one line."""
    held = [screw for screw in plan.screws if screw.id in rod.screw_ids]
    gaps = seat_mismatch_mm(rod, held, catalogue)
    facts = [f"{rod.diameter_mm:g} mm {rod.material}, cut to {rod_length_mm(rod):.0f} mm"]
    radius = min_bend_radius_mm(rod)
    if radius < 2000.0:
        facts.append(f"sharpest bend {radius:.0f} mm radius")
    if gaps:
        each = ", ".join(f"{name} {gap:.1f}" for name, gap in gaps.items())
        facts.append(f"gap to the tulips in mm: {each}")
    hooks = hook_gaps_mm(rod, [hook for hook in plan.hooks if hook.side == rod.side], catalogue)
    if hooks:
        each = ", ".join(f"{name} {gap:.1f}" for name, gap in hooks.items())
        facts.append(f"gap to the slots of hooks in mm: {each}")
    return ", ".join(facts)


def bend_rows(rod: Rod) -> list[tuple[str, str, str]]:
    """Return the bend table as text."""
    return [(f"{b.position_mm:.0f}", f"{b.angle_deg:.1f}", _towards(b)) for b in bend_table(rod)]


def _towards(bend: Bend) -> str:
    return f"{_TOWARDS[round(bend.plane_deg / 45.0) % 8]} ({bend.plane_deg:.0f} deg)"


def alignment_rows(
    vertebrae: Sequence[VertebraFrame],
    cages: Sequence[Cage],
    heads: Sequence[FemoralHead] = (),
) -> list[tuple[str, str, str]]:
    """Return name, degrees now and degrees with the cages of every curve that can be measured."""
    now, then = alignment_of(vertebrae, (), heads), alignment_of(vertebrae, cages, heads)
    curves = (
        ("Lordosis", now.lordosis, then.lordosis),
        ("Kyphosis", now.kyphosis, then.kyphosis),
        ("Cobb", now.cobb, then.cobb),
    )
    rows = [(_curve_name(name, a), a, b) for name, a, b in curves if a is not None]
    planned = [
        row
        for cage in cages
        if cage.level in now.discs
        for row in (
            (f"Disc {cage.level}", now.discs[cage.level], then.discs[cage.level]),
            (f"Disc {cage.level}, height in mm", _height_mm(vertebrae, cage), cage.height_mm),
        )
    ]
    pelvis = (
        ("Sacral slope", now.sacral_slope_deg),
        ("Pelvic tilt", now.pelvic_tilt_deg),
        ("Pelvic incidence", now.pelvic_incidence_deg),
    )
    return [
        *((name, f"{a.degrees:.0f}", _after(a, b, cages)) for name, a, b in rows),
        *((name, f"{degrees:.0f}", "-") for name, degrees in pelvis if degrees is not None),
        *((name, f"{a:.0f}", f"{b:.0f}") for name, a, b in planned),
    ]


def _height_mm(vertebrae: Sequence[VertebraFrame], cage: Cage) -> float:
    """Return how high the disc of a cage is now."""
    known = {vertebra.level: vertebra for vertebra in vertebrae}
    above, below = (known[level] for level in cage.level.split("/"))
    return disc_height_mm(above.endplates["inferior"], below.endplates["superior"])


def _curve_name(name: str, curve: Curve) -> str:
    towards = f", convex to the {curve.towards}" if curve.towards else ""
    return f"{name} {curve.upper} to {curve.lower}{towards}"


def _after(before: Curve, after: Curve | None, cages: Sequence[Cage]) -> str:
    if not cages:
        return "-"
    if after is None:
        return "straight"
    moved = (before.upper, before.lower) != (after.upper, after.lower)
    return f"{after.degrees:.0f}" + (f" ({after.upper} to {after.lower})" if moved else "")


def collision_line(collision: Collision) -> str:
    """Return a collision as a sentence."""
    if collision.kind == FACET:
        return (
            f"{collision.first} or its tulip reaches {collision.overlap_mm:.1f} mm into "
            f"{collision.second}: look at the facet joint."
        )
    return (
        f"{collision.first} and {collision.second} overlap by {collision.overlap_mm:.1f} mm "
        f"({collision.kind})."
    )


def plan_csv(
    plan: Plan,
    profiles: Mapping[str, HuProfile] | None = None,
    frames: Mapping[str, VertebraFrame] | None = None,
) -> str:
    """Return the screws of a plan as CSV text, entry and tip in RAS mm.

    Parameters
    ----------
    plan : Plan
    profiles : mapping of str to HuProfile, optional
        By the screws' ids.
    frames : mapping of str to VertebraFrame, optional
        By level; angles and the pedicle's width are left empty without.
    """
    points = [f"{name}_{axis}" for name in ("entry", "tip") for axis in ("r", "a", "s")]
    header = [
        "id", "level", "side", "kind", "model", "material", "diameter_mm", "length_mm", *points,
        "locked", "grade", "canal_intrusion_mm", "breach_mm", "direction", "margin_mm",
        "heary", "level_confirmed", "notch_mm", "acetabulum_mm", "convergence_deg", "cranial_deg",
        "pedicle_width_mm", "hu_mean", "hu_minimum", "hu_pedicle", "hu_body",
    ]  # fmt: skip
    rows: list[list[object]] = []
    for s in plan.screws:
        p, frame = (profiles or {}).get(s.id), (frames or {}).get(s.site)
        hu = [p.mean_hu, p.minimum_hu, p.pedicle_hu, p.body_hu] if p else []
        known = [round(v, 1) if np.isfinite(v) else "" for v in hu] or [""] * 4
        rows.append([
            s.id, s.level, s.side, s.kind, s.model, s.material, s.diameter_mm, s.length_mm,
            *(round(c, 3) for c in (*s.entry, *s.tip)), s.locked, *_graded_cells(s),
            *_lying_cells(s, frame), *known,
        ])  # fmt: skip
    return csv_text(header, rows)


def _graded_cells(screw: Screw) -> list[object]:
    grade = screw.grade
    if grade is None:
        return [NOT_GRADED, round(screw.ungraded_canal_mm, 3) or "", "", "", "", "", "", "", ""]
    gaps = (grade.notch_mm, grade.acetabulum_mm)
    return [
        letter_of(screw),
        round(grade.canal_intrusion_mm, 3),
        round(grade.breach_mm, 3),
        grade.direction or "",
        round(grade.margin_mm, 3),
        grade.heary,
        grade.level_confirmed,
        *("" if gap is None else round(gap, 1) for gap in gaps),
    ]


def _lying_cells(screw: Screw, frame: VertebraFrame | None) -> list[object]:
    if frame is None:
        return ["", "", ""]
    angles, width = screw_angles(screw, frame), pedicle_width_mm(screw, frame)
    fill = "" if width is None else round(width, 2)
    return [_rounded(angles.convergence_deg, 2), _rounded(angles.cranial_deg, 2), fill]


def _rounded(value: float, digits: int) -> float:
    """Round a number; nothing is 0, and never -0."""
    return round(value, digits) + 0.0


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"
