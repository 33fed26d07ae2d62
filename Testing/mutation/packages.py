"""What is mutated, and which tests are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A part of the core.

    Parameters
    ----------
    name : str
    sources : tuple of str
        Files, or folders with all their files, from the root.
    tests : tuple of str
        The tests that answer for it; files or folders, from the root.
    """

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self, tree: Path) -> list[Path]:
        """Return the files that are mutated."""
        found: list[Path] = []
        for source in self.sources:
            one = tree / source
            found += [one] if one.is_file() else sorted(one.rglob("*.py"))
        return found


PACKAGES = (
    Package("mar", ("spinemar/mar",), ("Testing/core/mar", "Testing/core/judge")),
    Package(
        "io",
        ("spinemar/io",),
        (
            "Testing/core/io",
            "Testing/core/reliability/test_auxiliary_files.py",
            "Testing/core/reliability/test_bad_volumes.py",
            "Testing/core/reliability/test_bad_series.py",
        ),
    ),
    Package(
        "tomography",
        ("spinemar/tomography",),
        (
            "Testing/core/tomography",
            "Testing/core/mar/test_raw.py",
            "Testing/core/mar/test_raw_plausible.py",
        ),
    ),
    Package(
        "grades",
        ("spinemar/planning/grades",),
        (
            "Testing/core/planning/test_grading.py",
            "Testing/core/planning/test_geometry.py",
            "Testing/core/planning/test_hu_profile.py",
            "Testing/core/planning/test_profile_chart.py",
            "Testing/core/planning/test_trust.py",
            "Testing/core/planning/test_report_pages.py",
        ),
    ),
    Package("voxelize", ("spinemar/implants/voxelize.py",), ("Testing/core/implants",)),
)
