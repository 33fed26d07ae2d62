"""One job in a worker process, with its folder of arrays handed over and taken back.

Plain Python: no Slicer, no Qt. Whoever starts a run looks at `running` now and then and calls
`letWork`; how the run reads its worker is its own matter.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import disk_fault, private_folder
from spinemar.base.explain import explained
from spinemar.errors import CancelledError, FaultError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.arrays import save_array
from spinemar.jobs.engine.process import JobProcess
from spinemar.jobs.engine.standby import StandbyWorker
from spinemar.progress import Progress

MakeJob = Callable[[Path], Mapping[str, Any] | None]
TakeBack = Callable[[Path, Mapping[str, Any]], Any]


class JobRun:
    """A job that is under way; `result` or `error` is set when `running` becomes false.

    Parameters
    ----------
    makeJob : callable
        Takes the job's temporary folder, writes what is handed over there, returns the job; None
        where there is nothing for a worker, as what follows is quicker than handing over.
    takeBack : callable
        Takes the folder and what the worker returned; what it returns becomes `result`.
    temporaryFolder : path
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    standby : StandbyWorker, optional
        Its waiting worker does the job, where one waits.

    Both callables run in a thread and must not touch the scene.
    """

    def __init__(
        self,
        makeJob: MakeJob,
        takeBack: TakeBack,
        temporaryFolder: str | Path,
        command: Sequence[str] | None = None,
        standby: StandbyWorker | None = None,
    ) -> None:
        self.result: Any = None
        self.error: SpinemarError | None = None
        self.progress = Progress("Preparing", 0, 1)
        self.log = ""
        self._makeJob, self._takeBack = makeJob, takeBack
        self._command, self._standby = command, standby
        self._folder = private_folder(temporaryFolder)
        self._process: JobProcess | None = None
        self._cancelled = False
        self._handling = True
        self._stageStarted = time.monotonic()
        self._finished = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="job", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether neither a result nor an error is there yet."""
        return not self._finished.is_set()

    @property
    def pid(self) -> int | None:
        """The worker's process id, once it has started."""
        return None if self._process is None else self._process.pid

    @property
    def secondsLeft(self) -> float | None:
        """Time that the stage will still take at its pace so far; None before one can say."""
        done, total = self.progress.done, self.progress.total
        if done < 1 or total < 2:
            return None
        return (time.monotonic() - self._stageStarted) / done * (total - done)

    def letWork(self, beatSeconds: float) -> None:
        """Give the run some of a beat; called on every beat of a user interface.

        Slicer's event loop holds Python's lock all the time but in slots that wait. While arrays
        are handed over or taken back the run gets most of the beat, else a tenth.
        """
        self._finished.wait((0.9 if self._handling else 0.1) * beatSeconds)

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
            job = self._makeJob(self._folder)
            facts = {} if job is None else self._done(job)
            self._advance(Progress("Taking the result over", 0, 1))
            result = self._takeBack(self._folder, facts)
            if self._cancelled:
                raise CancelledError
            self.result = result
        except SpinemarError as error:
            self.error = error
        except OSError as error:
            self.error = disk_fault(error, self._folder)
        except Exception as error:
            self.error = explained(error)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._finished.set()

    def _done(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have a worker do a job; return its facts."""
        with self._lock:
            if self._cancelled:
                raise CancelledError
            waiting = None if self._standby is None else self._standby.take()
            self._process = JobProcess(job, self._command, waiting=waiting)
        return self._follow(self._process)

    def _follow(self, process: JobProcess) -> Mapping[str, Any]:
        self._handling = False
        try:
            while process.running:
                for event in process.poll():
                    if event["event"] == "progress":
                        self._advance(protocol.progress_of(event))
                    elif event["event"] == "done":
                        result: Mapping[str, Any] = event["result"]
                        return result
                    elif event["event"] in protocol.ENDINGS:
                        self.log = process.log
                        raise protocol.error_of(event)
                time.sleep(0.02)
        finally:
            self._handling = True
        raise FaultError("The worker ended without a result.", "Please try again.")

    def _advance(self, progress: Progress) -> None:
        if progress.stage != self.progress.stage:
            self._stageStarted = time.monotonic()
        self.progress = progress


def handOver(
    folder: Path, stem: str, array: np.ndarray, ijkToRas: np.ndarray, name: str = ""
) -> dict[str, Any]:
    """Write an array into a job's folder and return how the job names it.

    Parameters
    ----------
    folder : Path
    stem : str
        Of the file.
    array : ndarray, shape (k, j, i)
    ijkToRas : ndarray, shape (4, 4)
    name : str
        For messages; the stem by default.
    """
    save_array(folder / f"{stem}.npy", array)
    return {
        "npy": str(folder / f"{stem}.npy"),
        "ijk_to_ras": np.asarray(ijkToRas).tolist(),
        "name": name or stem,
    }


def factsAlone(_folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Take back what the worker returned, for jobs that leave no arrays."""
    return dict(facts)
