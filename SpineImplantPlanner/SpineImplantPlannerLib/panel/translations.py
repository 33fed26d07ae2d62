"""Words that the core uses for sides, directions, grades and kinds, in the user's language."""

from slicer.i18n import tr as _

from spinemar.planning.report.wording import (
    BETWEEN,
    BONE,
    BREACH,
    CERTAIN,
    COUNTED_UNCONFIRMED,
    HEARY_CLASS,
    IN_CANAL,
    NEAR_HIP,
    NEAR_NOTCH,
    NOT_GRADED,
    UNCONFIRMED,
)


def translated(text):
    """Return a word of the core translated; itself where it is none of those."""
    return {
        "left": _("left"),
        "right": _("right"),
        "medial": _("medial"),
        "lateral": _("lateral"),
        "superior": _("superior"),
        "inferior": _("inferior"),
        "anterior": _("anterior"),
        "posterior": _("posterior"),
        "screws": _("screws"),
        "rods": _("rods"),
        "cages": _("cages"),
        "crosslinks": _("crosslinks"),
        "cements": _("cements"),
        "hooks": _("hooks"),
        "wires": _("wires"),
        "meshes": _("imported surfaces"),
        NOT_GRADED: _("not graded"),
        UNCONFIRMED: _("{letter} (level not confirmed)"),
        COUNTED_UNCONFIRMED: _("{letter} of unconfirmed level"),
        IN_CANAL: _("{letter}: {mm} mm in the canal, medial"),
        BREACH: _("{letter}: {mm} mm {direction}"),
        CERTAIN: _("certain"),
        BETWEEN: _("between {best} and {worst}"),
        HEARY_CLASS: _("Heary {name}"),
        NEAR_NOTCH: _("{mm} mm from the greater sciatic notch"),
        NEAR_HIP: _("{mm} mm from the hip joint"),
        BONE["earlier CT"]: _("on the earlier CT"),
        BONE["labels"]: _("on the labels"),
        BONE["corrected CT"]: _("estimated on the corrected CT"),
    }.get(text, text)
