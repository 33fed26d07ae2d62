"""A volume as a derived DICOM series, written by a worker: of a large CT it takes a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from SpineMARLib.jobrun import JobRun, handOver
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas


def startWriting(
    node: Any,
    files: Sequence[str],
    folder: Path,
    temporaryFolder: str | Path,
    command: Sequence[str] | None = None,
    *,
    description: str = "Metal artifacts reduced",
    provenance: Mapping[str, Any] | None = None,
) -> JobRun:
    """Start writing a volume as a series of its source's study; the result is its files.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
    files : sequence of str
        Of the source series.
    folder : Path
        New folder for the series.
    temporaryFolder : path
        For what is handed to the worker.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    description : str
        What was done, in English.
    provenance : mapping, optional
        How the volume was made.
    """
    series = seriesOf(node, files, folder, description=description, provenance=provenance)

    def make(handed: Path) -> dict[str, Any]:
        return {"kind": "write-series", **series(handed)}

    def take(_handed: Path, facts: Mapping[str, Any]) -> list[Path]:
        return [Path(name) for name in facts["files"]]

    return JobRun(make, take, temporaryFolder, command)


def seriesOf(
    node: Any,
    files: Sequence[str],
    folder: Path,
    *,
    description: str,
    provenance: Mapping[str, Any] | None = None,
) -> Callable[[Path], dict[str, Any]]:
    """Return what makes a "write-series" by name of a folder for what is handed over.

    Parameters are those of `startWriting`. The node is read at once.
    """
    name, voxels, matrix = node.GetName(), arrayOf(node), ijkToRas(node)

    def series(handed: Path) -> dict[str, Any]:
        return {
            "input": handOver(handed, "input", voxels, matrix, name),
            "sources": list(files),
            "folder": str(folder),
            "description": description,
            "provenance": dict(provenance or {}),
        }

    return series
