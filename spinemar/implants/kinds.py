"""The kinds of implant: one row each, which everything that goes through a plan goes by.

Plans and their files, placing, removing and locking, voxels, surfaces, folders in the scene,
tables and counts ask this table and name no kind themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spinemar.implants.catalogue import Catalogue
from spinemar.implants.placement import (
    Cage,
    Cement,
    Construct,
    Crosslink,
    Hook,
    ImportedMesh,
    Rod,
    Screw,
    Wire,
)
from spinemar.implants.shapes.cage import cage_parts
from spinemar.implants.shapes.cement import cement_parts
from spinemar.implants.shapes.crosslink import crosslink_parts
from spinemar.implants.shapes.laminar import hook_parts, wire_parts
from spinemar.implants.shapes.rod import rod_parts
from spinemar.implants.shapes.screw import Part, screw_parts
from spinemar.implants.surfaces.part_meshes import (
    PartMesh,
    imported_meshes,
    rod_meshes,
    screw_meshes,
    solid_meshes,
    wire_meshes,
)


@dataclass(frozen=True)
class ImplantKind:
    """One kind of implant.

    Parameters
    ----------
    group : str
        The plan's entry that holds implants of this kind: "screws".
    record : type
        The frozen dataclass of one; it has an `id` and can be `locked`.
    title : str
        For people: the folder in the scene, and where implants are counted.
    parts : callable
        From an implant and the catalogue to its solids.
    surfaces : callable
        From an implant and the catalogue to the surfaces of its parts.
    code : (value, meaning)
        Of SNOMED CT, as DICOM has it (PS3.16, CID 7157 and 7193): what segments are marked with.
    """

    group: str
    record: type
    title: str
    parts: Callable[[Any, Catalogue], Iterator[Part]]
    surfaces: Callable[[Any, Catalogue], Iterator[PartMesh]]
    code: tuple[str, str] = ("40388003", "Implant")


KINDS: tuple[ImplantKind, ...] = (
    ImplantKind(
        "screws",
        Screw,
        "Screws",
        lambda screw, catalogue: screw_parts(screw, catalogue.screw(screw.model)),
        lambda screw, catalogue: screw_meshes(screw, catalogue.screw(screw.model)),
        ("68183006", "Bone Screw"),
    ),
    ImplantKind(
        "rods",
        Rod,
        "Rods",
        lambda rod, _catalogue: rod_parts(rod),
        lambda rod, _catalogue: rod_meshes(rod),
    ),
    ImplantKind(
        "cages",
        Cage,
        "Cages",
        lambda cage, _catalogue: cage_parts(cage),
        lambda cage, _catalogue: solid_meshes(cage.id, cage_parts(cage), 0.5),
    ),
    ImplantKind(
        "crosslinks",
        Crosslink,
        "Crosslinks",
        lambda link, _catalogue: crosslink_parts(link),
        lambda link, _catalogue: solid_meshes(link.id, crosslink_parts(link)),
    ),
    ImplantKind(
        "cements",
        Cement,
        "Cement",
        lambda cement, _catalogue: cement_parts(cement),
        lambda cement, _catalogue: solid_meshes(cement.id, cement_parts(cement), 0.6),
    ),
    ImplantKind(
        "hooks",
        Hook,
        "Hooks",
        lambda hook, catalogue: hook_parts(hook, catalogue.hook(hook.model)),
        lambda hook, catalogue: solid_meshes(hook.id, hook_parts(hook, catalogue.hook(hook.model))),
    ),
    ImplantKind(
        "wires",
        Wire,
        "Wires",
        lambda wire, _catalogue: wire_parts(wire),
        lambda wire, _catalogue: wire_meshes(wire),
    ),
    # A surface of the user's own is no solid: `voxelize_plan` fills it from the surface.
    ImplantKind(
        "meshes",
        ImportedMesh,
        "Imported",
        lambda _mesh, _catalogue: iter(()),
        lambda mesh, _catalogue: imported_meshes(mesh),
    ),
)
GROUPS = tuple(kind.group for kind in KINDS)


def kind_of(implant: Any) -> ImplantKind:
    """Return the kind of an implant."""
    return next(kind for kind in KINDS if type(implant) is kind.record)


def implants_of(construct: Construct) -> Iterator[tuple[ImplantKind, Any]]:
    """Yield every implant of a construct with its kind, kind by kind."""
    for kind in KINDS:
        for item in getattr(construct, kind.group, ()):
            yield kind, item


def counts_of(construct: Construct) -> dict[str, int]:
    """Count the implants of every kind that a construct could hold, by group."""
    return {kind.group: len(getattr(construct, kind.group, ())) for kind in KINDS}


def construct_parts(construct: Construct, catalogue: Catalogue) -> Iterator[Part]:
    """Yield every solid of a construct, imported meshes excepted."""
    for kind, item in implants_of(construct):
        yield from kind.parts(item, catalogue)
