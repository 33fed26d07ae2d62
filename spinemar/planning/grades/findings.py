"""What to check in a plan before it is used: contacts, odd sizes, doubtful vertebrae, no grades.

Every finding is a sentence of the plan's warnings that begins with `CHECK`, so that findings of an
earlier state give way to those of the present one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import Screw
from spinemar.planning.grades.contacts.collisions import (
    FACET,
    SCREW_SCREW,
    TULIP_TULIP,
    Collision,
    find_collisions,
)
from spinemar.planning.grades.contacts.solid_contacts import hook_gaps_mm
from spinemar.planning.plans.plan import Plan
from spinemar.spine.labels.levels import LUMBAR, level_position
from spinemar.spine.model import Agreement, SpineModel

CHECK = "Check "
#: Shorter screws hardly leave the pedicle: from T9 downwards, and above, mm.
_SHORT_MM, _SHORT_ABOVE_T9_MM = 30.0, 25.0
#: Trabecular HU at which osteoporosis is more than 90 % specific (Pickhardt et al., Opportunistic
#: screening for osteoporosis using abdominal CT, Ann Intern Med 2013; measured in L1).
_OSTEOPOROTIC_HU = 110.0
_MEASURED_LEVELS = ("T12", *LUMBAR)
#: Screws in the ilium keep so far from the notch and from the hip, mm.
_NEAR_MM = 4.0
#: A rod runs so near the middle of a hook's slot, mm.
_BESIDE_SLOT_MM = 0.5
#: Screws of one vertebra differ by so much at most, mm.
_UNEQUAL_LENGTH_MM, _UNEQUAL_DIAMETER_MM = 10.0, 1.5


def with_findings(plan: Plan, spine: SpineModel, catalogue: Catalogue) -> Plan:
    """Return the plan with its present findings in its warnings, in place of earlier ones."""
    kept = tuple(text for text in plan.warnings if not text.startswith(CHECK))
    return replace(plan, warnings=(*kept, *findings(plan, spine, catalogue)))


def findings(plan: Plan, spine: SpineModel, catalogue: Catalogue) -> tuple[str, ...]:
    """Return what to check in a graded plan, as sentences.

    Contacts with facet joints are not among them: most constructs have some, and the report
    lists them.
    """
    contacts = (c for c in find_collisions(plan, catalogue) if c.kind != FACET)
    found = [
        *_ungraded(plan.screws),
        *(_contact(collision) for collision in contacts),
        *_odd_sizes(plan.screws),
        *_near_in_pelvis(plan.screws),
        *_never_graded(plan),
        *_beside_hooks(plan, catalogue),
        *_doubtful_vertebrae(plan, spine),
        *_porous_bone(plan, spine),
    ]
    return tuple(dict.fromkeys(f"{CHECK}{text}" for text in found))


def _ungraded(screws: Iterable[Screw]) -> Iterator[str]:
    without = [screw for screw in screws if screw.grade is None]
    for reason, group in groupby(without, key=lambda screw: screw.not_graded):
        names = ", ".join(screw.id for screw in group)
        yield f"{names}: not graded. {reason}".rstrip()


def _contact(collision: Collision) -> str:
    what = {SCREW_SCREW: "their shanks overlap", TULIP_TULIP: "their heads overlap"}
    return (
        f"{collision.first} and {collision.second}: {what.get(collision.kind, 'they overlap')} by "
        f"{collision.overlap_mm:.1f} mm."
    )


def _odd_sizes(screws: Iterable[Screw]) -> Iterator[str]:
    placed = [screw for screw in screws if screw.level and not screw.in_lateral_mass]
    for screw in placed:
        upper = level_position(screw.level) < level_position("T9")
        if screw.length_mm < (_SHORT_ABOVE_T9_MM if upper else _SHORT_MM):
            yield f"{screw.id}: it is only {screw.length_mm:g} mm long."
    sides = {(screw.level, screw.side): screw for screw in placed}
    for (level, side), left in sides.items():
        right = sides.get((level, "right"))
        if side == "left" and right is not None and _unequal(left, right):
            yield (
                f"{left.id} and {right.id}: their sizes differ, {left.diameter_mm:g} x "
                f"{left.length_mm:g} mm and {right.diameter_mm:g} x {right.length_mm:g} mm."
            )


def _near_in_pelvis(screws: Iterable[Screw]) -> Iterator[str]:
    """Yield what screws in the ilium come near to, or where that is not known."""
    for screw in screws:
        if not screw.in_pelvis or screw.grade is None:
            continue
        gaps = (
            ("the greater sciatic notch", screw.grade.notch_mm),
            ("the joint of the hip", screw.grade.acetabulum_mm),
        )
        for what, gap in gaps:
            if gap is None:
                yield f"{screw.id}: its distance from {what} is not known."
            elif gap < _NEAR_MM:
                yield f"{screw.id}: it is only {max(gap, 0.0):.0f} mm from {what}."


def _never_graded(plan: Plan) -> Iterator[str]:
    """Yield which implants have no grade by their kind, and what to look at."""
    if plan.cements:
        names = ", ".join(cement.id for cement in plan.cements)
        yield f"{names}: not graded. Cement is drawn where it would lie without leaks."
    laminar = [*(hook.id for hook in plan.hooks), *(wire.id for wire in plan.wires)]
    if laminar:
        names = ", ".join(laminar)
        yield f"{names}: not graded. It lies in the spinal canal, under the lamina."


def _beside_hooks(plan: Plan, catalogue: Catalogue) -> Iterator[str]:
    """Yield which rods do not run through the slots of the hooks of their side, and by how much."""
    for rod in plan.rods:
        hooks = [hook for hook in plan.hooks if hook.side == rod.side]
        for name, gap in hook_gaps_mm(rod, hooks, catalogue).items():
            if gap > _BESIDE_SLOT_MM:
                yield (
                    f"{name}: {rod.id} runs {gap:.1f} mm beside the middle of its slot. Leave a "
                    "level between hook and screw, or join them with a connector."
                )


def _unequal(left: Screw, right: Screw) -> bool:
    return (
        abs(left.length_mm - right.length_mm) > _UNEQUAL_LENGTH_MM
        or abs(left.diameter_mm - right.diameter_mm) > _UNEQUAL_DIAMETER_MM
    )


def _doubtful_vertebrae(plan: Plan, spine: SpineModel) -> Iterator[str]:
    """Yield what the segmentation says against the planned vertebrae, alike ones together."""
    said: dict[str, list[str]] = {}
    planned = _planned_levels(plan)
    for vertebra in spine.vertebrae:
        if vertebra.level in planned:
            for text in vertebra.warnings:
                said.setdefault(text, []).append(vertebra.level)
    for text, levels in said.items():
        yield f"{', '.join(levels)}: {text[:1].lower()}{text[1:]}"


def _planned_levels(plan: Plan) -> set[str]:
    """Return every level that something of the plan lies in, discs' both ones."""
    discs = (level for cage in plan.cages for level in cage.level.split("/"))
    items: tuple[Any, ...] = (*plan.screws, *plan.cements, *plan.hooks, *plan.wires)
    return {*plan.levels, *(item.level for item in items), *discs}


def _porous_bone(plan: Plan, spine: SpineModel) -> Iterator[str]:
    """Yield the planned bodies whose bone is as thin as in osteoporosis."""
    planned = _planned_levels(plan)
    porous = [
        f"{vertebra.level} ({vertebra.agreement.core_hu:.0f} HU)"
        for vertebra in spine.vertebrae
        if vertebra.level in planned
        and vertebra.level in _MEASURED_LEVELS
        and vertebra.agreement is not None
        and _is_porous(vertebra.agreement)
    ]
    if porous:
        yield (
            f"{', '.join(porous)}: osteoporotic range, {_OSTEOPOROTIC_HU:.0f} HU or less in the "
            "body at 120 kVp without contrast (Pickhardt et al., Ann Intern Med 2013)."
        )


def _is_porous(agreement: Agreement) -> bool:
    hu = agreement.core_hu
    return not agreement.doubts and hu is not None and hu <= _OSTEOPOROTIC_HU
