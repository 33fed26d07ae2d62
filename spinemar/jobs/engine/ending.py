"""How work ends early, everywhere alike: it is asked to stop, has a few seconds, and then is ended.

Work may be deep in a library that nothing interrupts (a network that never ends, a reader on a
disk that hangs), where Python's handlers of signals do not run. So a thread is told of signals by
the system itself, waits for the grace, and ends the process.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spinemar.errors import CancelledError

_GRACE_SECONDS = 3.0


def ended_cancel() -> CancelledError:
    """Say that work did not stop by itself."""
    return CancelledError(
        "Cancelled; the work did not stop by itself and was ended.",
        "Nothing is half written. Run it again.",
    )


@contextmanager
def signals_cancel(ask: Callable[[], None], tell: Callable[[], object]) -> Iterator[None]:
    """While the block lasts, have signals ask work to stop, and end what does not.

    Ctrl+C, SIGTERM and SIGHUP are meant; those that this process was started to ignore (`nohup`)
    stay ignored. In a thread other than the main one nothing happens: signals belong to that.

    Parameters
    ----------
    ask : callable
        Asks to stop; called at the first signal, in any thread.
    tell : callable
        Says that the process is ended, as `ended_cancel` puts it: when the grace is over, or at a
        second signal. The exit code is then 3.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [n for n in _signals() if signal.getsignal(n) is not signal.SIG_IGN]
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(reader, set(numbers), ask, tell, over))
    watch.daemon = True
    before = {number: signal.signal(number, lambda *_: ask()) for number in numbers}
    woken = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()  # ends the thread
        watch.join(timeout=1.0)
        reader.close()


def end_after_grace(tell: Callable[[], object]) -> None:
    """End this process with code 3 if it still runs after the grace."""
    timer = threading.Timer(_GRACE_SECONDS, _end, (tell,))
    timer.daemon = True
    timer.start()


def end_with_parent() -> None:
    """Have a process of a pool end with the process that started it, however that ends.

    Ctrl+C is left to the parent, which ends the pool.
    """
    import multiprocessing
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(CancelledError.exit_code)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _watch(
    reader: socket.socket,
    numbers: set[signal.Signals],
    ask: Callable[[], None],
    tell: Callable[[], object],
    over: threading.Event,
) -> None:
    if not _signalled(reader, numbers):
        return
    ask()
    reader.settimeout(_GRACE_SECONDS)
    try:
        again = _signalled(reader, numbers)
    except TimeoutError:
        again = True
    if again and not over.is_set():
        _end(tell)


def _signalled(reader: socket.socket, numbers: set[signal.Signals]) -> bool:
    """Wait for one of the signals; False where the block ended without."""
    while byte := reader.recv(1):
        if byte[0] in numbers:
            return True
    return False


def _end(tell: Callable[[], object]) -> None:
    # Whoever holds a stream's lock may be stuck: saying so must not keep us from ending.
    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(timeout=0.5)
    os._exit(CancelledError.exit_code)
