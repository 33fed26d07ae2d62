"""Read a CT that is to be corrected; a result of ours, corrected twice, would only gain errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spinemar.base.files.sets import is_current
from spinemar.errors import InputError
from spinemar.jobs.batches.sidecar import read_sidecar
from spinemar.volume import CTVolume

if TYPE_CHECKING:
    from spinemar.mar.settings import CorrectionSettings


def read_scan(source: Path, series: str | None, settings: CorrectionSettings) -> CTVolume:
    """Read a CT that is to be corrected.

    Parameters
    ----------
    source : Path
    series : str, optional
        Which one of a DICOM folder.
    settings : CorrectionSettings
        What is allowed all the same.

    Raises
    ------
    InputError
        If it cannot be read, or is no scan as it was acquired: reformatted, or our own result.
    """
    from spinemar.io import read_volume
    from spinemar.io.dicom.acquired import check_acquired

    volume = read_volume(source, series=series)
    if not settings.allow_reformatted:
        check_acquired(volume)
    if not settings.allow_corrected:
        check_not_corrected(source, volume)
    return volume


def check_not_corrected(source: Path, volume: CTVolume) -> None:
    """Refuse a CT that says, or beside which it is said, that we have corrected it.

    Parameters
    ----------
    source : Path
        File or folder that the volume was read from.
    volume : CTVolume

    Raises
    ------
    InputError
        Naming the method that it was corrected with.
    """
    method = volume.metadata.get("corrected_with") or _method_beside(source)
    if method is not None:
        raise InputError(
            f"{source.name} was corrected by SpineMAR before (method {method}).",
            "Correct the original CT instead. To correct this one all the same, allow it with "
            "--allow-corrected.",
        )


def _method_beside(source: Path) -> str | None:
    """Return the method that the facts beside a result name, if they are about it."""
    facts = read_sidecar(source) if source.is_file() else None
    if facts is None or Path(str(facts.get("output", ""))).name != source.name:
        return None
    if "sha256" in facts and not is_current(source, facts["sha256"]):
        return None  # of the same name, but another one
    made = facts.get("provenance")
    if not isinstance(made, dict) or not facts.get("corrected"):
        return None
    return str(made.get("method"))
