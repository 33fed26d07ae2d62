"""The pictures of the documentation: one command takes them, and they show the shipped model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAMP = ROOT / "Docs" / "pictures" / "taken-with.json"


@pytest.fixture(scope="module")
def pictures():
    place = importlib.util.spec_from_file_location(
        "take_pictures", ROOT / "scripts" / "take_pictures.py"
    )
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_every_series_shows_the_shipped_model(pictures) -> None:
    """Fails when a model is shipped and its pictures are not: run make pictures."""
    taken = json.loads(STAMP.read_text(encoding="utf-8"))
    assert set(taken) == set(pictures.SERIES)
    model = pictures.model_version()
    late = sorted(name for name, facts in taken.items() if facts["model"] != model)
    assert not late, f"make pictures: {', '.join(late)} show another model than {model}"


def test_every_script_of_a_series_is_there(pictures) -> None:
    for arguments in pictures.SERIES.values():
        for word in arguments:
            if word.endswith(".py"):
                assert (ROOT / word).is_file(), word


def test_no_page_shows_a_picture_that_no_script_takes(pictures) -> None:
    """Every screenshot in the guides is named in one of the scripts."""
    scripts = "".join(
        (ROOT / word).read_text(encoding="utf-8")
        for arguments in pictures.SERIES.values()
        for word in arguments
        if word.endswith(".py")
    )
    for folder in ("mar", "planner"):
        for picture in (ROOT / "Docs" / "images" / folder).glob("*.png"):
            assert picture.stem in scripts, picture.name


def test_an_unknown_series_is_refused(pictures) -> None:
    with pytest.raises(SystemExit, match="no series nonsense"):
        pictures.main(["nonsense"])
