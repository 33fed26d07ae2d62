"""A screw in words: its name at its head, its grade, and what is dangerous about it, first."""

from __future__ import annotations

import math
from collections.abc import Callable

from spinemar.implants.placement import GRADE_LETTERS, Screw
from spinemar.planning.grades.gertzbein_robbins import RESOLVED_MM
from spinemar.planning.grades.surroundings import Surroundings
from spinemar.planning.plans.plan import Plan

NOT_GRADED = "not graded"
UNCONFIRMED = "{letter} (level not confirmed)"
COUNTED_UNCONFIRMED = "{letter} of unconfirmed level"
IN_CANAL = "{letter}: {mm} mm in the canal, medial"
BREACH = "{letter}: {mm} mm {direction}"
CERTAIN = "certain"
BETWEEN = "between {best} and {worst}"
HEARY_CLASS = "Heary {name}"
NEAR_NOTCH = "{mm} mm from the greater sciatic notch"
NEAR_HIP = "{mm} mm from the hip joint"
BONE = {
    "earlier CT": "on the earlier CT",
    "labels": "on the labels",
    "corrected CT": "estimated on the corrected CT",
}
#: What `screw_line` asks its `word` for, to be translated.
PHRASES = (
    NOT_GRADED, UNCONFIRMED, COUNTED_UNCONFIRMED, IN_CANAL, BREACH, CERTAIN, BETWEEN, HEARY_CLASS,
    NEAR_NOTCH, NEAR_HIP, *BONE.values(),
)  # fmt: skip


def millimetres(breach_mm: float) -> str:
    """Return a breach with one digit, cut, not rounded: 1.97 mm is a B, and no 2.0.

    Examples
    --------
    >>> millimetres(1.97), millimetres(6.0)
    ('1.9', '6.0')
    """
    return f"{math.floor(10 * breach_mm + 1e-9) / 10:.1f}"


def canal_mm(screw: Screw) -> float:
    """Return how deep a screw lies in the canal; 0 where that cannot be told from its wall."""
    return screw.canal_intrusion_mm if screw.canal_intrusion_mm > RESOLVED_MM else 0.0


def letter_of(screw: Screw, word: Callable[[str], str] = str) -> str:
    """Say the letter of a screw, and beside it that its vertebra's name is not confirmed.

    Whoever shows a letter shows this: a screw can lie well in the wrong vertebra.
    """
    grade = screw.grade
    if grade is None:
        return word(NOT_GRADED)
    return grade.letter if grade.level_confirmed else word(UNCONFIRMED).format(letter=grade.letter)


def short_letter(screw: Screw) -> str:
    """Return what `letter_of` says where there is little room: "A, level?"."""
    if screw.grade is None:
        return NOT_GRADED
    return screw.grade.letter + ("" if screw.grade.level_confirmed else ", level?")


def grade_counts(plan: Plan, word: Callable[[str], str] = str) -> dict[str, int]:
    """Count the screws by their letters, the worst first; those of unconfirmed levels apart.

    So no count of A holds a screw that may lie in another vertebra than it is named after.
    """
    counts: dict[str, int] = {}
    for letter in GRADE_LETTERS[::-1]:
        graded = [s.grade for s in plan.screws if s.grade is not None and s.grade.letter == letter]
        sure = sum(grade.level_confirmed for grade in graded)
        counts[letter] = sure
        counts[word(COUNTED_UNCONFIRMED).format(letter=letter)] = len(graded) - sure
    counts[word(NOT_GRADED)] = sum(screw.grade is None for screw in plan.screws)
    return {name: count for name, count in counts.items() if count}


