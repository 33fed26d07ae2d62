"""A surgeon's construct or random implants: which, and how mixed, for data sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import Catalogue
from spinemar.planning.construct import ConstructSettings, construct_from_pedicles
from spinemar.planning.plan import Plan
from spinemar.planning.random_plan import RandomSettings, random_plan
from spinemar.planning.sites import PedicleSite
from spinemar.planning.variation import Spread, vary_plan
from spinemar.volume import GridGeometry


def mixed_plan(
    sites: Sequence[PedicleSite],
    geometry: GridGeometry,
    seed: int | Sequence[int],
    *,
    random_share: float = 0.2,
    construct: ConstructSettings | None = None,
    spread: Spread | None = None,
    random: RandomSettings | None = None,
    inside: NDArray[np.bool_] | None = None,
    catalogue: Catalogue | None = None,
) -> Plan:
    """Draw a varied construct, or with the probability `random_share` random implants.

    Parameters
    ----------
    sites : sequence of PedicleSite
        Of the levels to instrument; without any the implants are always random.
    geometry : GridGeometry
        Grid of the CT.
    seed : int or sequence of int
        The same seed gives the same plan.
    random_share : float
        From 0 (always a construct) to 1 (never).
    construct, spread, random : settings, optional
    inside : ndarray of bool, shape (k, j, i), optional
        Where random implants may lie.
    catalogue : Catalogue, optional
    """
    base = [seed] if isinstance(seed, int) else list(seed)
    drawn = np.random.default_rng([*base, 0]).uniform()
    if drawn < random_share or not sites:
        return random_plan(geometry, [*base, 1], inside=inside, settings=random,
                           catalogue=catalogue)  # fmt: skip
    plan = construct_from_pedicles(sites, construct, catalogue)
    return vary_plan(plan, spread, [*base, 2], catalogue)
