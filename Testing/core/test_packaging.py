"""The wheel and the sdist: what they hold, and that the wheel works away from the source tree."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import spinemar

ROOT = Path(__file__).resolve().parents[2]


def build(kind: str, folder: Path) -> Path:
    """Build without isolation: the build backend comes with the extra `dev`."""
    script = (
        "import hatchling.build as backend, sys; print(backend.build_" + kind + "(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def in_package(folder: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_wheel_holds_the_package_and_the_resources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert in_package("spinemar") <= names
    for folder in ("Models", "Landmarks", "Implants"):
        shipped = {name.replace("Resources/", "spinemar/resources/") for name in in_package(
            f"Resources/{folder}")}  # fmt: skip
        assert shipped, folder
        assert shipped <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "spinemar",
        "spinemar_training",
        "spinemar_study",
        f"spinemar-{spinemar.__version__}.dist-info",
    }
    assert wheel.stat().st_size < 90e6, "package indexes refuse files above 100 MB"


@pytest.mark.slow
def test_wheel_says_what_it_is_and_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"spinemar-{spinemar.__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE.txt" in archive.namelist()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "spinemar = spinemar.cli.main:main" in scripts
    plain = {
        re.split(r"[^A-Za-z0-9-]", need)[0].lower()
        for need in metadata.get_all("Requires-Dist") or []
        if "extra ==" not in need
    }
    # The demonstration has to run with what a plain install brings.
    assert {"typer", "rich", "jinja2", "pillow", "onnxruntime", "pydicom"} <= plain
    assert not {"torch", "vtk", "zarr"} & plain


@pytest.mark.slow
def test_installed_wheel_finds_its_own_model(wheel: Path, tmp_path: Path) -> None:
    """Unpacked as pip would, run from elsewhere, with no way to see the source tree."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    script = (
        "import json, sys\n"
        "sys.path[:] = [p for p in sys.path if p != sys.argv[2]]\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import spinemar\n"
        "from spinemar.demo.run import methods_at_hand, sample_plan\n"
        "from spinemar.mar.inpainters.methods import shipped_model\n"
        "from spinemar.mar.inpainters.models.manifest import load_manifest\n"
        "manifest = shipped_model()\n"
        "load_manifest(manifest)\n"
        "print(json.dumps({'package': spinemar.__file__, 'model': str(manifest),\n"
        "    'methods': methods_at_hand(), 'screws': len(sample_plan().screws)}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(site), str(ROOT)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["package"]).is_relative_to(site)
    assert Path(found["model"]) == site / "spinemar" / "resources" / "Models" / "manifest.json"
    assert found["methods"][-1] == "generator"
    assert found["screws"] == 4
    for source in (ROOT / "Resources" / "Models").iterdir():
        copy = Path(found["model"]).parent / source.name
        assert digest(copy) == digest(source)


@pytest.mark.slow
def test_sdist_can_build_the_wheel(tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE.txt", "Resources/Models/manifest.json"}
    assert needed | in_package("spinemar") | in_package("Resources/Landmarks") <= names
    assert not [name for name in names if name.startswith(("Testing/", "Docs/", ".github/"))]


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == spinemar.__version__


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", ".github/workflows/*.yml"), ("citation-file-format", "CITATION.cff")],
)
def test_what_others_read_keeps_its_schema(schema: str, files: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    paths = [str(path) for path in ROOT.glob(files)]
    assert paths
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
