"""What pages promise: controls that guides name are in the panels, tests that are named exist."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PANELS = ("MetalArtifactReduction", "SpineImplantPlanner")
#: What a guide names in bold besides: Slicer's own, modules, keys, words of a table.
OTHERS = {
    "planners": {"SpineMAR", "Spine Implant Planner", "[", "]", "-", "=", "Ctrl+Z"},
    "clinicians": {
        "View > Extensions Manager", "SpineMAR", "Install", "original axial series",
        "Edit > Application Settings > Modules > Additional module paths", "left as scanned",
        "Metal Artifact Reduction", "M", "B",
    },
}  # fmt: skip


def controls() -> set[str]:
    """Return what stands on the controls of both panels, without keys, units and colons."""
    found = set()
    for panel in PANELS:
        ui = ROOT / panel / "Resources" / "UI" / f"{panel}.ui"
        for one in ElementTree.parse(ui).getroot().iter("property"):
            text = one.findtext("string")
            if one.get("name") in ("text", "title") and text:
                found.add(
                    re.sub(r"( \([A-Z]\)|, (mm|°|%):)$", "", text.replace("&", "")).strip(" :.")
                )
    return found


def bold(guide: str) -> list[str]:
    text = (ROOT / "Docs" / "guides" / f"{guide}.md").read_text(encoding="utf-8")
    return [word for word in re.findall(r"\*\*(\S[^*\n]*?)\*\*", text) if word[0] not in ",."]


@pytest.mark.parametrize("guide", OTHERS)
def test_what_a_guide_says_to_click_is_there(guide: str) -> None:
    unknown = {word.strip(" .") for word in bold(guide)} - controls() - OTHERS[guide]
    assert not unknown


@pytest.mark.parametrize("guide", OTHERS)
def test_a_guide_takes_ten_minutes(guide: str) -> None:
    text = (ROOT / "Docs" / "guides" / f"{guide}.md").read_text(encoding="utf-8")
    minutes = [int(n) for n in re.findall(r"^## .*\((\d+) minutes?", text, re.MULTILINE)]
    assert 5 <= sum(minutes) <= 12
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)


def test_the_tests_that_the_eyes_table_names_exist() -> None:
    page = (ROOT / "Docs" / "developer" / "what-the-eye-is-told.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    written = {
        name
        for path in (ROOT / "Testing").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 50
    assert named <= written
