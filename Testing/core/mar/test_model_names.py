"""Shipped models by name: found, listed default first, and nothing else taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spinemar.errors import ModelError
from spinemar.mar.inpainters import methods


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two models whose names do not sort as they should be listed."""
    for file, name in (("manifest.json", "spine-z"), ("manifest-gan.json", "spine-a")):
        (tmp_path / file).write_text(json.dumps({"name": name}), encoding="utf-8")
    monkeypatch.setattr(methods, "_model_folders", lambda: (tmp_path / "absent", tmp_path))
    return tmp_path


def test_the_default_comes_first(folder: Path) -> None:
    assert methods.shipped_model() == folder / "manifest.json"
    assert list(methods.shipped_models().items()) == [
        ("spine-z", folder / "manifest.json"),
        ("spine-a", folder / "manifest-gan.json"),
    ]


def test_a_name_means_a_shipped_model(folder: Path) -> None:
    assert methods.find_model(Path("spine-a")) == folder / "manifest-gan.json"


def test_paths_stay_paths(folder: Path) -> None:
    for path in (folder, folder / "manifest-gan.json", Path("no/such"), Path("absent.json")):
        assert methods.find_model(path) == path


def test_an_unknown_name_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(ModelError, match="no model called spine-x") as error:
        methods.find_model(Path("spine-x"))
    assert "spine-z, spine-a" in (error.value.remedy or "")


def test_a_damaged_manifest_hides_no_other(folder: Path) -> None:
    (folder / "manifest-gan.json").write_text("{", encoding="utf-8")
    (folder / "manifest-other.json").write_text('{"name": "spine-b"}', encoding="utf-8")
    assert list(methods.shipped_models()) == ["spine-z", "spine-b"]


def test_without_models_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "_model_folders", lambda: (tmp_path,))
    assert methods.shipped_model() is None
    assert methods.shipped_models() == {}
