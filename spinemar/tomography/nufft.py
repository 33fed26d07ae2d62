"""Non-uniform FFT plans that are kept and lent out, one borrower at a time.

A finufft plan sorts its points once (about as long as one transform takes) and owns a work
area, so it must be reused, but two threads must not run the same plan at once.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The smaller oversampling halves the time at this tolerance: its grid stays in the cache.
_UPSAMPLING = 1.25


class _Lent(np.ndarray[Any, Any]):
    """An array whose address is handed to C without a reference back to it.

    NumPy's own `ctypes.data_as` makes a cycle (its source names CPython's issue 12836): every
    image that was ever transformed would stay until Python looks for cycles, which it does by
    counts of objects and not by their size.
    """

    @property
    def ctypes(self) -> Any:
        return _Address(super().ctypes.data)


class _Address:
    """What finufft asks of `ndarray.ctypes`: the address alone. The caller keeps the array."""

    def __init__(self, address: int) -> None:
        self._as_parameter_ = ctypes.c_void_p(address)

    def data_as(self, kind: Any) -> Any:
        return kind(self._as_parameter_.value)


class PlanPool:
    """Plans of one kind of two-dimensional transform at fixed frequencies.

    Parameters
    ----------
    kind : {1, 2}
        2: image to frequencies (exp(-i...)); 1: frequencies to image (exp(+i...)), so that
        the two are each other's adjoints.
    shape : (rows, columns)
    frequencies : two ndarrays of float32, shape (m,)
        Radians per row and per column.
    eps : float
        Relative tolerance.
    threads : int
        OpenMP threads inside one transform.
    """

    def __init__(
        self,
        kind: int,
        shape: tuple[int, int],
        frequencies: tuple[NDArray[np.float32], NDArray[np.float32]],
        eps: float,
        threads: int,
    ) -> None:
        self._kind = kind
        self._shape = shape
        self._frequencies = frequencies
        self._eps = eps
        self._threads = threads
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def _new_plan(self) -> Any:
        import finufft

        plan = finufft.Plan(
            self._kind,
            self._shape,
            1,
            eps=self._eps,
            isign=-1 if self._kind == 2 else 1,
            dtype="complex64",
            nthreads=self._threads,
            showwarn=0,  # it compares threads with cores on every plan
            upsampfac=_UPSAMPLING,
            # Radial lines are near enough to each other in memory; threads need the sorting.
            spread_sort=0 if self._threads == 1 else 2,
        )
        plan.setpts(*(one.view(_Lent) for one in self._frequencies))
        return plan

    def run(self, data: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Transform one array, (rows, columns) or (m,), into the other."""
        shape = (len(self._frequencies[0]),) if self._kind == 2 else self._shape
        result = np.zeros(shape, dtype=np.complex64)
        with self._borrow() as plan:
            plan.execute(np.ascontiguousarray(data).view(_Lent), out=result.view(_Lent))
        return result

    @contextmanager
    def _borrow(self) -> Iterator[Any]:
        """Lend an idle plan, or a new one when all are out."""
        with self._lock:
            plan = self._idle.pop() if self._idle else None
        if plan is None:
            plan = self._new_plan()
        try:
            yield plan
        finally:
            with self._lock:
                self._idle.append(plan)
