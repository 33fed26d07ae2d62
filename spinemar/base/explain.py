"""Any error in one sentence and a remedy: the same one wherever a job runs."""

from __future__ import annotations

from spinemar.base.extras import missing_package
from spinemar.errors import CancelledError, FaultError, SpinemarError


def explained(
    error: BaseException, report: str = "Please report it with the log."
) -> SpinemarError:
    """Put an error into a sentence and a remedy.

    Parameters
    ----------
    error : BaseException
    report : str
        The remedy where the fault is ours.

    Returns
    -------
    SpinemarError
        The error itself if it is one.
    """
    if isinstance(error, SpinemarError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError()
    if isinstance(error, MemoryError):
        return FaultError(
            "There is not enough memory.", "Close other programs, or crop the volume first."
        )
    if isinstance(error, ImportError) and (told := missing_package(error)) is not None:
        return told
    if isinstance(error, OSError):
        return FaultError(f"The machine refused ({error}).", "Check disk and permissions.")
    return FaultError(f"This is a fault of SpineMAR ({type(error).__name__}: {error}).", report)
