"""Workers for a store: processes of this machine, or a Dask cluster that runs already."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from spinemar.base.extras import optional
from spinemar.errors import InputError

if TYPE_CHECKING:
    from distributed import LocalCluster, Security

_SCHEDULER_SECONDS = 15
_MEMORY_KEPT = {
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
    "MALLOC_MMAP_THRESHOLD_": str(2**24),
}
"""Workers keep freed memory for the next pair. Dask has them give every 64 kB back to the system,
which then clears it anew: a third more processor time. Systems without glibc ignore these."""


def local_cluster(workers: int) -> LocalCluster:
    """Return a cluster of worker processes on this machine; close it, or use it with `with`.

    Workers are processes of one thread each, started afresh (spawn), restarted if they die.

    Everything listens on the loopback interface alone. Dask's status server starts in any case
    and takes port 8787 if none is named, a port that a second cluster would find taken; named by
    its port alone it would listen on every interface of the machine. So: a free port, of loopback.

    Parameters
    ----------
    workers : int
    """
    import dask
    from distributed import LocalCluster

    environment = "distributed.nanny.pre-spawn-environ"
    with dask.config.set({environment: dask.config.get(environment) | _MEMORY_KEPT}):
        return LocalCluster(
            host="127.0.0.1",
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            security=_temporary_keys(),
        )


def _temporary_keys() -> Security | None:
    """Make keys for this cluster alone, where the package `cryptography` is there to make them.

    Loopback is shared by all users of a machine; with keys only this process and its workers can
    talk to the scheduler, without them any user of the machine can have it run code.
    """
    from distributed.security import Security

    if find_spec("cryptography") is None:
        return None
    return Security.temporary()


@contextmanager
def cluster_client(workers: int, scheduler: str | None) -> Iterator[Any]:
    """Connect to a running scheduler, or start workers here and stop them afterwards.

    Parameters
    ----------
    workers : int
        Processes on this machine, unless there is a scheduler.
    scheduler : str or None
        Address of a running Dask scheduler.

    Raises
    ------
    InputError
        If Dask is not installed, or no scheduler answers.
    """
    with optional("Work on several workers"):
        from distributed import Client
    if scheduler is None:
        with local_cluster(workers) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=_SCHEDULER_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"No Dask scheduler answers at {scheduler}.", "Check the address."
        ) from error
    with client:
        yield client
