"""The shipped tables of attenuation and tube spectra, and the recipe they came from.

`scripts/make_physics_tables.py` makes them once; reading them needs neither xraydb nor spekpy.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _read_text(name: str) -> str:
    return (files("spinemar.physics") / "data" / name).read_text(encoding="utf-8")


@cache
def table(name: str) -> dict[str, NDArray[np.float64]]:
    """Columns of a shipped CSV table.

    Every column has the shape (rows,).

    Parameters
    ----------
    name : str
        "attenuation" (mass attenuation, cm2/g) or "spectra" (photon share per keV).

    Returns
    -------
    dict of str to ndarray
        "energy_kev" and one read-only column for each material or tube voltage.
    """
    header, *rows = _read_text(f"{name}.csv").splitlines()
    values = np.array([[float(cell) for cell in row.split(",")] for row in rows])
    values.setflags(write=False)
    return {column: values[:, index] for index, column in enumerate(header.split(","))}


@cache
def recipe() -> dict[str, Any]:
    """How the tables were made: compositions, densities, sources, filtration, beam quality."""
    facts: dict[str, Any] = json.loads(_read_text("tables.json"))
    return facts
