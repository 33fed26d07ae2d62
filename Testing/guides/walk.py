"""Somebody who follows a guide: real clicks and keys, a picture and the seconds of each step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "Docs" / "guides"


def numbered_headings(guide: str) -> list[str]:
    """Return the steps of a guide, as its headings put them ("1. Install", ...)."""
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    return [heading.partition(" (")[0] for heading in re.findall(r"^## (\d+\. .*)$", text, re.M)]


class Walk:
    """A session of the host in which a guide is followed.

    Parameters
    ----------
    host : Testing.host.host.Host
    pictures : Path
        Takes a picture of each step.
    """

    def __init__(self, host: Any, pictures: Path) -> None:
        self.host, self._pictures = host, pictures
        self.rows: list[tuple[str, float, str]] = []

    def follow(self, guide: str, steps: dict[str, Callable[[Walk], str]]) -> None:
        """Take the steps of a guide, which are those of its headings.

        Each step checks what the guide promises there, and returns what was seen.
        """
        if list(steps) != numbered_headings(guide):
            raise AssertionError(f"{guide}.md has the steps {numbered_headings(guide)}")
        for number, (heading, step) in enumerate(steps.items(), 1):
            start = time.monotonic()
            seen = step(self)
            self.host.process(0.2)
            self.host.screenshot(self._pictures / f"{guide}-{number}.png")
            self.rows.append((heading, time.monotonic() - start, seen))
            print(f"| {heading} | {self.rows[-1][1]:.0f} | {seen} |", flush=True)
            if self.host.errors:
                raise self.host.errors.pop()

    def click(self, button: Any) -> None:
        """Press a button with the mouse."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        if not (button.isVisible() and button.isEnabled()):
            raise AssertionError(f"{button.objectName} cannot be clicked")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.host.process(0.05)

    def press(self, key: str, *, control: bool = False) -> None:
        """Press a key in the main window."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        self.host.window.activateWindow()
        self.host.process()
        modifier = Qt.KeyboardModifier
        QTest.keyClick(
            self.host.window, key, modifier.ControlModifier if control else modifier.NoModifier
        )
        self.host.process(0.05)

    def wait(self, condition: Callable[[], Any], seconds: float = 900.0) -> None:
        """Let the program work until something is so."""
        self.host.waitUntil(condition, seconds)
        self.host.process(0.1)

    def told(self) -> str:
        """Return the text and details of the last message box, and forget the boxes so far."""
        last = self.host.messages[-1] if self.host.messages else None
        self.host.messages.clear()
        return "" if last is None else f"{last.text} {last.details}"