def grade_line(screw: Screw, word: Callable[[str], str] = str) -> str:
    """Say a screw's grade, its worst news first: "E: 6.7 mm in the canal, medial".

    Of a screw that is not graded the canal is said too, where it is known.

    Parameters
    ----------
    screw : Screw
    word : callable
        Translates words of `PHRASES` and directions.
    """
    grade = screw.grade
    letter = letter_of(screw, word)
    if canal := canal_mm(screw):
        return word(IN_CANAL).format(letter=letter, mm=millimetres(canal))
    if grade is None or grade.direction is None:
        return letter
    return word(BREACH).format(
        letter=letter,
        mm=millimetres(grade.breach_mm),
        direction=word(grade.direction),
    )


def screw_line(screw: Screw, word: Callable[[str], str] = str) -> str:
    """Say a screw's grade as `grade_line` does, how sure it is, and why it has none.

    With a breach goes its class of Heary; of a screw in the ilium the distances of the notch and of
    the hip joint are said too.

    How sure it is is known of a screw that was found in a CT and still lies there.
    """
    line = grade_line(screw, word)
    if screw.not_graded:
        return f"{line}{'.' if canal_mm(screw) else ':'} {screw.not_graded}"
    line = "; ".join([line, *_further(screw, word)])
    seen = screw.sighting
    if seen is None or not seen.best:
        return line
    sure = word(CERTAIN if seen.best == seen.worst else BETWEEN)
    return f"{line}, {sure.format(best=seen.best, worst=seen.worst)}; {word(BONE[seen.bone])}"


def _further(screw: Screw, word: Callable[[str], str]) -> list[str]:
    """Say the class of Heary of a breach, and how far from notch and hip joint a screw is."""
    grade = screw.grade
    if grade is None:
        return []
    told = [word(HEARY_CLASS).format(name=grade.heary)] if grade.heary not in ("", "I") else []
    gaps = ((NEAR_NOTCH, grade.notch_mm), (NEAR_HIP, grade.acetabulum_mm))
    return told + [word(text).format(mm=f"{gap:.0f}") for text, gap in gaps if gap is not None]


def surroundings_line(near: Surroundings) -> str:
    """Say what a screw comes near to, as sentences; what is not known is left out."""
    told = []
    if near.bone_before_tip_mm is not None:
        gap = near.bone_before_tip_mm
        beyond = f"The last {-gap:.1f} mm of the shank lie beyond the bone."
        told.append(f"{gap:.1f} mm of bone before the tip." if gap >= 0 else beyond)
    if near.anterior_breach_mm > RESOLVED_MM:
        told.append(f"It leaves the body {near.anterior_breach_mm:.1f} mm to the front.")
    if near.endplate_mm is not None:
        gap = near.endplate_mm
        through = f"{-gap:.1f} mm through the {near.endplate} endplate."
        told.append(f"{gap:.1f} mm from the {near.endplate} endplate." if gap >= 0 else through)
    if near.facet_mm:
        told.append(f"It reaches {near.facet_mm:.1f} mm into the vertebra above at the facet.")
    return " ".join(told)


def short_name(screw: Screw) -> str:
    """Return a screw's name as it is said: "L1 R", "S2AI L"; its id outside the spine."""
    place = screw.level or screw.course
    return f"{place} {screw.side[0].upper()}" if place else screw.id


def head_label(screw: Screw, *, touches: bool = False) -> str:
    """Return what stands at a screw's head in the views: "L1 R · A".

    Parameters
    ----------
    screw : Screw
    touches : bool
        Whether it collides with something: the label says so.
    """
    canal = ", in the canal" if screw.grade is None and canal_mm(screw) else ""
    return f"{short_name(screw)} · {short_letter(screw)}{canal}" + " · touches" * touches


def in_canal(plan: Plan) -> tuple[Screw, ...]:
    """Return the screws that lie in the spinal canal, the deepest first."""
    return tuple(sorted(filter(canal_mm, plan.screws), key=lambda screw: -canal_mm(screw)))


def danger_line(screw: Screw, word: Callable[[str], str] = str) -> str:
    """Say of a screw what has to be seen first: "L1 R · E: 6.7 mm in the canal, medial"."""
    return f"{short_name(screw)} · {grade_line(screw, word)}"
