"""What `plan` is asked to place besides screws, rods and cages: refused before the CT is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spinemar.errors import InputError
from spinemar.implants.placement import (
    LATERAL_MASS_WAYS,
    SIDES,
    STANDARD_CEMENT,
    STANDARD_HOOK,
    STANDARD_LATERAL_MASS,
    STANDARD_PEDICLE_HOOK,
    STANDARD_WIRE,
)

if TYPE_CHECKING:
    from spinemar.implants.catalogue import Catalogue
    from spinemar.implants.placement import Cement, Hook, Screw, Wire
    from spinemar.spine.model import SpineModel

    Place = Callable[[SpineModel], Cement | Hook | Wire | Screw]

_USUAL_ML = 3.0


def cement_request(text: str, catalogue: Catalogue) -> Place:
    """Read "T12" or "T12=4".

    Raises
    ------
    InputError
        If it names no level, or no amount.
    """
    from spinemar.planning.constructs.others import cement_in_body
    from spinemar.spine.labels.levels import parse_level

    name, _, amount = text.partition("=")
    level, model = parse_level(name), catalogue.cement(STANDARD_CEMENT)
    try:
        volume = float(amount) if amount else _USUAL_ML
    except ValueError as error:
        raise _unread(text, "LEVEL or LEVEL=ML, such as T12=4") from error
    if not min(model.volumes_ml) <= volume <= max(model.volumes_ml):
        raise InputError(
            f"{volume:g} ml of cement are not usual.",
            f"Ask for {min(model.volumes_ml):g} to {max(model.volumes_ml):g} ml.",
        )
    return lambda spine: cement_in_body(spine, level, model, volume)


def hook_request(text: str, catalogue: Catalogue) -> Place:
    """Read "T10-left-up", or "T8-left-pedicle".

    Raises
    ------
    InputError
        If it does not name level, side and way.
    """
    from spinemar.planning.constructs.others import WAYS, hook_at_lamina, hook_at_pedicle
    from spinemar.spine.labels.levels import parse_level

    name, side, way = _words(text, 3, "LEVEL-SIDE-WAY, such as T10-left-up")
    if side not in SIDES or way not in (*WAYS, "pedicle"):
        raise _unread(text, "LEVEL-SIDE-WAY, such as T10-left-up")
    level, model = parse_level(name), catalogue.hook(STANDARD_HOOK)
    if way == "pedicle":
        grasping = catalogue.hook(STANDARD_PEDICLE_HOOK)
        return lambda spine: hook_at_pedicle(spine, level, side, grasping)
    return lambda spine: hook_at_lamina(spine, level, side, way, model)


def lateral_mass_request(text: str, catalogue: Catalogue) -> Place:
    """Read "C5-left", or "C5-left=Roy-Camille".

    Raises
    ------
    InputError
        If it does not name level and side, or no way.
    """
    from spinemar.planning.constructs.lateral_mass import lateral_mass_screw
    from spinemar.spine.labels.levels import parse_level

    place, _, asked = text.partition("=")
    how = "LEVEL-SIDE or LEVEL-SIDE=WAY, such as C5-left=Magerl"
    name, side = _words(place, 2, how)
    way = asked or LATERAL_MASS_WAYS[0]
    if side not in SIDES or way not in LATERAL_MASS_WAYS:
        raise _unread(text, how)
    level, model = parse_level(name), catalogue.screw(STANDARD_LATERAL_MASS)
    return lambda spine: lateral_mass_screw(spine, level, side, way, model)


def wire_request(text: str, catalogue: Catalogue) -> Place:
    """Read "T10-left".

    Raises
    ------
    InputError
        If it does not name level and side.
    """
    from spinemar.planning.constructs.others import wire_at_lamina
    from spinemar.spine.labels.levels import parse_level

    name, side = _words(text, 2, "LEVEL-SIDE, such as T10-left")
    if side not in SIDES:
        raise _unread(text, "LEVEL-SIDE, such as T10-left")
    level, model = parse_level(name), catalogue.wire(STANDARD_WIRE)
    return lambda spine: wire_at_lamina(spine, level, side, model)


def _words(text: str, count: int, how: str) -> list[str]:
    words = text.split("-")
    if len(words) != count:
        raise _unread(text, how)
    return words


def _unread(text: str, how: str) -> InputError:
    return InputError(f"'{text}' does not say what is to be placed.", f"Write {how}.")
