"""Which pairs there are: forty, by name, each made from its name alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from Testing.benchmarks.earlier_ct.making.patients import SAMPLE, SPLITS

Scanner = Literal["own", "xcist"]

TITANIUM, COBALT, STEEL = "Ti-6Al-4V", "CoCrMo", "316L"
_METALS = (TITANIUM, STEEL, COBALT, STEEL, TITANIUM)
_OWN_SLICES_MM = (2.5, 5.0, 3.0, 5.0, 4.0, 2.0, 2.5, 1.25)
_XCIST_SLICES_MM = (5.0, 4.0)
_COUNTS: tuple[tuple[Scanner, str, int], ...] = (
    ("own", "crlm_1006", 16),
    ("own", SAMPLE, 14),
    ("xcist", "crlm_1006", 6),
    ("xcist", SAMPLE, 4),
)


@dataclass(frozen=True)
class PairSpec:
    """One pair.

    Parameters
    ----------
    name : str
    scanner : {"own", "xcist"}
    patient : str
    number : int
        Among those of the same patient and scanner; chooses the levels.
    metal : str
        Of screws and rods.
    slice_mm : float
        Of the scan with metal.
    """

    name: str
    scanner: Scanner
    patient: str
    number: int
    metal: str
    slice_mm: float

    @property
    def seed(self) -> int:
        """The same whatever else is made."""
        return zlib.crc32(self.name.encode())

    @property
    def may_tune(self) -> bool:
        """Whether fusion and registration may be tuned on it: never the test patient or XCIST."""
        return self.scanner == "own" and SPLITS[self.patient] == "validation"


def all_specs() -> list[PairSpec]:
    """Return every pair, in the order of scanners, patients and numbers."""
    return [
        _spec(scanner, patient, number)
        for scanner, patient, count in _COUNTS
        for number in range(count)
    ]


def _spec(scanner: Scanner, patient: str, number: int) -> PairSpec:
    slices = _OWN_SLICES_MM if scanner == "own" else _XCIST_SLICES_MM
    return PairSpec(
        name=f"{scanner}-{SPLITS[patient]}-{number:02d}",
        scanner=scanner,
        patient=patient,
        number=number,
        metal=_METALS[number % len(_METALS)],
        slice_mm=slices[number % len(slices)],
    )
