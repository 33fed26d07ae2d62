"""Scans of our own fan-beam scanner, read as the judge's cases are, to compare arms there too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from spinemar_training.data.out_of_domain import load_cases

from spinemar.evaluation.regions import filled_body
from spinemar.planning.plans.plan import Plan
from Testing.benchmarks.xcist.cases import Case


def own_scans(folder: Path, scale: str) -> Iterator[Case]:
    """Read the cases of `spinemar-train foreign-cases` that were stored on one scale.

    Parameters
    ----------
    folder : Path
    scale : {"12-bit", "extended"}
    """
    for one in load_cases(folder):
        if one.facts["scale"] != scale or one.metal is None or one.metal.plan is None:
            continue
        assert isinstance(one.metal.plan, Plan)
        truth = one.truth.hu
        yield Case(
            name=one.name,
            scans={scale: one.scan},
            truth=one.truth,
            metal_fraction=one.metal.fraction,
            body=np.stack([filled_body(image) for image in truth]),
            plan=one.metal.plan,
            facts={**one.facts, "screws": one.facts["metal"], "rods": one.facts["metal"]},
        )
