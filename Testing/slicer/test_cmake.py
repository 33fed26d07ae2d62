"""The extension's CMake: configured, built, installed, imported from there.

Against a stub of Slicer, or with its own macros where SLICER_SOURCE names a checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from spinemar.mar.settings import METHODS

pytestmark = [
    pytest.mark.slicer,
    pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake"),
]
ROOT = Path(__file__).resolve().parents[2]
SLICER_SOURCE = os.environ.get("SLICER_SOURCE")
GENERATORS = [g for g, program in (("Ninja", "ninja"), ("Unix Makefiles", "make"))
              if shutil.which(program)]  # fmt: skip
MODULES = sorted(
    p.parent for p in ROOT.glob("*/CMakeLists.txt") if (p.parent / "Resources").is_dir()
)
CLI = "MetalArtifactReductionCLI"


def slicer_options() -> list[str]:
    """Name Slicer's macros: the stub's, or those of the sources."""
    if not SLICER_SOURCE:
        return [f"-DSlicer_DIR={ROOT / 'Testing' / 'cmake' / 'stub'}"]
    ctk = os.environ.get("CTK_SOURCE") or f"{SLICER_SOURCE}/CTK"
    return [f"-DSlicer_DIR={ROOT / 'Testing' / 'cmake' / 'genuine'}",
            f"-DSLICER_SOURCE={SLICER_SOURCE}", f"-DCTK_SOURCE={ctk}",
            f"-DPYTHON_EXECUTABLE={sys.executable}"]  # fmt: skip


def configure(
    source: Path, build: Path, generator: str = next(iter(GENERATORS), "Ninja")
) -> subprocess.CompletedProcess[str]:
    # Nothing is compiled, so that a machine without a compiler can run this as well.
    languages = [f"-DCMAKE_{c}_COMPILER{x}" for c in ("C", "CXX") for x in ("=true", "_FORCED=1")]
    return subprocess.run(
        ["cmake", "-G", generator, "-S", str(source), "-B", str(build), *slicer_options(),
         *languages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    done = configure(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def made(build: Path, prefix: Path) -> subprocess.CompletedProcess[str]:
    """Build, and install where that went well."""
    done = subprocess.run(
        ["cmake", "--build", str(build)], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        subprocess.run(
            ["cmake", "--install", str(build), "--prefix", str(prefix)],
            check=True, capture_output=True,
        )  # fmt: skip
    return done


@pytest.fixture(scope="module")
def installed(build, tmp_path_factory) -> Path:
    prefix = tmp_path_factory.mktemp("install")
    done = made(build, prefix)
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix / "lib" / "Slicer-5.12"


def small_extension(folder: Path) -> Path:
    """Make an extension of the two modules alone, whose core is one file."""
    for module in MODULES:
        shutil.copytree(module, folder / module.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / CLI, folder / CLI, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "cmake", folder / "cmake")
    shutil.copy(ROOT / "CMakeLists.txt", folder)
    (folder / "spinemar").mkdir()
    (folder / "spinemar" / "__init__.py").touch()
    return folder


def own_files(module: Path) -> list[Path]:
    """List what a module installs, relative to its folder."""
    paths = (p.relative_to(module) for p in module.rglob("*") if p.is_file())
    return [p for p in paths if p.name != "CMakeLists.txt" and p.parts[0] != "Testing"]


@pytest.mark.parametrize("generator", GENERATORS)
def test_every_file_of_both_modules_is_installed_as_it_is(generator: str, tmp_path: Path) -> None:
    """Scripted modules share one folder: no module's file takes the place of another's."""
    source = small_extension(tmp_path / "source")
    done = configure(source, tmp_path / "build", generator)
    assert done.returncode == 0, done.stderr
    done = made(tmp_path / "build", tmp_path / "install")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "install" / "lib" / "Slicer-5.12" / "qt-scripted-modules"
    for module in MODULES:
        for path in own_files(source / module.name):
            assert (folder / path).read_bytes() == (source / module.name / path).read_bytes(), path


@pytest.mark.skipif("Ninja" not in GENERATORS, reason="needs ninja")
def test_one_path_in_two_modules_does_not_build(tmp_path: Path) -> None:
    source = small_extension(tmp_path / "source")
    for module in MODULES:
        (source / module.name / "Resources" / "same.txt").write_text(module.name)
        listing = source / module.name / "CMakeLists.txt"
        start = "set(MODULE_PYTHON_RESOURCES"
        listing.write_text(listing.read_text().replace(start, f"{start}\n  Resources/same.txt"))
    done = configure(source, tmp_path / "build", "Ninja")
    if done.returncode == 0:  # newer versions of CMake see it first
        done = made(tmp_path / "build", tmp_path / "install")
    assert done.returncode != 0
    assert "same.txt" in done.stdout + done.stderr


def test_self_tests_are_listed(build: Path) -> None:
    listed = subprocess.run(
        ["ctest", "-N"], cwd=build, capture_output=True, text=True, check=True
    ).stdout
    for module in MODULES:
        assert f"py_{module.name}" in listed


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.name)
def test_every_file_of_a_module_is_listed(module: Path) -> None:
    text = (module / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", module.name)
    files = [p for p in module.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    for path in files:
        name = path.relative_to(module).as_posix()
        if name != "CMakeLists.txt" and not name.startswith("Testing/"):
            assert name in text, f"{module.name}/CMakeLists.txt does not list {name}"


@pytest.mark.parametrize("missing", ["MetalArtifactReduction.ui", "compare.py"])
def test_a_listed_file_that_is_missing_fails(missing: str, tmp_path: Path) -> None:
    source = small_extension(tmp_path / "source")
    next(source.rglob(missing)).unlink()
    done = configure(source, tmp_path / "build")
    assert done.returncode != 0
    assert missing in done.stderr


def test_metadata_is_what_the_extensions_index_asks_for() -> None:
    text = (ROOT / "CMakeLists.txt").read_text()
    # A rule offers the extension to all whose data fit, as if they needed it: no CT does.
    assert "EXTENSION_DICOM_SUPPORT_RULE" not in text
    for name in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL",
                 "SCREENSHOTURLS", "DEPENDS"):  # fmt: skip
        assert f"EXTENSION_{name} " in text


def _python(code: str, folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PYTHONPATH"] = str(folder)
    # -S would lose site-packages; the source tree is kept out by the working directory alone.
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_the_installed_core_imports_from_beside_the_modules(
    installed: Path, tmp_path: Path
) -> None:
    folder = installed / "qt-scripted-modules"
    done = _python(
        "import spinemar, spinemar.jobs.worker, spinemar.mar.correct, spinemar.physics.scanner\n"
        "from spinemar.physics.spectra import load_spectrum\n"
        "load_spectrum(120)\n"
        "print(spinemar.__file__)",
        folder, tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(folder))


def test_the_installed_modules_open_and_run_a_self_test(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("slicer_core")
    pytest.importorskip("PySide6")
    module, other = (
        installed / "qt-scripted-modules" / f"{name}.py"
        for name in ("MetalArtifactReduction", "SpineImplantPlanner")
    )
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"  # for the host, after the installed core
        "from Testing.host.host import Host\n"
        "with Host() as host:\n"
        f"    host.openModule({str(module)!r})\n"
        f"    host.openModule({str(other)!r})\n"
        "    import slicer, spinemar, SpineMARLib\n"
        "    for package in (spinemar, SpineMARLib):\n"
        f"        assert package.__file__.startswith({str(installed)!r}), package.__file__\n"
        "    slicer.selfTests['MetalArtifactReduction']()\n"
    )
    done = _python(code, module.parent, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", ["source", "installed"])
def test_command_line_module(place: str, installed: Path, tmp_path: Path) -> None:
    import numpy as np

    from spinemar.io import read_volume, write_volume
    from spinemar.volume import CTVolume

    y, x = np.mgrid[:96, :96] - 48.0
    hu = np.full((4, 96, 96), -1000.0, np.float32)
    hu[:, (x / 40) ** 2 + (y / 30) ** 2 < 1] = 40
    hu[:, (np.abs(y) < 3) & (np.abs(x) < 30)] -= 300
    hu[1:3, np.hypot(np.abs(x) - 12, y) < 4] = 3071
    write_volume(tmp_path / "in.nrrd", CTVolume(hu, np.diag([-2.0, -2.0, 2.0, 1.0])))
    folder = ROOT / CLI if place == "source" else installed / "cli-modules"
    command = [sys.executable, str(folder / f"{CLI}.py"), "--method", "li", "--metal-threshold",
               "2600", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd")]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "<filter-progress>1.000</filter-progress>" in done.stdout
    assert read_volume(tmp_path / "out.nrrd").hu.shape == hu.shape
    command[-2] = str(tmp_path / "missing.nrrd")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_command_line_module_and_its_description_agree() -> None:
    """Slicer calls the script by its XML: every flag must be known, every index a position."""
    tree = ElementTree.parse(ROOT / CLI / f"{CLI}.xml").getroot()
    source = (ROOT / CLI / f"{CLI}.py").read_text()
    flags = [element.text for element in tree.iter("longflag")]
    assert sorted(flags) == ["device", "metal-mask", "metal-threshold", "method", "model"]
    for flag in flags:
        assert f'"--{flag}"' in source
    indexed = {int(e.findtext("index")): e.findtext("name") for e in tree.iter("image")
               if e.find("index") is not None}  # fmt: skip
    positions = [source.index(f'add_argument("{name}")') for _, name in sorted(indexed.items())]
    assert positions == sorted(positions)
    methods = next(e for e in tree.iter("string-enumeration") if e.findtext("name") == "method")
    for element in methods.findall("element"):
        assert element.text in METHODS
