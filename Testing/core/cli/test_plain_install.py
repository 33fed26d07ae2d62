"""Every command with what a plain install brings: it works, or says which extra it wants."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from spinemar.base.explain import explained
from spinemar.base.extras import _PLAIN, EXTRAS, missing_package, optional, require
from spinemar.cli.main import COMMANDS
from spinemar.dataset.make import make_store
from spinemar.errors import InputError
from spinemar.jobs.engine import protocol
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.plans.plan_json import write_plan
from Testing.core.cli.test_plan_commands import patient  # noqa: F401 - a fixture
from Testing.core.dataset.conftest import ct_folder, inputs, small  # noqa: F401 - fixtures
from Testing.core.plain_install import (
    ROOT,
    make_plain_python,
    plain_distributions,
    plain_environment,
    pyproject_lists,
)

SCREW = Screw("L1-left", "L1", "left", (0.0, 0.0, 4.0), (0.0, 45.0, 4.0), 6.5, 45.0)
WORKS = ""

# (arguments, the extra that is asked for): {…} stands for a file of the fixture `files`.
CALLS: tuple[tuple[str, str], ...] = (
    ("correct {scan} -o out.nrrd --report report", WORKS),
    ("correct --sinogram {raw}.zarr -o out.nrrd --method li", "dataset"),
    ("correct-batch {scan} -o batch --method li --workers 2", WORKS),
    ("correct-batch {scan} -o batch --method li --scheduler tcp://127.0.0.1:9", "dataset"),
    ("segment {spine}/ct.nrrd --labels {spine}/labels.nrrd -o l.nrrd --surfaces s", WORKS),
    ("segment {spine}/ct.nrrd --labels {spine}/labels.nrrd -o l.nrrd --sheet s.png", "figures"),
    ("plan {spine}/ct.nrrd --labels {spine}/labels.nrrd --levels L1 -o p.json", WORKS),
    ("plan {spine}/ct.nrrd --labels {spine}/labels.nrrd --levels L1 -o p.json --stl s", "mesh"),
    ("plan {spine}/ct.nrrd --labels {spine}/labels.nrrd --levels L1 -o p.json --report r", "mesh"),
    ("grade {plan} {spine}/ct.nrrd --labels {spine}/labels.nrrd", WORKS),
    ("find-implants --help", WORKS),  # its own tests run it; it needs metal in a spine
    ("find-implants-batch --help", WORKS),
    ("find-implants {spine}/ct.nrrd --labels {spine}/labels.nrrd -o p.json --report r", "mesh"),
    ("voxelize {plan} {scan} -o metal.nrrd", WORKS),
    ("voxelize {surface} {scan} -o metal.nrrd", WORKS),
    ("simulate {scan} --implants {plan} -o scan.nrrd --slices 1:2 --raw raw.npz", WORKS),
    ("simulate {scan} --implants {plan} -o scan.nrrd --raw raw.zarr", "dataset"),
    ("evaluate {scan} {scan}", WORKS),
    ("benchmark aapm {aapm} -o submission --method li", WORKS),
    ("benchmark card {aapm} {aapm} --scans {aapm} --metals {aapm} --fov-mm 400", WORKS),
    ("dataset make {cts} -o p.zarr --pairs 2", "dataset"),
    ("dataset make {cts} -o p.zarr --pairs 2 --workers 2", "dataset"),
    ("dataset add {store} {cts} --pairs 4", "dataset"),
    ("dataset merge {store} {store} -o m.zarr", "dataset"),
    ("dataset inspect {store} -o sheets", "dataset"),
    ("dataset split {store}", WORKS),
    ("dataset verify {store}", "dataset"),
    ("dataset export {store} -o e --format syndeeplesion", "dataset"),
    ("dataset export {store} -o e --format nifti", "dataset"),
    ("demo --help", WORKS),  # needs the sample CT; `make demo` runs it on a plain install
    ("sample-data --help", WORKS),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform == "win32":
        pytest.skip("needs links")
    return make_plain_python(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def store(inputs, small, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    path = tmp_path_factory.mktemp("store") / "pairs.zarr"
    make_store(path, inputs, 2, settings=small(), seed=5)
    return path


@pytest.fixture
def files(scan, patient, ct_folder, store, tmp_path: Path) -> dict[str, Path]:  # noqa: F811
    write_plan(tmp_path / "plan.json", Plan(levels=("L1",), screws=(SCREW,)))
    (tmp_path / "raw.zarr").mkdir()
    shutil.copytree(store, tmp_path / "store.zarr")
    return {
        "scan": scan.scan, "spine": patient, "cts": ct_folder / "cts.json",
        "plan": tmp_path / "plan.json", "raw": tmp_path / "raw", "store": tmp_path / "store.zarr",
        "surface": plan_with_a_surface(tmp_path), "aapm": a_benchmark(tmp_path / "aapm"),
    }  # fmt: skip


def a_benchmark(folder: Path) -> Path:
    """Write one slice as the AAPM benchmark has them: a disc of water with metal in it."""
    y, x = np.mgrid[-256:256, -256:256]
    hu = np.where(np.hypot(x, y) < 200, 0.0, -1000.0)
    hu[np.hypot(x - 40, y) < 6] = 8000.0
    folder.mkdir()
    hu.astype("<f4").tofile(folder / "01.raw")
    (folder / "README.txt").write_text("01.raw 400 mm\n")
    return folder


def plan_with_a_surface(folder: Path) -> Path:
    """Write a tetrahedron as STL, and a plan that has it as an implant."""
    from spinemar.base.files.hashes import file_sha256
    from spinemar.implants.placement import ImportedMesh

    corners = ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9))
    faces = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
    lines = ["solid a"]
    for face in faces:
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += ["vertex {} {} {}".format(*corners[n]) for n in face]
        lines += ["endloop", "endfacet"]
    (folder / "a.stl").write_text("\n".join([*lines, "endsolid a\n"]))
    place = (1.0, 0.0, 0.0, -160.0, 0.0, 1.0, 0.0, -160.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0)
    mesh = ImportedMesh("a", str(folder / "a.stl"), file_sha256(folder / "a.stl"), place)
    write_plan(folder / "surface.json", Plan(levels=("L1",), meshes=(mesh,)))
    return folder / "surface.json"


def test_every_command_is_tried() -> None:
    tried = {call.split()[0] for call, _ in CALLS}
    assert tried == {name for name, _ in COMMANDS}
    assert {extra for _, extra in CALLS} <= set(pyproject_lists())


@pytest.mark.slow
@pytest.mark.parametrize(("call", "extra"), CALLS, ids=[call for call, _ in CALLS])
def test_a_command(
    call: str, extra: str, plain: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    command = [str(plain), "-m", "spinemar.cli.main", *call.format(**files).split()]
    done = subprocess.run(
        command, env=plain_environment(), cwd=work, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    if not extra:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stderr
    problem, remedy = done.stderr.strip().splitlines()[-2:]
    assert problem.startswith("Error: ")
    assert problem.endswith("which a plain install leaves out.")
    assert f'pip install "spinemar[{extra}]"' in remedy
    assert list(work.iterdir()) == []  # nothing is begun that cannot be ended


@pytest.mark.slow
@pytest.mark.parametrize("module", ["spinemar_training.cli", "spinemar_study.commands"])
def test_every_training_command(module: str, plain: Path, tmp_path: Path) -> None:
    import typer

    app = import_module(module).app
    missed = []
    for name, command in _leaves(typer.main.get_command(app)):
        words = name.split()
        for parameter in command.params:
            if parameter.required:
                # A number, and the name of a file that is not there.
                words += [*(o for o in parameter.opts[:1] if o.startswith("-")), "1"]
        script = f"from {module} import main; main()"
        done = subprocess.run(
            [str(plain), "-c", script, *words], env=plain_environment(), cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        named = 'pip install "spinemar[training]"' in done.stderr
        # What needs no extra gets as far as the file that is not there.
        if done.returncode != 2 or not (named or done.stderr.startswith("Error: ")):
            missed.append((name, done.returncode, done.stderr[-300:]))
    assert missed == []


def _leaves(command, name=""):
    for sub, one in getattr(command, "commands", {}).items():
        yield from _leaves(one, f"{name} {sub}".strip())
    if not getattr(command, "commands", {}):
        yield name, command


@pytest.mark.slow
def test_a_worker_names_the_extra(plain: Path, files: dict[str, Path], tmp_path: Path) -> None:
    job = {"schema": protocol.SCHEMA, "kind": "pairs", "store": str(tmp_path / "p.zarr"),
           "inputs": [{"ct": str(files["scan"]), "patient": "p"}], "pairs": 1}  # fmt: skip
    done = subprocess.run(
        [str(plain), "-m", "spinemar.jobs.worker", "-"], input=json.dumps(job) + "\n",
        env=plain_environment(), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "error"
    assert "spinemar[dataset]" in event["remedy"]
    assert not (tmp_path / "p.zarr").exists()


def _imported(folder: str) -> set[str]:
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    return (
        found - set(sys.stdlib_module_names) - {"spinemar", "spinemar_training", "spinemar_study"}
    )


def test_every_package_that_is_imported_has_its_extra() -> None:
    # On a GPU, beside what the machine's CUDA needs: Docs/performance.md.
    by_hand = {"cupy", "cufinufft"}
    assert _imported("spinemar") <= _PLAIN | set(EXTRAS) | by_hand
    assert _imported("Training/spinemar_study") <= _PLAIN | set(EXTRAS) | {"nibabel"}
    assert _imported("Training/spinemar_training") <= _PLAIN | set(EXTRAS) | by_hand | {"nibabel"}


def test_extras_and_plain_packages_are_those_of_pyproject() -> None:
    module_of = {"scikit-image": "skimage", "pillow": "PIL", "pyyaml": "yaml",
                 "astra-toolbox": "astra"}  # fmt: skip
    lists = pyproject_lists()
    names = {
        extra: {module_of.get(n, n) for n in (need.split(">")[0].split("[")[0] for need in needs)}
        for extra, needs in lists.items()
    }
    assert names[""] == _PLAIN
    for module, extra in EXTRAS.items():
        distribution = {"vtkmodules": "vtk", "distributed": "dask"}.get(module, module)
        assert distribution in names[extra], module
    assert not {"zarr", "vtk", "torch", "matplotlib"} & set(plain_distributions())


def test_a_library_that_the_system_lacks_is_no_missing_package() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file", name="vtkmodules.vtkX")
    told = explained(error)
    assert "vtkmodules, which is installed but cannot be loaded (libGL.so.1" in told.problem
    assert "libgl1" in told.remedy
    assert told.exit_code == 2


def test_a_module_of_ours_that_is_missing_is_a_fault() -> None:
    error = ModuleNotFoundError("No module named 'spinemar.lost'", name="spinemar.lost")
    assert missing_package(error) is None
    assert explained(error).exit_code == 1
    with pytest.raises(ModuleNotFoundError), optional("It"):
        raise error


def test_what_is_there_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require("A report", "json")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match="A store needs the package zarr"):
        require("A store", "zarr")
