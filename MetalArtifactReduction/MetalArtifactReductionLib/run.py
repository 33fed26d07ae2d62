"""One correction in a worker process, from a volume's array to the corrected one.

Plain Python: no Slicer, no Qt. Nothing here blocks the caller; threads hand the voxels over and
take them back, and `poll` says what happened since it was last asked.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import disk_fault, private_folder
from spinemar.base.explain import explained
from spinemar.errors import CancelledError, FaultError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.arrays import save_array, stored_like
from spinemar.jobs.engine.process import JobProcess
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import Progress


@dataclass(frozen=True)
class Source:
    """What is corrected: an array that nobody changes meanwhile, and where it lies.

    Parameters
    ----------
    name : str
        For messages.
    voxels : ndarray, shape (k, j, i)
    ijkToRas : ndarray, shape (4, 4)
    metal : ndarray of bool, optional
        Metal known from elsewhere, on the same grid.
    """

    name: str
    voxels: np.ndarray
    ijkToRas: np.ndarray
    metal: np.ndarray | None = None


@dataclass(frozen=True)
class Corrected:
    """What came back.

    Parameters
    ----------
    voxels : ndarray
        Same type and shape as the source's.
    difference : ndarray
        Corrected less original, in HU.
    metal : ndarray of uint8
        Cropped to where there is metal.
    metalOrigin : tuple of int
        (k, j, i) of the crop's first voxel.
    facts : mapping
        Provenance, slices, seconds, message.
    """

    voxels: np.ndarray
    difference: np.ndarray
    metal: np.ndarray
    metalOrigin: tuple[int, int, int]
    facts: Mapping[str, Any]


class CorrectionRun:
    """A run that is under way; `result` or `error` is set when `running` becomes false."""

    def __init__(
        self,
        source: Source,
        settings: CorrectionSettings,
        temporaryFolder: str | Path,
        command: Sequence[str] | None = None,
    ) -> None:
        self.source = source
        self.result: Corrected | None = None
        self.error: SpinemarError | None = None
        self.progress = Progress("Preparing", 0, 1)
        self.log = ""
        self._settings = settings
        self._command = command
        self._folder = private_folder(temporaryFolder)
        self._process: JobProcess | None = None
        self._cancelled = False
        self._finished = threading.Event()
        self._started = time.monotonic()
        self._stageStarted = self._started
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="correction", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether neither a result nor an error is there yet."""
        return not self._finished.is_set()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    @property
    def secondsLeft(self) -> float | None:
        """Time that the stage will still take at its pace so far; None before one can say."""
        done, total = self.progress.done, self.progress.total
        if done < 1 or total < 2:
            return None
        return (time.monotonic() - self._stageStarted) / done * (total - done)

    def cancel(self) -> None:
        """Stop; within 2 s the run has ended and left nothing behind."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.cancel()

    def close(self) -> None:
        """End everything at once, for a program that quits."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.close()
        self._finished.wait(2.0)

    # What follows runs in the thread.

    def _work(self) -> None:
        try:
            self._hand_over()
            facts = self._follow()
            self.result = self._take_back(facts)
        except SpinemarError as error:
            self.error = error
        except OSError as error:
            self.error = disk_fault(error, self._folder)
        except Exception as error:
            self.error = explained(error)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._finished.set()

    def _hand_over(self) -> None:
        job: dict[str, Any] = {
            "kind": "correct",
            "input": self._named("input.npy", self.source.voxels),
            "output": str(self._folder / "output.npy"),
            "metal_output": str(self._folder / "metal.npy"),
            "stored_as": self.source.voxels.dtype.name,
            "settings": self._settings.to_json(),
        }
        if self.source.metal is not None:
            job["metal_mask"] = self._named("mask.npy", self.source.metal.astype(np.uint8))
        with self._lock:
            if self._cancelled:
                raise CancelledError
            self._process = JobProcess(job, self._command)

    def _named(self, name: str, array: np.ndarray) -> dict[str, Any]:
        save_array(self._folder / name, array)
        return {
            "npy": str(self._folder / name),
            "ijk_to_ras": self.source.ijkToRas.tolist(),
            "name": self.source.name,
        }

    def _follow(self) -> Mapping[str, Any]:
        assert self._process is not None
        while self._process.running:
            for event in self._process.poll():
                if event["event"] == "progress":
                    self._advance(protocol.progress_of(event))
                elif event["event"] == "done":
                    result: Mapping[str, Any] = event["result"]
                    return result
                elif event["event"] in protocol.ENDINGS:
                    self.log = self._process.log
                    raise protocol.error_of(event)
            time.sleep(0.02)
        raise FaultError("The worker ended without a result.", "Please try again.")

    def _advance(self, progress: Progress) -> None:
        if progress.stage != self.progress.stage:
            self._stageStarted = time.monotonic()
        self.progress = progress

    def _take_back(self, facts: Mapping[str, Any]) -> Corrected:
        self._advance(Progress("Taking the result over", 0, 1))
        after = np.load(self._folder / "output.npy", allow_pickle=False)
        metal = np.load(self._folder / "metal.npy", allow_pickle=False)
        if self._cancelled:
            raise CancelledError
        before = self.source.voxels
        change = after.astype(np.float32) - before.astype(np.float32)
        kind = before.dtype.name if before.dtype.kind == "i" else "int16"
        crop, origin = _cropped(metal)
        return Corrected(after, stored_like(change, kind), crop, origin, facts)


def _cropped(mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Cut a mask down to where it holds something."""
    if not mask.any():
        return np.zeros((0, 0, 0), np.uint8), (0, 0, 0)
    cuts = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(mask.any(axis=others))
        cuts.append(slice(int(used[0]), int(used[-1]) + 1))
    crop = np.ascontiguousarray(mask[tuple(cuts)])
    return crop, (cuts[0].start, cuts[1].start, cuts[2].start)
