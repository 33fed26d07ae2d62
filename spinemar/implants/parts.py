"""All solids of a construct."""

from __future__ import annotations

from collections.abc import Iterator

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import Construct
from spinemar.implants.shapes.cage import cage_parts
from spinemar.implants.shapes.crosslink import crosslink_parts
from spinemar.implants.shapes.rod import rod_parts
from spinemar.implants.shapes.screw import Part, screw_parts


def construct_parts(construct: Construct, catalogue: Catalogue) -> Iterator[Part]:
    """Yield every solid of a construct, imported meshes excepted."""
    for screw in construct.screws:
        yield from screw_parts(screw, catalogue.screw(screw.model))
    for rod in construct.rods:
        yield from rod_parts(rod)
    for cage in construct.cages:
        yield from cage_parts(cage)
    for crosslink in construct.crosslinks:
        yield from crosslink_parts(crosslink)
