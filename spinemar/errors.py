"""The one family of exceptions: a sentence a clinician understands, and the remedy."""

from __future__ import annotations

_LONGEST = 1500
"""Characters of a problem: what it quotes of a file may be endless."""


class SpinemarError(Exception):
    """Base of all errors that SpineMAR raises on purpose.

    Parameters
    ----------
    problem : str
        One sentence that names the problem, in the reader's terms.
    remedy : str
        One sentence that says what to do about it.

    Attributes
    ----------
    exit_code : int
        What the command line returns for this kind of error.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem if len(problem) <= _LONGEST else f"{problem[:_LONGEST]} …"
        self.remedy = remedy
        super().__init__(f"{self.problem} {remedy}".strip())

    def __reduce__(self) -> tuple[type[SpinemarError], tuple[str, str]]:
        # Exceptions cross process borders (worker, Dask); keep both sentences.
        return type(self), (self.problem, self.remedy)


class InputError(SpinemarError):
    """The input cannot be used: exit code 2, nothing was changed."""

    exit_code = 2


class ModelError(InputError):
    """A model file is missing, corrupt, foreign or does not fit this software."""


class GeometryError(InputError):
    """The volume's geometry cannot be corrected or does not match another one."""


class FaultError(SpinemarError):
    """A fault of ours or of the machine (disk full, worker lost): exit code 1."""

    exit_code = 1


class CancelledError(SpinemarError):
    """The user cancelled: exit code 3, nothing was changed."""

    exit_code = 3

    def __init__(self, problem: str = "Cancelled.", remedy: str = "Nothing was changed.") -> None:
        super().__init__(problem, remedy)
