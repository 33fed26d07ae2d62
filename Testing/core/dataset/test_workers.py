"""Many processes, some of them killed: the same store."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

from spinemar.dataset import cluster as clusters
from spinemar.dataset import make as making
from spinemar.dataset.cluster import local_cluster
from spinemar.dataset.make import make_store
from spinemar.dataset.storage.layout import BLOCKS
from spinemar.dataset.storage.verify import verify_store
from spinemar.errors import FaultError, InputError

# distributed closes its sockets a moment after the test has ended
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

STORE_PAIRS, BLOCK = 11, 3  # of the fixture `finished`


def blocks(store):
    return len(list((store / BLOCKS).glob("[0-9]*.json")))


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_two_workers_one_of_them_killed_make_the_serial_store(
    tmp_path, inputs, small, finished, tree
):
    from distributed import Client

    store = tmp_path / "pairs.zarr"
    killed = []
    with local_cluster(2) as cluster, Client(cluster) as client:
        pids = sorted(client.run(os.getpid).values())
        assert len(set(pids)) == 2
        assert os.getpid() not in pids

        def kill_one():
            wait_for(lambda: blocks(store) >= 1)
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

        killer = threading.Thread(target=kill_one)
        killer.start()
        made = make_store(
            store, inputs, STORE_PAIRS, settings=small(), seed=5, block_pairs=BLOCK,
            scheduler=cluster.scheduler_address,
        )  # fmt: skip
        killer.join()
    assert killed
    assert len(made.done) == 4
    assert {int(one.worker) for one in made.done} - {pids[0]}
    assert verify_store(store, deep=True).problems == ()
    assert tree(store) == tree(finished)


def start(ct_folder, store, *options):
    command = [
        sys.executable, "-m", "spinemar.cli.main", "dataset", "make", str(ct_folder / "cts.json"),
        "-o", str(store), "--pairs", str(STORE_PAIRS), "--seed", "5", "--block", str(BLOCK),
        "--settings", str(ct_folder / "small.json"), "--domain", "mix:0.5", *options,
    ]  # fmt: skip
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["serial", "two workers"])
def test_kill_9_in_mid_run_then_resume(tmp_path, ct_folder, finished, tree, options):
    import psutil

    store = tmp_path / "pairs.zarr"
    job = start(ct_folder, store, *options)
    wait_for(lambda: blocks(store) >= 1)
    children = psutil.Process(job.pid).children(recursive=True)
    job.kill()
    job.communicate()
    # Workers without their master end by themselves.
    wait_for(lambda: not any(child.is_running() for child in children), 60.0)
    there = blocks(store)
    assert 1 <= there < 4
    problems = verify_store(store).problems
    assert problems, "an unfinished store says so"
    resumed = start(ct_folder, store, *options)
    _, errors = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, errors
    assert verify_store(store, deep=True).problems == ()
    assert tree(store) == tree(finished)


def test_clusters_listen_on_this_machine_alone_and_stand_side_by_side():
    """Whoever reaches a Dask scheduler can run code on the machine."""
    import psutil
    from distributed import Client

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # "Port 8787 is already in use"
        with local_cluster(1) as one, local_cluster(1) as two:
            for cluster in (one, two):
                with Client(cluster) as client:
                    pids = [os.getpid(), *client.run(os.getpid).values()]
                    found = [c for pid in pids for c in psutil.Process(pid).net_connections()]
                    heard = {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}
                    assert heard == {"127.0.0.1"}


def _pages_cleared_again():
    """Pages that the system clears for arrays of a pair's size that come and go."""
    import resource

    import numpy as np

    for _ in range(3):
        np.ones((4, 720, 736), dtype=np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones((4, 720, 736), dtype=np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's memory")
def test_workers_keep_their_memory_from_pair_to_pair():
    from distributed import Client

    page = os.sysconf("SC_PAGE_SIZE")
    with local_cluster(1) as cluster, Client(cluster) as client:
        pages = client.submit(_pages_cleared_again).result()
    assert pages * page < 4 * 720 * 736 * 4  # less than one array's, of twenty


def test_no_scheduler_is_one_sentence(tmp_path, inputs, small, monkeypatch):
    monkeypatch.setattr(clusters, "_SCHEDULER_SECONDS", 1)
    with pytest.raises(InputError, match="No Dask scheduler answers"):
        make_store(tmp_path / "s", inputs, 1, settings=small(), scheduler="tcp://127.0.0.1:9")


def test_a_worker_that_dies_every_time_is_a_fault_not_a_hang(tmp_path, inputs, small, monkeypatch):
    """A block that kills every worker (for want of memory, say) ends the run with a reason."""
    import dask
    from distributed import Client

    monkeypatch.setattr(making, "make_block", _die)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        local_cluster(1) as cluster,
        Client(cluster),
        pytest.raises(FaultError, match="killed its worker"),
    ):
        make_store(
            tmp_path / "s", inputs, 2, settings=small(), scheduler=cluster.scheduler_address,
            block_pairs=2,
        )  # fmt: skip


def _die(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def test_without_the_keys_nobody_reaches_the_workers(monkeypatch):
    """Other users of the machine share its loopback."""
    pytest.importorskip("cryptography")
    from distributed import Client

    with local_cluster(1) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        with Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result() == 3
        for address in (cluster.scheduler_address, cluster.scheduler_address.replace("tls", "tcp")):
            with pytest.raises((OSError, TypeError, ValueError, RuntimeError)):
                Client(address, timeout=2)
