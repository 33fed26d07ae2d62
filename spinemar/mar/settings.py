"""How a volume is corrected: the one declaration of every choice and its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from spinemar.base.json_records import build_record
from spinemar.errors import InputError

Method = Literal["auto", "generator", "nmar", "li"]
Device = Literal["auto", "cpu", "cuda", "cuda-fp16"]

METHODS: tuple[Method, ...] = get_args(Method)
DEVICES: tuple[Device, ...] = get_args(Device)

# What ran, for people; "none" where there was no metal.
METHOD_TITLES: Mapping[str, str] = {
    "li": "Linear interpolation",
    "nmar": "NMAR",
    "generator": "Learned",
    "none": "Unchanged",
}

# Between soft tissue and the largest value that scanners store.
THRESHOLD_RANGE_HU = (500.0, 30_000.0)


@dataclass(frozen=True)
class CorrectionSettings:
    """Everything that a user can choose about a correction.

    Command line, jobs, batches, both Slicer modules and the command-line module derive from it:
    a choice is declared here and nowhere else.

    Parameters
    ----------
    method : {"auto", "generator", "nmar", "li"}
        "auto" takes the given or shipped model if there is one, else NMAR.
    metal_threshold_hu : float or None
        None: metal is found automatically.
    model : Path or None
        Manifest of a model, the folder that holds it, or the name of a shipped one.
    device : {"auto", "cpu", "cuda", "cuda-fp16"}
        Where networks run.
    allow_reformatted : bool
        Whether DICOM series that are no acquired axial slices are corrected too; asked where
        files are read.
    allow_corrected : bool
        Whether results of SpineMAR itself are corrected again; asked where files are read.
    allow_other_patient : bool
        Whether an earlier CT is used whose patient ID differs from the scan's, or which is not
        the earlier one by its date; asked where files are read.
    """

    method: Method = "auto"
    metal_threshold_hu: float | None = None
    model: Path | None = None
    device: Device = "auto"
    allow_reformatted: bool = False
    allow_corrected: bool = False
    allow_other_patient: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(
                f"There is no method '{self.method}'.", f"Use one of: {', '.join(METHODS)}."
            )
        if self.device not in DEVICES:
            raise InputError(
                f"There is no device '{self.device}'.", f"Use one of: {', '.join(DEVICES)}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the settings by name, as `from_json` reads them."""
        return {**asdict(self), "model": None if self.model is None else str(self.model)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CorrectionSettings:
        """Read settings.

        Raises
        ------
        InputError
            If an entry is unknown or cannot be used.
        """
        return build_record(
            cls, values, "settings object of the correction", remedy="Correct the settings."
        )
