"""The three standard streams: there or not, full or closed, of any encoding."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from spinemar.errors import FaultError


def open_missing_streams() -> None:
    """Give a process that was started without stdin, stdout or stderr the null device for them.

    The next file that is opened would take their number otherwise, and whatever a library prints
    would go into it: a result, for one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


class _Lasting(io.BufferedIOBase):
    """The bytes of a stream: what nobody takes goes nowhere, and is no error where it happens.

    Parameters
    ----------
    under : binary stream
    """

    def __init__(self, under: BinaryIO) -> None:
        self._under = under
        self.fault: OSError | None = None
        self.name = getattr(under, "name", "")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._try(lambda: self._under.write(data))
        return len(data)

    def flush(self) -> None:
        if not self.closed:
            self._try(self._under.flush)

    def fileno(self) -> int:
        return self._under.fileno()

    def isatty(self) -> bool:
        return self._under.isatty()

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except OSError as error:
            self.fault = self.fault or error
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._under.fileno())
                os.close(nowhere)


@contextmanager
def lasting_streams() -> Iterator[Callable[[], None]]:
    """Have stdout and stderr take all that is printed, whoever prints it, while the block lasts.

    Characters that their encoding lacks (cp1252, ASCII) become escapes. A reader that went away
    (head, less) is no fault, and what a command does next does not depend on it.

    Yields
    ------
    callable
        Raises `FaultError` if stdout could not take everything: a full disk.
    """
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    lasting = {name: _lasting(stream) for name, stream in before.items()}
    for name, stream in lasting.items():
        setattr(sys, name, stream)

    def check() -> None:
        for stream in lasting.values():
            stream.flush()
        fault = getattr(getattr(lasting["stdout"], "buffer", None), "fault", None)
        if fault is not None and not isinstance(fault, BrokenPipeError):
            raise _unprinted(fault)

    try:
        yield check
    finally:
        for name, stream in lasting.items():
            setattr(sys, name, before[name])
            if stream is not before[name]:
                stream.flush()
                stream.detach()


def _lasting(stream: Any) -> Any:
    if not hasattr(stream, "buffer"):
        return stream  # a test's, which takes everything
    stream.flush()
    return io.TextIOWrapper(
        cast("BinaryIO", _Lasting(stream.buffer)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty(),
    )


def _unprinted(error: OSError) -> FaultError:
    """Say that files are written, and only what was to be printed got lost."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FaultError(
        f"The output could not be printed ({'the disk is full' if full else error.strerror}).",
        "Files that were to be written are complete.",
    )
