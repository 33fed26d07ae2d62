"""Whatever a button, timer, signal or observer raises is a sentence, and a traceback in the log.

Every Python function that the panels connect to a signal, a timer or an event of the scene is
recorded, then made to raise, and called by Qt or VTK as they would call it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FunctionType

import pytest

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
OURS = ("MetalArtifactReduction", "SpineImplantPlanner", "SpineMARLib")
# Fewer would mean that the recording has gone blind.
AT_LEAST = {"MetalArtifactReduction": 25, "SpineImplantPlanner": 40}


def raises(*_args, **_options):
    raise LookupError("made to fail")


def functionOf(slot):
    """Return the plain function behind a slot; None where it is not Python of this repository."""
    function = getattr(slot, "__func__", slot)
    if not isinstance(function, FunctionType):
        return None
    path = Path(function.__code__.co_filename)
    parts = path.relative_to(ROOT).parts if ROOT in path.parents else ("",)
    return function if parts[0] in OURS else None


@pytest.fixture
def slots(monkeypatch, host):
    """Record what is connected while a module loads and its panel is opened."""
    import qt
    from slicer.util import VTKObservationMixin

    from Testing.host import pythonqt

    found = []

    def recorded(take, place):
        def call(*arguments):
            found.extend(a for a in arguments[place:] if callable(a))
            return take(*arguments)

        return call

    monkeypatch.setattr(pythonqt, "_connect", recorded(pythonqt._connect, 2))
    monkeypatch.setattr(qt.QTimer, "singleShot", staticmethod(recorded(qt.QTimer.singleShot, 1)))
    addObserver = VTKObservationMixin.addObserver

    def observed(self, obj, event, method, *rest, **options):
        found.append(method)
        return addObserver(self, obj, event, method, *rest, **options)

    monkeypatch.setattr(VTKObservationMixin, "addObserver", observed)
    return found


@pytest.mark.parametrize("name", list(AT_LEAST))
def test_what_a_slot_raises_reaches_the_user_and_the_log(name, host, slots, caplog):
    import qt

    host.openModule(ROOT / name / f"{name}.py")
    functions = {id(f): (slot, f) for slot in slots if (f := functionOf(slot)) is not None}
    assert len(functions) >= AT_LEAST[name]
    silent, singleShot = [], qt.QTimer.singleShot
    for slot, function in functions.values():
        code = function.__code__
        function.__code__ = raises.__code__.replace(
            co_filename=code.co_filename, co_freevars=code.co_freevars
        )
        host.messages.clear()
        caplog.clear()
        try:
            singleShot(0, slot)
            host.waitUntil(lambda: host.messages or host.errors, 2.0)
        finally:
            function.__code__ = code
        texts = [message.text for message in host.messages]
        logged = [r for r in caplog.records if r.exc_info and "LookupError" in repr(r.exc_info)]
        if len(texts) != 1 or "made to fail" not in texts[0] or not logged or host.errors:
            silent.append((code.co_qualname, texts, len(logged), host.errors[:]))
        host.errors.clear()
    assert silent == []


def test_what_others_raise_is_not_ours(host):
    import qt

    host.openModule(ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py")
    qt.QTimer.singleShot(0, raises)
    host.waitUntil(lambda: host.errors, 2.0)
    assert isinstance(host.errors.pop(), LookupError)
    assert host.messages == []


@pytest.mark.parametrize("first", [0, 1])
def test_panels_leave_in_any_order(host, first):
    from SpineMARLib.panel.uncaught import UncaughtErrors

    before = sys.excepthook
    watchers = [UncaughtErrors(__file__, "A"), UncaughtErrors(__file__, "B")]
    for watcher in watchers:
        watcher.watch()
    watchers[first].leave()
    watchers[1 - first].leave()
    error = KeyError()
    sys.excepthook(KeyError, error, None)
    assert host.errors.pop() is error
    sys.excepthook = before


def test_a_timer_that_goes_on_raising_opens_one_message_box(host):
    import qt

    panel = host.openModule(ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py")

    class Run:
        running = True

        def letWork(self, _seconds):
            pass

        def close(self):
            pass

    def whileOpen(message):
        host.process(0.3)  # the timer's beats go on behind the message box
        return qt.QMessageBox.Ok

    host.answer = whileOpen
    panel._watch._onProgress = lambda run: run.nothing
    panel._watch.start(Run())
    host.process(0.4)
    assert len(host.messages) == 1
    assert panel.run is None
