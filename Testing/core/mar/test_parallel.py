"""Slabs in threads: the same result bit by bit, bounded memory, errors that arrive."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from spinemar.errors import CancelledError
from spinemar.mar.correct import correct_volume
from spinemar.mar.pipeline.result_cache import ResultCache
from spinemar.mar.pipeline.stopwatch import Stopwatch
from spinemar.mar.pipeline.threads import ThreadPlan, in_order
from spinemar.progress import CancelToken
from spinemar.volume import CTVolume


@pytest.mark.parametrize("method", ["nmar", "li"])
def test_threads_change_no_bit(scan, method) -> None:
    volume = scan("316L").volume
    serial = correct_volume(volume, method=method, threads=1)
    for threads in (2, 3):
        together = correct_volume(volume, method=method, threads=threads)
        np.testing.assert_array_equal(together.volume.hu, serial.volume.hu)
        assert together.slices == serial.slices


def test_a_slice_does_not_depend_on_what_else_is_corrected(scan) -> None:
    """Slices share transforms in pairs fixed by their index, so parts equal the whole."""
    volume = scan("316L").volume
    whole = correct_volume(volume, method="nmar")
    part = correct_volume(CTVolume(volume.hu[2:], volume.ijk_to_ras), method="nmar")
    np.testing.assert_array_equal(part.volume.hu, whole.volume.hu[2:])


def test_memory_does_not_grow_with_the_number_of_slices(scan, monkeypatch) -> None:
    volume = scan("316L").volume
    most = {}
    once = ResultCache.get

    def counting(self, keys, make, **settings):
        result = once(self, keys, make, **settings)
        most["kept"] = max(most.get("kept", 0), len(self))
        return result

    monkeypatch.setattr(ResultCache, "get", counting)
    kept = []
    for repeats in (2, 6):
        most.clear()
        hu = np.concatenate([volume.hu] * repeats)
        correct_volume(CTVolume(hu, volume.ijk_to_ras), method="nmar", threads=2)
        kept.append(most["kept"])
    # 13 products of a unit; two workers, one slab waiting, one just finished.
    assert kept[0] <= 13 * 5
    assert kept[1] <= 13 * 5


def test_results_come_in_order_and_few_are_in_work() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def job(n: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002 * (n % 3))
        with lock:
            at_once -= 1
        return n * n

    assert list(in_order(job, range(30), 3)) == [n * n for n in range(30)]
    assert 2 <= most <= 3


def test_one_worker_is_the_caller_itself() -> None:
    names = list(in_order(lambda _: threading.current_thread().name, range(3), 1))
    assert names == [threading.current_thread().name] * 3


def test_the_first_error_arrives_and_the_rest_never_begins() -> None:
    begun = []

    def job(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ValueError("two")
        return n

    results = []
    with pytest.raises(ValueError, match="two"):
        results.extend(in_order(job, range(1000), 2))
    assert results == [0, 1]
    assert max(begun) < 10


def test_cancel_in_the_middle_leaves_nothing_running(scan) -> None:
    token = CancelToken()
    before = threading.active_count()

    def stop(progress) -> None:
        if progress.stage == "Correcting" and progress.done:
            token.cancel()

    with pytest.raises(CancelledError):
        correct_volume(scan("316L").volume, method="nmar", threads=2, progress=stop, cancel=token)
    assert threading.active_count() == before


def test_the_plan_uses_every_thread_once() -> None:
    for threads in (1, 2, 3, 8, 64):
        for most in (None, 4):
            plan = ThreadPlan.for_machine(threads, most)
            assert 1 <= plan.workers * plan.threads_each <= threads
            assert plan.workers <= (most or 16)
    assert ThreadPlan.for_machine(2) == ThreadPlan(2, 1)
    assert ThreadPlan.for_machine(16, 4) == ThreadPlan(4, 4)


def test_one_thread_makes_what_many_ask_for() -> None:
    store, made = ResultCache(), []

    def make(keys):
        for key in keys:
            made.append(key)
            time.sleep(0.01)
            yield key * 10

    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(store.get([1, 2, 3], make)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[10, 20, 30]] * 6
    assert sorted(made) == [1, 2, 3]
    store.forget(lambda key: key < 3)
    assert len(store) == 1


def test_what_one_has_not_begun_is_free_for_others() -> None:
    store = ResultCache()
    begun, go_on = threading.Event(), threading.Event()
    makers = {}

    def make(keys):
        makers[keys[0]] = threading.current_thread().name
        if keys == ["a"]:
            begun.set()
            go_on.wait(5)
        return keys

    slow = threading.Thread(target=store.get, args=(["a", "b"], make), name="slow")
    slow.start()
    begun.wait(5)
    assert store.get(["b"], make) == ["b"]
    go_on.set()
    slow.join()
    assert makers["a"] == "slow"
    assert makers["b"] != "slow"


def test_who_waits_gets_the_error_and_may_try_again() -> None:
    store = ResultCache()
    begun, go_on = threading.Event(), threading.Event()

    def fail(keys):
        yield "first"
        begun.set()
        go_on.wait(5)
        raise RuntimeError("broken")

    caught = []

    def ask(make) -> None:
        try:
            caught.append(store.get(["a", "b"], make, together=2))
        except RuntimeError as error:
            caught.append(str(error))

    first = threading.Thread(target=ask, args=(fail,))
    first.start()
    begun.wait(5)
    second = threading.Thread(target=ask, args=(fail,))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert caught[0] == "broken" or caught[1] == "broken"
    assert store.get(["a", "b"], lambda keys: [key.upper() for key in keys]) == ["first", "B"]


def test_stages_do_not_count_twice() -> None:
    watch = Stopwatch()
    with watch.stage("outer"):
        time.sleep(0.02)
        with watch.stage("inner"):
            time.sleep(0.05)
    seconds = watch.finished()
    assert seconds["inner"] >= 0.05
    assert seconds["outer"] + seconds["inner"] <= seconds["total"] + 0.002
    assert seconds["outer"] >= 0.02
