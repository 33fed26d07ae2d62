"""The seventeen constructs of the judge: levels, metal, protocol, and where the slice lies.

Heights are told by anatomy: through both pedicles of a level, half way between two levels (rods
alone), or through a crosslink. Titanium 7, CoCr 3, 316L steel 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import PedicleSite

TITANIUM, COBALT, STEEL = "Ti-6Al-4V", "CoCrMo", "316L"
Where = Literal["pedicles", "between", "crosslink"]


@dataclass(frozen=True)
class Construct:
    """One case.

    Parameters
    ----------
    name : str
    levels : sequence of str
        Instrumented levels, from head to foot; the slice lies at the first ("pedicles"), below
        it ("between") or through the crosslink.
    screws, rods : str
        Alloys.
    where : str
    sides : sequence of str
    share : float
        Screw diameter over pedicle width.
    offset_mm : float
        Of the slice from that height, towards the head.
    protocol : mapping
        What differs from `PROTOCOL`.
    """

    name: str
    levels: tuple[str, ...]
    screws: str
    rods: str
    where: Where = "pedicles"
    sides: tuple[str, ...] = ("left", "right")
    share: float = 0.8
    rod_mm: float = 5.5
    offset_mm: float = 0.0
    protocol: dict[str, Any] = field(default_factory=dict)


PROTOCOL: dict[str, Any] = {
    "kvp": 120,
    "ma": 300.0,
    "bowtie": "large.txt",
    "kernel": "standard",
    "views": 720,
    "slice_mm": 2.0,
    "scatter": 1.0,
    "scatter_correction": 0.9,
}

CONSTRUCTS = (
    Construct("steel-l1-screws", ("L1", "L2"), STEEL, STEEL),
    Construct("ti-l2-screws", ("L2", "L3"), TITANIUM, TITANIUM),
    Construct("cocr-l2-screws", ("L2", "L3"), COBALT, COBALT, offset_mm=1.0),
    Construct("steel-l3-screws-low-dose", ("L3", "L2"), STEEL, STEEL, share=0.85,
              protocol={"ma": 100.0, "scatter_correction": 0.6}),
    Construct("ti-t12-screws-bone-kernel", ("T12", "L1"), TITANIUM, TITANIUM,
              protocol={"kernel": "bone"}),
    Construct("steel-rods-l1-l2", ("L1", "L2"), STEEL, STEEL, where="between", rod_mm=6.0),
    Construct("ti-rods-l1-l2", ("L1", "L2"), TITANIUM, TITANIUM, where="between", rod_mm=6.0),
    Construct("cocr-t11-screws-soft-kernel", ("T11", "T12"), COBALT, COBALT,
              protocol={"kernel": "soft"}),
    Construct("cocr-rods-ti-screws-l1", ("L1", "L2"), TITANIUM, COBALT, rod_mm=6.0,
              offset_mm=-2.0),
    Construct("ti-l1-screws-low-dose", ("L1", "L2"), TITANIUM, TITANIUM, protocol={"ma": 80.0}),
    Construct("steel-t12-one-side", ("T12", "L1"), STEEL, STEEL, sides=("right",),
              protocol={"scatter_correction": 0.7}),
    Construct("ti-l3-one-side", ("L3", "L2"), TITANIUM, TITANIUM, sides=("left",)),
    Construct("steel-t10-screws-140kvp", ("T10", "T11"), STEEL, STEEL, protocol={"kvp": 140}),
    Construct("ti-t10-screws-100kvp", ("T10", "T11"), TITANIUM, TITANIUM, share=0.9,
              protocol={"kvp": 100}),
    Construct("ti-crosslink-l2-l3", ("L2", "L3"), TITANIUM, TITANIUM, where="crosslink"),
    Construct("steel-l2-screws-100kvp", ("L2", "L3"), STEEL, STEEL, share=0.95, rod_mm=6.0,
              protocol={"kvp": 100, "ma": 200.0, "scatter_correction": 0.6}),
    Construct("steel-t11-screws-100kvp", ("T11", "T12"), STEEL, STEEL, share=0.9,
              protocol={"kvp": 100, "ma": 120.0, "scatter_correction": 0.6}),
)  # fmt: skip


def plan_of(construct: Construct, sites: Sequence[PedicleSite]) -> Plan:
    """Plan a construct through the patient's pedicles."""
    chosen = [s for s in sites if s.level in construct.levels and s.side in construct.sides]
    settings = ConstructSettings(
        material=construct.screws,
        diameter_share=construct.share,
        with_crosslink=construct.where == "crosslink",
        rod=RodSettings(material=construct.rods, diameter_mm=construct.rod_mm),
    )
    return construct_from_pedicles(chosen, load_catalogue(), settings)


def height_mm(construct: Construct, plan: Plan, sites: Sequence[PedicleSite]) -> float:
    """Height of the slice, RAS mm."""
    heights = [_pedicle_height(sites, level) for level in construct.levels[:2]]
    if construct.where == "between":
        return float(np.mean(heights)) + construct.offset_mm
    if construct.where == "crosslink":
        link = plan.crosslinks[0]
        return 0.5 * (link.start[2] + link.end[2]) + construct.offset_mm
    return heights[0] + construct.offset_mm


def _pedicle_height(sites: Sequence[PedicleSite], level: str) -> float:
    return float(np.mean([s.isthmus[2] for s in sites if s.level == level]))
