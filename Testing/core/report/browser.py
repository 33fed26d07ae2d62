"""Pages as a browser shows and prints them; for tests, which are skipped where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """A browser without a window that keeps everything in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        found = next(filter(None, map(shutil.which, _NAMES)), None)
        if found is None:
            pytest.skip("no Chromium")
        self._folder = folder
        self._command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
        ]  # fmt: skip

    def picture(self, page: Path, width: int, height: int, *, dark: bool = False) -> np.ndarray:
        """Show the top of a page; returns uint8, shape (height, width, 3)."""
        target = self._folder / "page.png"
        options = [f"--window-size={width},{height}", f"--screenshot={target}"]
        self._run([*options, *(["--force-dark-mode"] if dark else []), page.as_uri()])
        return np.asarray(Image.open(target).convert("RGB"))

    def printed_pages(self, page: Path) -> int:
        """Print a page and count the sheets of paper."""
        target = self._folder / "page.pdf"
        self._run(["--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri()])
        return len(re.findall(rb"/Type\s*/Page\b(?!s)", target.read_bytes()))

    def _run(self, options: list[str]) -> None:
        subprocess.run([*self._command, *options], check=True, capture_output=True, timeout=120)
